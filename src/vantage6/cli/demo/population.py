"""Fill an empty server through its API: organizations, a collaboration, a study, people, nodes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vantage6.cli.demo.errors import DemoError
from vantage6.cli.demo.folder import Folder, State, new_password
from vantage6.cli.demo.network import (
    COLLABORATION,
    STUDY,
    Collaboration,
    Login,
    Network,
    Node,
    Organization,
    Study,
    institution,
)
from vantage6.client import Client
from vantage6.common import bytes_to_base64s
from vantage6.common.encryption import RSACryptor

ROOT = "root"

# Who there is besides root: username, role, and the site they work at (the last one at most).
_PEOPLE = (
    ("researcher", "Researcher", 0),
    ("collab-admin", "Collaboration Admin", 0),
    ("viewer", "Viewer", 1),
    ("org-admin", "Organization Admin", 2),
)


@dataclass(frozen=True)
class Sites:
    """The part of a network that its nodes need."""

    organizations: list[Organization]
    collaboration: Collaboration
    nodes: list[Node]


def make_sites(
    client: Client, folder: Folder, state: State, public_keys: Mapping[int, str]
) -> Sites:
    """Make organizations, the collaboration of all of them, and a node for each.

    Parameters
    ----------
    client
        Logged in as root.
    folder
        Where configurations and tables lie.
    state
        How many nodes, and whether encrypted.
    public_keys
        Site to public key; empty when nothing is encrypted.

    Raises
    ------
    DemoError
        If the server refuses anything.
    """
    organizations = [
        _organization(client, folder, site, public_keys.get(site)) for site in range(state.nodes)
    ]
    collaboration = _made(
        "the collaboration",
        client.collaboration.create,
        COLLABORATION,
        [organization.id for organization in organizations],
        state.encrypted,
    )
    return Sites(
        organizations=organizations,
        collaboration=Collaboration(collaboration["id"], COLLABORATION, state.encrypted),
        nodes=[
            _node(client, folder, site, collaboration["id"], organization)
            for site, organization in enumerate(organizations)
        ],
    )


def make_people(
    client: Client, folder: Folder, state: State, sites: Sites, root_organization: int
) -> Network:
    """Make a study and the people who may log in, which completes the network.

    Raises
    ------
    DemoError
        If the server refuses anything.
    """
    study = _made(
        "the study",
        client.study.create,
        name=STUDY,
        organizations=[organization.id for organization in sites.organizations[:2]],
        collaboration=sites.collaboration.id,
    )
    return Network(
        users=[
            Login(ROOT, state.root_password, root_organization, ["Root"]),
            *_people(client, sites.organizations),
        ],
        organizations=sites.organizations,
        collaboration=sites.collaboration,
        study=Study(study["id"], STUDY),
        nodes=sites.nodes,
        databases={
            organization.id: str(folder.table(site))
            for site, organization in enumerate(sites.organizations)
        },
    )


def make_keys(folder: Folder, sites: int) -> dict[int, str]:
    """Make a key pair per site, on all processors; returns site to public key.

    Keys that are there already stay. Call it before the first thread is started.
    """
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        keys = pool.map(_public_key, [folder.private_key(site) for site in range(sites)])
        return dict(enumerate(keys))


def _public_key(path: Path) -> str:
    if path.exists():
        return RSACryptor(path).public_key_str
    return bytes_to_base64s(RSACryptor.create_public_key_bytes(RSACryptor.create_new_rsa_key(path)))


def _organization(
    client: Client, folder: Folder, site: int, public_key: str | None
) -> Organization:
    name = institution(site)
    created = _made(
        name,
        client.organization.create,
        name=name,
        address1=f"Voorbeeldlaan {site + 1}",
        address2="",
        zipcode="1234 AB",
        country="Netherlands",
        domain=f"{name.split()[0].lower()}{site + 1}.example",
        public_key=public_key,
    )
    private_key = str(folder.private_key(site)) if public_key else None
    return Organization(created["id"], name, private_key)


def _people(client: Client, organizations: list[Organization]) -> list[Login]:
    listed = client.role.list(fields=["id", "name"], per_page=100)
    roles = {role["name"]: role["id"] for role in listed}
    logins = []
    for username, role, site in _PEOPLE:
        organization = organizations[min(site, len(organizations) - 1)]
        password = new_password()
        _made(
            f"user {username}",
            client.user.create,
            username=username,
            firstname=role,
            lastname="Demo",
            password=password,
            email=f"{username}@example.org",
            organization=organization.id,
            roles=[roles[role]],
        )
        logins.append(Login(username, password, organization.id, [role]))
    return logins


def _node(
    client: Client, folder: Folder, site: int, collaboration: int, organization: Organization
) -> Node:
    created = _made(
        f"the node of {organization.name}",
        client.node.create,
        collaboration=collaboration,
        organization=organization.id,
    )
    return Node(
        id=created["id"],
        name=created["name"],
        organization_id=organization.id,
        api_key=created["api_key"],
        config=str(folder.node_config(site)),
    )


def _made(what: str, create: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    answer: dict[str, Any] = create(*args, **kwargs)
    if "id" not in answer:
        raise DemoError(f"The server refused to make {what}: {answer.get('msg', answer)}")
    return answer
