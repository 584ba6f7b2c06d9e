"""Who is trusted with which keys, and when the contract's format will do: the rules, in one place.

An organization that was seen with authenticated encryption once is *known*. From and to it nothing
else is accepted any more, and no other keys, until whoever trusts it says otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vantage6.common.sealing.errors import SealError
from vantage6.common.sealing.keys import OwnKeys, PublicKeys, same_fingerprint
from vantage6.common.sealing.known import KnownKeys, Peer, Sent
from vantage6.common.sealing.letter import Check, Envelope, Opener, Sealer, digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Correspondence:
    """An organization's correspondence by way of one server.

    Parameters
    ----------
    own : OwnKeys
        Its keys.
    organization : int
        Its id.
    known : KnownKeys
        What it remembers.
    required : bool
        Whether the contract's format is refused altogether.
    trusted : mapping of int to str
        Fingerprints that people have compared, by the organizations' ids. With `required`, nobody
        else is trusted.
    how_to_forget : str
        What the messages tell people to do about keys that are known and no longer right.
    """

    own: OwnKeys
    organization: int
    known: KnownKeys
    required: bool = False
    trusted: Mapping[int, str] = field(default_factory=dict)
    how_to_forget: str = "forget its keys"

    def keys_of(self, organization: int, published: str | None) -> PublicKeys | None:
        """The keys to seal with for an organization; None if only the contract's format will do.

        Parameters
        ----------
        organization : int
            Its id.
        published : str, optional
            What the server says that its keys are.

        Raises
        ------
        SealError
            If these are not the keys that are known or trusted, or there are none though there
            should be.
        """
        if not published:
            self.demand_nothing_sealed(organization)
            return None
        keys = PublicKeys.read(published)
        self.admit(organization, keys)
        return keys

    def admit(self, organization: int, keys: PublicKeys) -> None:
        """See that keys are an organization's; those of one that is not known are remembered.

        Raises
        ------
        SealError
            If other keys are known or trusted, or this one is not to be trusted at all.
        """
        if organization == self.organization:
            if keys != self.own.public:
                raise SealError(
                    f"The keys {keys.fingerprint} are said to be of this organization itself, "
                    f"whose private key has {self.own.public.fingerprint}. Use the same private "
                    "key file for all nodes and users of the organization"
                )
            self.known.pin(organization, keys)
            return
        trusted = self.trusted.get(organization)
        if trusted is not None:
            if not same_fingerprint(trusted, keys.fingerprint):
                raise SealError(
                    f"Organization {organization} comes with the keys {keys.fingerprint}, but the "
                    f"fingerprint to trust is {trusted}. Compare them with the organization by "
                    "telephone. If its keys were replaced, configure the new fingerprint; if not, "
                    "somebody at the server tries to get in between"
                )
            self.known.pin(organization, keys, replace=True)
            return
        if self.required and self.trusted:
            raise SealError(
                f"Organization {organization} (keys {keys.fingerprint}) is not among the trusted "
                "ones. Compare the fingerprint with the organization by telephone, and configure "
                "it as trusted"
            )
        before = self.known.peer(organization)
        if before is None:
            before = self.known.pin(organization, keys)
            log.warning(
                "Organization %s is met for the first time with authenticated encryption. Its "
                "fingerprint is %s: compare it with the organization by telephone",
                organization,
                keys.fingerprint,
            )
        if before.keys != keys:
            raise SealError(self._changed(before, keys))

    def demand_nothing_sealed(self, organization: int) -> None:
        """See that the contract's format may be used from or to an organization.

        Raises
        ------
        SealError
            If it must not: that would be a step back.
        """
        if self.required:
            raise SealError(
                f"Authenticated encryption is required here, and organization {organization} does "
                "not use it. Its node and clients need this software and its private key (see "
                "docs/security/authenticated-encryption.md)"
            )
        if organization in self.trusted or self.known.peer(organization) is not None:
            raise SealError(
                f"Organization {organization} uses authenticated encryption, but here is a "
                "message to or from it without: refused, since somebody at the server may have "
                "brought this about. If the organization really went back to older software (ask "
                f"by telephone): {self.how_to_forget}"
            )

    @property
    def is_wary(self) -> bool:
        """Whether there is anybody from whom the contract's format will not do."""
        others = (each.organization != self.organization for each in self.known.peers())
        return self.required or bool(self.trusted) or any(others)

    def demand_plain_question(
        self, questions: Sequence[Sent], task: int, organization: int
    ) -> None:
        """See that a result in the contract's format answers an input that was sent in it.

        Parameters
        ----------
        questions : sequence of Sent
            The inputs that may have been answered, as they are remembered; none if they were not
            sent from here.
        task, organization : int
            Whose result it is, as the server says.

        Raises
        ------
        SealError
            If it does not.
        """
        if questions and not any(
            each.task == task and each.receiver == organization and not each.sealed
            for each in questions
        ):
            raise SealError(
                f"The result of organization {organization} comes without authenticated "
                "encryption, but its question was not sent so: the server, or whoever has access "
                "to it, replaced it"
            )
        self.demand_nothing_sealed(organization)

    def knows(self, organization: int) -> bool:
        """Whether an organization was seen with authenticated encryption."""
        return organization in self.trusted or self.known.peer(organization) is not None

    def sealer(self, envelope: Envelope, receiver: PublicKeys) -> Sealer:
        """Seals a letter."""
        return Sealer(envelope, self.own, receiver)

    def opener(self, check: Check, accept: Check | None = None) -> Opener:
        """Opens a letter to this organization, if `check` agrees and its sender is trusted.

        `check` is asked first: a letter for another place makes nobody known. `accept` is asked
        last.
        """

        def checked(envelope: Envelope, sender: PublicKeys) -> None:
            if envelope.receiver != self.organization:
                raise SealError(
                    f"The letter is for organization {envelope.receiver}, not for this one"
                )
            check(envelope, sender)
            self.admit(envelope.sender, sender)
            if accept is not None:
                accept(envelope, sender)

        return Opener(self.own, checked)

    def _changed(self, before: Peer, keys: PublicKeys) -> str:
        return (
            f"Organization {before.organization} comes with other keys than before: known since "
            f"{before.since} are {before.keys.fingerprint}, these are {keys.fingerprint}. Compare "
            "the new fingerprint with the organization by telephone. If it is right: "
            f"{self.how_to_forget}. If not, somebody at the server tries to get in between"
        )


def image_digests(image: str) -> tuple[str, str]:
    """Digests of an image: of its exact name, and of its repository alone.

    The latter is what a task through an algorithm store is bound to: the store adds a digest.
    """
    path, slash, last = image.partition("@")[0].rpartition("/")
    repository = path + slash + last.partition(":")[0]
    return digest({"image": image}), digest({"repository": repository})


def must_agree(what: str, bound: object, found: object) -> None:
    """See that a letter is used where it is bound to.

    Raises
    ------
    SealError
        If it is not.
    """
    if bound != found:
        raise SealError(
            f"The letter is bound to another {what} ({bound}, not {found}): the server, or "
            "whoever has access to it, put it in a wrong place"
        )
