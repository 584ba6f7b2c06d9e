"""Inputs and results as they come from the server, made readable."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from vantage6.client.letters import Letters
from vantage6.common.encryption import SEPARATOR, CryptorBase, DummyCryptor, RSACryptor
from vantage6.common.exceptions import BlobError, NotAuthenticatedError, ServerUnreachableError
from vantage6.common.sealing import Either, NotForUs, SealError, is_sealed
from vantage6.common.sealing.either import NOT_USED
from vantage6.common.transforms import through

Receive = Callable[[str, Callable[[Iterator[bytes]], Any]], Any]


#: Run, task, and organization if that matters, that a result is to come from.
Origin = tuple[int, int, int | None] | None


class _Unreadable(Exception):
    """It is not in the contract's form, or not for this key."""


class Decoder:
    """Turns the field ``input`` or ``result`` of what the server sent into JSON text.

    What can't be decrypted (it is meant for another organization) stays as it is, and one line in
    the log says for how many items that was so.

    Parameters
    ----------
    cryptor : CryptorBase | None
        The client's cryptor.
    receive : callable
        Hands the pieces of a blob, given its UUID, to a callable and returns what that returns.
    log : logging.Logger
    aside : callable
        Does what takes the processor long.
    letters : Letters, optional
        For authenticated encryption.
    owner_of : callable, optional
        Asks the server for the organization of a run.
    task : int, optional
        The task whose results were asked for; by default what the server says.
    """

    def __init__(
        self,
        cryptor: CryptorBase | None,
        receive: Receive,
        log: logging.Logger,
        aside: Callable[..., Any],
        letters: Letters | None = None,
        owner_of: Callable[[int], int] | None = None,
        task: int | None = None,
    ) -> None:
        if cryptor is None:
            raise NotAuthenticatedError(
                "Encryption has not yet been setup! Call client.authenticate() first"
            )
        self._cryptor = cryptor
        self._receive = receive
        self._log = log
        self._aside = aside
        self._letters = letters
        self._owner_of = owner_of
        self._task = task
        self._failures: dict[str, list[object]] = {}

    def decode(self, item: dict[str, Any], field: str) -> dict[str, Any]:
        """Return the item with the field decoded; falsy values stay."""
        return self.decode_all([item], field)[0]

    def decode_all(self, items: Iterable[dict[str, Any]], field: str) -> list[dict[str, Any]]:
        """Return the items with the field decoded, in their order.

        Raises
        ------
        SealError
            If one of them must not be trusted.
        """
        decoded = [
            {**item, field: self._decode(item, field)} if item.get(field) else item
            for item in items
        ]
        self._tell(field)
        return decoded

    def save(self, item: dict[str, Any], field: str, path: Path) -> None:
        """Write the field decoded to a file, which is there when it is complete or not at all.

        Raises
        ------
        ValueError
            If it cannot be decrypted.
        SealError
            If it must not be trusted; it is a ``ValueError``, too.
        BlobError, ServerUnreachableError
            If it cannot be fetched.
        OSError
            If it cannot be written.
        """
        part = path.with_name(f"{path.name}.part")

        def write(pieces: Iterable[bytes]) -> None:
            with part.open("wb") as file:
                file.writelines(pieces)

        try:
            origin = self._origin(item, field)
            if item.get("blob_storage_used"):
                self._receive(item[field], lambda pieces: write(self._decrypted(pieces, origin)))
            else:
                write([self._decrypt(item[field], origin)])
            part.replace(path)
        except _Unreadable as error:
            raise ValueError(f"The {field} cannot be read: {self._explain(error)}") from error
        finally:
            part.unlink(missing_ok=True)

    def _origin(self, item: dict[str, Any], field: str) -> Origin:
        """Where a result is to come from; an input may be looked at wherever it came from."""
        if field != "result" or self._letters is None:
            return None
        task = self._task if self._task is not None else item["task"]["id"]
        owner = None
        if self._aside(self._letters.needs_owner, item, task) and self._owner_of is not None:
            owner = self._owner_of(item["id"])
        return item["id"], task, owner

    def _decrypt(self, text: str, origin: Origin) -> bytes:
        try:
            if is_sealed(text):
                return self._open(text, origin)
            if self._letters is not None and origin is not None:
                self._letters.judge_plain(*origin[1:])
        except NotForUs as error:
            raise _Unreadable(str(error)) from error
        except SealError as error:
            raise _refusal(error, origin) from error
        # Base64 text never holds the separator, an encrypted message does.
        if isinstance(self._cryptor, DummyCryptor) and SEPARATOR in text:
            raise _Unreadable("It is encrypted")
        try:
            return self._cryptor.decrypt(text)
        except ValueError as error:
            raise _Unreadable(str(error)) from error

    def _open(self, text: str, origin: Origin) -> bytes:
        if self._letters is None:
            raise _Unreadable(NOT_USED)
        if origin is None:
            return self._letters.open_input(text)
        return self._letters.open(text, *origin)

    def _decrypted(self, pieces: Iterable[bytes], origin: Origin) -> Iterator[bytes]:
        plain, letters = self._cryptor.decryptor, self._letters
        if letters is None:
            opener = Either(plain)
        elif origin is None:
            opener = Either(plain, letters.input_opener)
        else:
            opener = letters.opener(*origin, plain=plain())
        try:
            yield from through(opener, pieces)
        except NotForUs as error:
            raise _Unreadable(str(error)) from error
        except SealError as error:
            if letters is None:
                raise _Unreadable(str(error)) from error
            raise _refusal(error, origin) from error
        except ValueError as error:
            raise _Unreadable(str(error)) from error

    def _decode(self, item: dict[str, Any], field: str) -> Any:
        value = item[field]
        origin = self._origin(item, field)
        try:
            if item.get("blob_storage_used"):
                plain = self._receive(
                    value, lambda pieces: b"".join(self._decrypted(pieces, origin))
                )
            else:
                plain = self._aside(self._decrypt, value, origin)
        except (BlobError, ServerUnreachableError) as error:
            self._failures.setdefault(str(error), []).append(item.get("id"))
            return value
        except _Unreadable as error:
            self._failures.setdefault(self._explain(error), []).append(item.get("id"))
            return value
        try:
            return plain.decode("utf-8")
        except UnicodeDecodeError:
            self._log.error(
                "Failed to decode the field %s. Skipping decoding, returning bytes object.", field
            )
            return plain

    def _explain(self, error: _Unreadable) -> str:
        if isinstance(self._cryptor, RSACryptor):
            return (
                f"{error}. It can be read by the organization it is meant for only, "
                "with that organization's private key"
            )
        return (
            f"{error}. If the collaboration is encrypted, name your organization's private key "
            "with client.setup_encryption()"
        )

    def _tell(self, field: str) -> None:
        for reason, ids in self._failures.items():
            which = ", ".join(str(id_) for id_ in ids[:10]) + (", …" if len(ids) > 10 else "")
            self._log.warning("The %s with id %s is left as it is: %s", field, which, reason)
        self._failures.clear()


def _refusal(error: SealError, origin: Origin) -> SealError:
    what = f"The result of run {origin[0]}" if origin else "The input"
    return SealError(f"{what} is not used: {error}")
