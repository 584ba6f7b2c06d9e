"""What a demo network consists of: who takes part, who may log in, which nodes there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from vantage6.cli.demo.errors import DemoError

COLLABORATION = "Heart and Age"
STUDY = "Age pilot"

# Made-up institutions; no such hospitals or registries exist.
_INSTITUTIONS = (
    "Meerzicht Hospital",
    "Zilverduin University Hospital",
    "Lage Landen Heart Registry",
    "Heidebloem Clinic",
    "Waterkant Medical Center",
    "Noordkroon Cohort Study",
    "Vogelwijk General Hospital",
    "Zonneveld Health Center",
)


@dataclass(frozen=True)
class Login:
    """A person who may log in."""

    username: str
    password: str
    organization_id: int
    roles: list[str]


@dataclass(frozen=True)
class Organization:
    """A site; ``private_key`` names its key file when the collaboration is encrypted."""

    id: int
    name: str
    private_key: str | None = None


@dataclass(frozen=True)
class Collaboration:
    """The collaboration that all sites take part in."""

    id: int
    name: str
    encrypted: bool


@dataclass(frozen=True)
class Study:
    """The part of the collaboration that its first two sites work on."""

    id: int
    name: str


@dataclass(frozen=True)
class Node:
    """A node; ``config`` names its configuration file."""

    id: int
    name: str
    organization_id: int
    api_key: str
    config: str


@dataclass(frozen=True)
class Network:
    """All of it; ``databases`` maps an organization's id to its table."""

    users: list[Login]
    organizations: list[Organization]
    collaboration: Collaboration
    study: Study
    nodes: list[Node]
    databases: dict[int, str]

    def login(self, role: str) -> Login:
        """The first person with a role."""
        return next(user for user in self.users if role in user.roles)

    def organization(self, id_: int) -> Organization:
        """The organization with an id."""
        return next(each for each in self.organizations if each.id == id_)

    def to_json(self) -> dict[str, Any]:
        """As the ready file and the demo's own file have it."""
        document = asdict(self)
        for organization in document["organizations"]:
            if organization["private_key"] is None:
                del organization["private_key"]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        DemoError
            If it is something else.
        """
        try:
            return cls(
                users=[Login(**each) for each in document["users"]],
                organizations=[Organization(**each) for each in document["organizations"]],
                collaboration=Collaboration(**document["collaboration"]),
                study=Study(**document["study"]),
                nodes=[Node(**each) for each in document["nodes"]],
                databases={int(id_): path for id_, path in document["databases"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DemoError(
                f"The demo's own file was written by another version or changed by hand ({error})."
                " Choose another --data-dir, or empty this one."
            ) from error


def institution(site: int) -> str:
    """Name of the site with this number, counted from 0."""
    around, index = divmod(site, len(_INSTITUTIONS))
    return _INSTITUTIONS[index] + (f" {around + 1}" if around else "")
