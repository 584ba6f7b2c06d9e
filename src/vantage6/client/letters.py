"""A researcher's side of authenticated encryption: sealing inputs, judging results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vantage6.common.sealing import (
    Correspondence,
    Either,
    Envelope,
    Opener,
    PublicKeys,
    Sealer,
    SealError,
)
from vantage6.common.sealing.correspondence import image_digests, must_agree
from vantage6.common.sealing.letter import digest, is_sealed
from vantage6.common.transforms import Transform


@dataclass(frozen=True)
class Errand:
    """What the inputs of a new task are bound to. The image is looked up by `store` if that is set.

    ``databases`` is what the task names, as it goes to the server.
    """

    collaboration: int
    image: str
    databases: Any
    store: bool


class Letters:
    """Seals inputs and judges results.

    Parameters
    ----------
    correspondence : Correspondence
        Of the user's organization.
    chosen : bool
        Whether its user asked for authenticated encryption; otherwise its node decides.
    """

    def __init__(self, correspondence: Correspondence, *, chosen: bool) -> None:
        self._letters = correspondence
        self._chosen = chosen

    @property
    def correspondence(self) -> Correspondence:
        """Keys and rules."""
        return self._letters

    # -- inputs -----------------------------------------------------------------------------

    def own_side_is_ready(self, organization: Mapping[str, Any]) -> bool | None:
        """Whether the own organization's node reads the sealed format, too.

        What one sends sealed, others want sealed from then on; an older node of the same
        organization could not follow.

        Returns
        -------
        bool | None
            None if that depends on whether it has a node at all.

        Raises
        ------
        SealError
            If its node uses another private key.
        """
        letters = self._letters
        if published := organization.get("authenticated_keys"):
            letters.admit(letters.organization, PublicKeys.read(published))
            return True
        if letters.required or letters.knows(letters.organization):
            return True
        return None if self._chosen else False

    def keys_of(
        self, receivers: Iterable[int], organizations: Mapping[int, Mapping[str, Any]], ready: bool
    ) -> dict[int, PublicKeys | None]:
        """Per receiver the keys to seal with; None where only the contract's format will do.

        Raises
        ------
        SealError
            If an organization comes with other keys than are known, or without any.
        """
        letters = self._letters
        keys: dict[int, PublicKeys | None] = {}
        for receiver in receivers:
            published = organizations.get(receiver, {}).get("authenticated_keys")
            wanted = ready or letters.required or letters.knows(receiver)
            keys[receiver] = letters.keys_of(receiver, published) if wanted else None
        return keys

    def address(self, receiver: int, errand: Errand, sealed: bool) -> Envelope:
        """The envelope of an input, which is remembered from here on."""
        exact, repository = image_digests(errand.image)
        envelope = Envelope(
            "input",
            errand.collaboration,
            self._letters.organization,
            receiver,
            image=repository if errand.store else exact,
            databases=digest(errand.databases),
        )
        self._letters.known.send(envelope.nonce, receiver, sealed=sealed)
        return envelope

    def seal(self, envelope: Envelope, keys: PublicKeys, data: bytes) -> str:
        """An input as it goes into JSON."""
        return self.sealer(envelope, keys).text(data)

    def sealer(self, envelope: Envelope, keys: PublicKeys) -> Sealer:
        """Seals a large input."""
        return self._letters.sealer(envelope, keys)

    def became(self, envelopes: Iterable[Envelope], task: int) -> None:
        """Remember which task inputs became.

        Raises
        ------
        SealError
            If the server says that it is a task that was made before.
        """
        if not self._letters.known.became([each.nonce for each in envelopes], task):
            raise SealError(
                f"The server gives the new task the id {task} of an earlier one, whose results "
                "it could then pass for this one's"
            )

    # -- results ----------------------------------------------------------------------------

    def needs_owner(self, result: Mapping[str, Any], task: int) -> bool:
        """Whether a result can be judged only by knowing whose run it is."""
        if not self._letters.is_wary:
            return False
        letter = not result["blob_storage_used"] and is_sealed(result["result"])
        return not letter or not self._letters.known.sent_for(task)

    def opener(self, run: int, task: int, owner: int | None, plain: Transform) -> Either:
        """Opens a result from the payload store.

        Parameters
        ----------
        run, task : int
            Whose result it is to be.
        owner : int, optional
            The organization of the run, as the server says.
        plain : Transform
            Opens the contract's format.
        """

        def contract() -> Transform:
            self.judge_plain(task, owner)
            return plain

        return Either(contract, lambda: self._opener(run, task, owner))

    def open(self, text: str, run: int, task: int, owner: int | None) -> bytes:
        """Open a sealed result in JSON.

        Raises
        ------
        SealError
            If it must not be trusted.
        """
        return self._opener(run, task, owner).text(text)

    def open_input(self, text: str) -> bytes:
        """Open a sealed input of one's own organization, to look at it."""
        return self.input_opener().text(text)

    def input_opener(self) -> Opener:
        """Likewise, from the payload store."""
        return self._letters.opener(lambda envelope, _: must_agree("kind", envelope.kind, "input"))

    def judge_plain(self, task: int, owner: int | None) -> None:
        """See that a result in the contract's format will do.

        Raises
        ------
        SealError
            If it will not.
        """
        if owner is not None:
            questions = self._letters.known.sent_for(task)
            self._letters.demand_plain_question(questions, task, owner)

    def _opener(self, run: int, task: int, owner: int | None) -> Opener:
        def check(envelope: Envelope, _: PublicKeys) -> None:
            must_agree("kind of payload", envelope.kind, "result")
            must_agree("run", envelope.run, run)
            must_agree("task", envelope.task, task)
            known = self._letters.known
            question = known.sent(envelope.answers) if envelope.answers else None
            questions = known.sent_for(task)
            if question is None and not questions:
                # Made on another machine, or by a colleague: nothing more is known of it here.
                if owner is not None:
                    must_agree("organization", envelope.sender, owner)
                return
            if question is None:
                question = next(
                    (
                        each
                        for each in questions
                        if each.receiver == envelope.sender and not each.sealed
                    ),
                    None,
                )
            if question is None:
                raise SealError(
                    "The result answers another question than this task's: the server, or whoever "
                    "has access to it, put an old one in its place"
                )
            must_agree("answering organization", envelope.sender, question.receiver)
            if question.task is not None:
                must_agree("task", question.task, task)

        return self._letters.opener(check)
