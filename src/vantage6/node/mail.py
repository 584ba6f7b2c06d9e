"""Inputs and results as they come to this node and leave it: sealed, encrypted or encoded.

Which format it is, is decided here. A letter in the sealed format is opened only in the place it is
bound to: this organization, collaboration, image, databases and parent task for an input; run,
task, organization and question for a result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vantage6.common.sealing import (
    Correspondence,
    Either,
    Envelope,
    PublicKeys,
    Sealer,
    SealError,
    is_sealed,
)
from vantage6.common.sealing.correspondence import image_digests, must_agree
from vantage6.common.sealing.either import NOT_USED
from vantage6.common.sealing.letter import Check, digest
from vantage6.common.transforms import Transform
from vantage6.node.connection import Identity, Refused
from vantage6.node.journal import Ticket
from vantage6.node.offer import Offer
from vantage6.node.organizations import NoUsableKey, Organizations


@dataclass(frozen=True)
class Parent:
    """The run that makes subtasks, and that is told their results.

    ``image`` is its own, and that of its subtasks; empty if the node was restarted since.
    """

    run_id: int
    task_id: int
    image: str = ""


@dataclass(frozen=True)
class Subrun:
    """A run of a subtask; its task and organization if the server was asked."""

    id: int
    task: int | None = None
    organization: int | None = None


@dataclass(frozen=True)
class Upload:
    """An uploaded input of a subtask: for whom, and the nonce under which it is remembered."""

    receiver: int
    nonce: str


class Mail:
    """A node's inputs and results.

    Parameters
    ----------
    organizations : Organizations
        Their names and keys, and the contract's format.
    identity : Identity
        Who this node is.
    correspondence : Correspondence, optional
        For the sealed format; without it there is the contract's format only.
    """

    def __init__(
        self,
        organizations: Organizations,
        identity: Identity,
        correspondence: Correspondence | None = None,
    ) -> None:
        self._organizations = organizations
        self._identity = identity
        self._letters = correspondence

    # -- inputs of this node's runs ---------------------------------------------------------

    def input_opener(self, offer: Offer) -> Transform:
        """Opens the input of a run, as the payload store has it.

        The transform raises ValueError when it is not for this organization, not in a known
        format, or SealError when it must not be trusted.
        """
        return self._opener(
            lambda envelope, _: self._check_input(offer, envelope),
            lambda envelope, _: self._accept(offer, envelope),
            lambda letters: letters.demand_nothing_sealed(offer.init_org_id),
        )

    async def open_input(self, offer: Offer) -> bytes:
        """Open the input of a run.

        Raises
        ------
        ValueError
            If it is not for this organization, or not in a known format.
        SealError
            If it must not be trusted.
        """
        if is_sealed(offer.input):
            letters = self._sealed_only()
            opener = letters.opener(
                lambda envelope, _: self._check_input(offer, envelope),
                lambda envelope, _: self._accept(offer, envelope),
            )
            return await asyncio.to_thread(opener.text, offer.input)
        await self._demand_nothing_sealed(offer.init_org_id)
        return await self._organizations.open(offer.input)

    def _check_input(self, offer: Offer, envelope: Envelope) -> None:
        must_agree("kind of payload", envelope.kind, "input")
        must_agree("collaboration", envelope.collaboration, self._identity.collaboration_id)
        must_agree("initiating organization", envelope.sender, offer.init_org_id)
        must_agree("parent task", envelope.parent, offer.parent_id)
        if envelope.image not in image_digests(offer.image):
            raise SealError(
                f"The input was not made for the image '{offer.image}' that the server names for "
                "it: the server, or whoever has access to it, replaced one of the two"
            )
        if envelope.databases is not None:
            asked = [{"label": each.label, **each.parameters} for each in offer.databases]
            must_agree("choice of databases", envelope.databases, digest(asked))

    def _accept(self, offer: Offer, envelope: Envelope) -> None:
        first = self._sealed_only().known.receive(envelope.nonce, offer.run_id, offer.image)
        if first != offer.run_id:
            raise SealError(
                f"This very input came before, for run {first}: the server, or whoever has access "
                "to it, repeats it"
            )

    # -- results of this node's runs --------------------------------------------------------

    async def seal_result(self, data: bytes, ticket: Ticket) -> str:
        """Seal, encrypt or encode a result for the organization that wants it.

        Raises
        ------
        NoUsableKey
            If it cannot be.
        """
        if sealer := await self._result_sealer(ticket):
            return await asyncio.to_thread(sealer.text, data)
        return await self._organizations.seal(data, ticket.init_org_id)

    async def result_sealer(self, ticket: Ticket) -> Transform:
        """Likewise, for the payload store.

        Raises
        ------
        NoUsableKey
            If it cannot be.
        """
        sealer = await self._result_sealer(ticket)
        return sealer or await self._organizations.sealer_for(ticket.init_org_id)

    async def _result_sealer(self, ticket: Ticket) -> Sealer | None:
        """Seals for an organization that is known; its keys came with its own letters."""
        letters = self._letters
        if letters is None:
            return None
        receiver = ticket.init_org_id

        def make() -> Sealer | None:
            peer = letters.known.peer(receiver)
            if peer is None:
                letters.demand_nothing_sealed(receiver)
                return None
            letters.admit(receiver, peer.keys)
            question = letters.known.received(ticket.run_id)
            envelope = Envelope(
                "result",
                self._identity.collaboration_id,
                self._identity.organization_id,
                receiver,
                task=ticket.task_id,
                run=ticket.run_id,
                answers=question.nonce if question else None,
            )
            return letters.sealer(envelope, peer.keys)

        try:
            return await asyncio.to_thread(make)
        except SealError as error:
            raise NoUsableKey(str(error)) from error

    # -- subtasks ---------------------------------------------------------------------------

    async def seal_subtask(
        self, data: bytes, receiver: int, parent: Parent, image: str, databases: Any
    ) -> tuple[str, str]:
        """Seal, encrypt or encode the input of a subtask for an organization.

        Returns
        -------
        tuple
            The input as it is sent, and the nonce under which it is remembered.

        Raises
        ------
        NoUsableKey
            If it cannot be.
        """
        keys = await self._subtask_keys(receiver, parent)
        bound_to = digest(databases or [])
        envelope = self._subtask_envelope(receiver, parent, image, bound_to)
        await self._note_question(envelope, sealed=keys is not None)
        if keys is None:
            return await self._organizations.seal(data, receiver), envelope.nonce
        sealer = await self._subtask_sealer(keys, envelope)
        return await asyncio.to_thread(sealer.text, data), envelope.nonce

    async def upload_sealer(
        self, public_key: str, parent: Parent
    ) -> tuple[Transform, Upload | None]:
        """Likewise for the payload store, for the organization that has an RSA key.

        Returns
        -------
        tuple
            What encrypts, and what is to be remembered of the upload.

        Raises
        ------
        ValueError
            If the public key is needed, and not usable.
        NoUsableKey
            If it cannot be sealed.
        """
        if self._letters is None:
            return await self._organizations.sealer(public_key), None
        receiver = await self._holder(public_key)
        keys = await self._subtask_keys(receiver, parent)
        envelope = self._subtask_envelope(receiver, parent, await self._image_of(parent), None)
        await self._note_question(envelope, sealed=keys is not None)
        upload = Upload(receiver, envelope.nonce)
        if keys is None:
            return await self._organizations.sealer(public_key), upload
        return await self._subtask_sealer(keys, envelope), upload

    async def may_name(self, receiver: int, upload: Upload | None) -> None:
        """See that an upload is the input of the organization that it was made for.

        Raises
        ------
        NoUsableKey
            If it is not, or if that cannot be told and matters.
        """
        letters = self._letters
        if letters is None or (upload is not None and upload.receiver == receiver):
            return
        if upload is not None or await asyncio.to_thread(letters.knows, receiver):
            raise NoUsableKey(
                f"the upload was not made for organization {receiver}: upload it again, with that "
                "organization's public key"
            )

    async def _holder(self, public_key: str) -> int:
        holders = [
            each.id
            for each in await self._organizations.members(self._identity.collaboration_id)
            if each.public_key == public_key
        ]
        if len(holders) != 1:
            raise NoUsableKey(
                f"{len(holders)} organizations of the collaboration have the public key for which "
                "the input is to be encrypted; it has to be exactly one"
            )
        return holders[0]

    async def _subtask_keys(self, receiver: int, parent: Parent) -> PublicKeys | None:
        """The keys to seal with; None for the contract's format."""
        letters = self._letters
        if letters is None:
            return None
        try:
            organization = await self._organizations.get(receiver)
        except Refused as error:
            raise NoUsableKey(f"organization {receiver} cannot be looked up: {error}") from error

        def decide() -> PublicKeys | None:
            # In kind: who asked in the contract's format has software that reads no other, in
            # the same organization as this node, which its peers may not know yet.
            in_kind = letters.known.received(parent.run_id) is not None
            if not (in_kind or letters.required or letters.knows(receiver)):
                return None
            return letters.keys_of(receiver, organization.authenticated_keys)

        try:
            return await asyncio.to_thread(decide)
        except SealError as error:
            raise NoUsableKey(str(error)) from error

    async def _image_of(self, parent: Parent) -> str:
        if parent.image:
            return parent.image
        letter = await asyncio.to_thread(self._sealed_only().known.received, parent.run_id)
        return letter.image if letter else ""

    def _subtask_envelope(
        self, receiver: int, parent: Parent, image: str, databases: str | None
    ) -> Envelope:
        return Envelope(
            "input",
            self._identity.collaboration_id,
            self._identity.organization_id,
            receiver,
            image=image_digests(image)[0],
            databases=databases,
            parent=parent.task_id,
        )

    async def _note_question(self, envelope: Envelope, *, sealed: bool) -> None:
        if self._letters is None:
            return
        known = self._letters.known
        await asyncio.to_thread(
            known.send, envelope.nonce, envelope.receiver, sealed=sealed, parent=envelope.parent
        )

    async def _subtask_sealer(self, keys: PublicKeys, envelope: Envelope) -> Sealer:
        return await asyncio.to_thread(self._sealed_only().sealer, envelope, keys)

    async def subtask_made(self, nonces: list[str], task: int) -> None:
        """Note which task the inputs of a subtask became.

        Raises
        ------
        SealError
            If the server says that it is a task that was made before.
        """
        letters = self._letters
        if letters is not None and not await asyncio.to_thread(letters.known.became, nonces, task):
            raise SealError(f"The server gives a new subtask the id {task} of an earlier one")

    @property
    def is_wary(self) -> bool:
        """Whether it matters whose result it is; reads from the disk."""
        return self._letters is not None and self._letters.is_wary

    def subresult_opener(self, parent: Parent, run: Subrun | None) -> Transform:
        """Opens the result of a subtask, as the payload store has it.

        Parameters
        ----------
        run : Subrun, optional
            The run whose result it is, if it is known.

        The transform raises as that of :meth:`input_opener`.
        """

        def demand(letters: Correspondence) -> None:
            self._check_plain_subresult(letters, parent, run)

        return self._opener(
            lambda envelope, _: self._check_subresult(parent, run, envelope), None, demand
        )

    async def open_subresult(self, text: str, parent: Parent, run: Subrun) -> bytes:
        """Open the result of a subtask.

        Raises
        ------
        ValueError
            If it is not for this organization, or not in a known format.
        SealError
            If it must not be trusted.
        """
        if is_sealed(text):
            opener = self._sealed_only().opener(
                lambda envelope, _: self._check_subresult(parent, run, envelope)
            )
            return await asyncio.to_thread(opener.text, text)
        if self._letters is not None:
            await asyncio.to_thread(self._check_plain_subresult, self._letters, parent, run)
        return await self._organizations.open(text)

    def _check_plain_subresult(
        self, letters: Correspondence, parent: Parent, run: Subrun | None
    ) -> None:
        if not letters.is_wary:
            return
        if run is None or run.task is None or run.organization is None:
            raise SealError(
                "It cannot be told whose payload this is, and it comes without authenticated "
                "encryption: ask for the result (GET /result) before downloading it"
            )
        questions = letters.known.sent_under(parent.task_id)
        letters.demand_plain_question(questions, run.task, run.organization)

    def _check_subresult(self, parent: Parent, run: Subrun | None, envelope: Envelope) -> None:
        must_agree("kind of payload", envelope.kind, "result")
        must_agree("collaboration", envelope.collaboration, self._identity.collaboration_id)
        if run is not None:
            must_agree("run", envelope.run, run.id)
        question = self._sealed_only().known.sent(envelope.answers or "")
        if question is None:
            raise SealError(
                "The result answers no question of this node: the server, or whoever has access "
                "to it, put it here"
            )
        must_agree("answering organization", envelope.sender, question.receiver)
        must_agree("parent task", question.parent, parent.task_id)

    # -- both -------------------------------------------------------------------------------

    def _opener(
        self, check: Check, accept: Check | None, demand: Callable[[Correspondence], None]
    ) -> Transform:
        letters = self._letters
        if letters is None:
            return Either(self._organizations.opener)

        def plain() -> Transform:
            demand(letters)
            return self._organizations.opener()

        return Either(plain, lambda: letters.opener(check, accept))

    def _sealed_only(self) -> Correspondence:
        if self._letters is None:
            raise SealError(NOT_USED)
        return self._letters

    async def _demand_nothing_sealed(self, sender: int) -> None:
        if self._letters is not None:
            await asyncio.to_thread(self._letters.demand_nothing_sealed, sender)
