"""The demo's folder: where everything lies, and what a later demo needs to take it up again."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vantage6.cli.demo.errors import DemoError
from vantage6.cli.demo.network import Network

_STATE = "demo.json"
_LOCK = "demo.lock"
_FORMAT = 1
_SPECIAL = "-"


@dataclass
class State:
    """What must stay the same from one demo to the next in the same folder.

    ``network`` is None until the server knows everything.
    """

    nodes: int
    encrypted: bool
    jwt_secret_key: str
    root_password: str
    network: Network | None = None


class Folder:
    """Paths inside the demo's folder.

    Files that hold a secret are readable by their owner only, as is the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.server_config = root / "server.yaml"
        self.server_data = root / "server"
        self.database = self.server_data / "server.sqlite"
        self.root_password = root / "root-password"
        self.ready = root / "ready.json"

    def table(self, site: int) -> Path:
        """A site's patients."""
        return self.root / "databases" / f"site-{site + 1}.csv"

    def private_key(self, site: int) -> Path:
        """A site's private key."""
        return self.root / "keys" / f"site-{site + 1}.pem"

    def node_config(self, site: int) -> Path:
        """The configuration of a site's node."""
        return self.root / "nodes" / f"node-{site + 1}.yaml"

    def node_data(self, site: int) -> Path:
        """Where a site's node keeps its journal and run folders."""
        return self.root / "nodes" / f"node-{site + 1}"

    def log(self, name: str) -> Path:
        """What a server or node writes."""
        return self.root / "logs" / f"{name}.log"

    def load(self) -> State | None:
        """What an earlier demo left; None in an empty folder.

        Raises
        ------
        DemoError
            If the folder holds something else.
        """
        path = self.root / _STATE
        if not path.exists():
            strangers = sorted(each.name for each in self.root.iterdir() if each.name != _LOCK)
            if strangers:
                raise DemoError(
                    f"{self.root} is not empty and holds no earlier demo (found"
                    f" {', '.join(strangers[:3])}). Choose another --data-dir."
                )
            return None
        try:
            document = json.loads(path.read_text())
            if document.pop("format") != _FORMAT:
                raise ValueError("unknown format")
            network = document.pop("network")
            state = State(**document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DemoError(
                f"{path} is not readable ({error}). Choose another --data-dir, or empty this one."
            ) from error
        state.network = Network.from_json(network) if network else None
        return state

    def save(self, state: State) -> None:
        """Remember the state, in one step."""
        network = state.network.to_json() if state.network else None
        document = {"format": _FORMAT, **vars(state), "network": network}
        write_json(self.root / _STATE, document)

    def forget_server(self) -> None:
        """Remove the server's database, so that a set-up that was interrupted starts anew."""
        if self.server_data.exists():
            shutil.rmtree(self.server_data)


@contextmanager
def open_folder(path: Path | None, *, keep: bool) -> Iterator[Folder]:
    """Open the demo's folder, which nobody else uses in the meantime.

    Parameters
    ----------
    path
        The folder, made if it does not exist; None for a temporary one.
    keep
        Whether to keep a temporary folder at the end.

    Raises
    ------
    DemoError
        If another demo uses it, or it cannot be made.
    """
    temporary = path is None
    try:
        if path is None:
            root = Path(tempfile.mkdtemp(prefix="v6-demo-"))
        else:
            root = path.resolve()
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DemoError(f"Cannot use {path or 'a temporary folder'}: {error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"Another demo uses {root}. Choose another --data-dir.") from None
        yield Folder(root)
    finally:
        os.close(descriptor)
        if temporary and not keep:
            shutil.rmtree(root)


def new_state(nodes: int, *, encrypted: bool) -> State:
    """Make up the secrets of a new demo."""
    return State(
        nodes=nodes,
        encrypted=encrypted,
        jwt_secret_key=str(uuid.uuid4()),
        root_password=new_password(),
    )


def new_password() -> str:
    """Make up a password that satisfies the server's rules and can be read aloud."""
    # Without characters that look alike.
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    while True:
        groups = ["".join(secrets.choice(letters) for _ in range(4)) for _ in range(3)]
        password = _SPECIAL.join(groups)
        kinds = (str.islower, str.isupper, str.isdigit)
        if all(any(kind(letter) for letter in password) for kind in kinds):
            return password


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with open(descriptor, "w") as file:
        file.write(text)
    os.replace(name, path)


def write_json(path: Path, document: Any) -> None:
    """Write a document that only its owner may read, in one step."""
    write_private(path, json.dumps(document, indent=2) + "\n")
