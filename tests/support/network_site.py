"""A collaboration made at any server by its API: organizations with a table and a node each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vantage6.client import Client
from vantage6.common.encryption import RSACryptor

RESEARCHER = ("researcher", "Wachtw00rd!")
API_PATH = "/api"
_ROWS = 120


@dataclass(frozen=True)
class Site:
    """An organization.

    Attributes
    ----------
    private_key : pathlib.Path or None
        None where nothing is encrypted.
    table : pathlib.Path
        A CSV file with a column ``age`` and a column ``ward``.
    """

    organization: int
    name: str
    node: int
    api_key: str
    private_key: Path | None
    table: Path

    @property
    def frame(self) -> pd.DataFrame:
        """What is in its table."""
        return pd.read_csv(self.table)


@dataclass(frozen=True)
class Network:
    """A collaboration at a server on loopback."""

    port: int
    collaboration: int
    encrypted: bool
    sites: list[Site]

    @property
    def organizations(self) -> list[int]:
        """Their ids."""
        return [site.organization for site in self.sites]

    @property
    def pooled(self) -> pd.DataFrame:
        """All tables in one, as no party has them."""
        return pd.concat([site.frame for site in self.sites], ignore_index=True)

    def log_in(self) -> Client:
        """The researcher, who belongs to the first organization."""
        client = connect(self.port, *RESEARCHER)
        key = self.sites[0].private_key
        client.setup_encryption(str(key) if key else None)
        return client

    def to_json(self) -> dict[str, Any]:
        """What a client in another process needs."""
        key = self.sites[0].private_key
        return {
            "port": self.port,
            "username": RESEARCHER[0],
            "password": RESEARCHER[1],
            "collaboration": self.collaboration,
            "organizations": self.organizations,
            "private_key": str(key) if key else None,
        }

    def node_config(self, site: Site, host: str = "127.0.0.1", **keys: Any) -> dict[str, Any]:
        """Configuration of a site's node, with the keys that every node of the contract needs."""
        return {
            "api_key": site.api_key,
            "server_url": f"http://{host}",
            "port": self.port,
            "api_path": API_PATH,
            "task_dir": "",
            "databases": [{"label": "default", "uri": str(site.table), "type": "csv"}],
            "encryption": {
                "enabled": self.encrypted,
                "private_key": str(site.private_key) if site.private_key else None,
            },
            "logging": {
                "level": "DEBUG",
                "use_console": True,
                "backup_count": 1,
                "max_size": 1024,
                "format": "%(asctime)s - %(name)-14s - %(levelname)-8s - %(message)s",
                "datefmt": "%H:%M:%S",
                "loggers": [{"name": "urllib3", "level": "WARNING"}],
            },
            **keys,
        }


def connect(port: int, username: str, password: str) -> Client:
    """A client that is logged in at a server on loopback."""
    client = Client("http://127.0.0.1", port, API_PATH, log_level="error")
    client.authenticate(username, password)
    return client


def make_network(
    folder: Path, port: int, root_password: str, *, encrypted: bool, sites: int = 2
) -> Network:
    """Make one at a server, as its root.

    Public keys are left for the nodes and the researcher to upload.
    """
    root = connect(port, "root", root_password)
    kind = "encrypted" if encrypted else "plain"
    organizations = [
        _made(root.organization.create(f"{kind} {number}", "", "", "", "", f"{kind}{number}.org"))
        for number in range(1, sites + 1)
    ]
    collaboration = _made(root.collaboration.create(kind, organizations, encrypted))
    made = []
    for number, organization in enumerate(organizations, 1):
        node = root.node.create(collaboration, organization)
        home = folder / f"{kind}-{number}"
        home.mkdir(parents=True)
        made.append(
            Site(
                organization=organization,
                name=f"{kind} {number}",
                node=_made(node),
                api_key=node["api_key"],
                private_key=_private_key(home / "key.pem") if encrypted else None,
                table=_table(home / "patients.csv", number),
            )
        )
    roles = {role["name"]: role["id"] for role in root.role.list(per_page=100)["data"]}
    name, password = RESEARCHER
    _made(
        root.user.create(
            username=name,
            firstname="",
            lastname="",
            password=password,
            email="researcher@example.org",
            organization=organizations[0],
            # A researcher may not kill a task.
            roles=[roles["Collaboration Admin"]],
        )
    )
    for site in made:
        if site.private_key:
            # Their nodes would do it too, when they start.
            public = RSACryptor(site.private_key).public_key_str
            root.organization.update(site.organization, public_key=public)
    return Network(port, collaboration, encrypted, made)


def _made(answer: Mapping[str, Any]) -> int:
    assert "id" in answer, answer
    return int(answer["id"])


def _table(path: Path, number: int) -> Path:
    ages = [20 + (number * 37 + row * row) % 70 for row in range(_ROWS * number)]
    pd.DataFrame({"age": ages, "ward": ["a", "b"] * (len(ages) // 2)}).to_csv(path, index=False)
    return path


def _private_key(path: Path) -> Path:
    """A shorter one than real ones, which take seconds to make."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    path.chmod(0o600)
    return path


def online(network: Network, site: Site) -> bool:
    """Whether the server sees a site's node connected."""
    client = connect(network.port, *RESEARCHER)
    return bool(client.node.get(site.node)["status"] == "online")
