"""Large inputs and results apart from the JSON: the calls of every client."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from vantage6.common.client.connection import Connection
from vantage6.common.client.refusal import decode_json, read_refusal
from vantage6.common.exceptions import BlobError
from vantage6.common.globals import DEFAULT_CHUNK_SIZE, REQUEST_TIMEOUT
from vantage6.common.transforms import in_pieces

T = TypeVar("T")

_OCTETS = {"Content-Type": "application/octet-stream"}


class BlobCalls:
    """The part of a client that uploads and downloads."""

    log: logging.Logger
    _connection: Connection

    @property
    def headers(self) -> dict[str, str]:
        """The header that proves who asks."""
        raise NotImplementedError

    def generate_path_to(self, endpoint: str, is_for_algorithm_store: bool = False) -> str:
        """Full URL of an endpoint."""
        raise NotImplementedError

    def _refresh_when_due(self) -> None:
        raise NotImplementedError

    def check_if_blob_store_enabled(self) -> bool:
        """Ask whether inputs and results travel as blobs, apart from the JSON.

        Returns
        -------
        bool
            False also if the server does not know the question.
        """
        return bool(self._blob_status().get("blob_store_enabled", False))

    def _blob_status(self) -> dict[str, Any]:
        response = self._connection.send(
            "GET", self.generate_path_to("blobstream/status"), headers={**_OCTETS, **self.headers}
        )
        if response.status_code >= 400:
            self.log.warning(
                "Blob store check failed with status code %s. Assuming blob store is disabled. "
                "Does the server version match this client's version?",
                response.status_code,
            )
            return {}
        status: dict[str, Any] = decode_json(response)
        return status

    def _inline_limit(self) -> int | None:
        """Bytes of base64 that an input may have inside JSON; None: any, 0: it is never there.

        A server that does not say from which size on inputs are uploaded wants all or none.
        """
        status = self._blob_status()
        limit = status.get("inline_limit")
        if isinstance(limit, int):
            return limit
        return 0 if status.get("blob_store_enabled") else None

    def _upload_run_data_to_server(
        self, data: bytes | Callable[[], Iterable[bytes]], pub_key: str | None = None
    ) -> str:
        """Send bytes in chunks; the identifier under which the server keeps them.

        Parameters
        ----------
        data : bytes or callable
            What to send, or what makes it piece by piece; called once per attempt.
        pub_key : str, optional
            For a proxy: the public key of the organization that it is for.

        Raises
        ------
        BlobError
            If the server does not take it.
        """
        self._refresh_when_due()
        headers = {**_OCTETS, **self.headers}
        if pub_key:
            headers["X-Public-Key"] = pub_key
        pieces = data if callable(data) else lambda: [data]
        url = self.generate_path_to("blobstream")
        response = self._connection.send(
            "POST",
            url,
            headers=headers,
            content=lambda: in_pieces(pieces(), DEFAULT_CHUNK_SIZE),
            timeout=REQUEST_TIMEOUT,
        )
        if not response.is_success:
            raise BlobError(f"Failed to upload blob to server: {response.text}")
        identifier = decode_json(response).get("uuid")
        if not identifier:
            raise BlobError("Failed to get UUID from blobstream response")
        return str(identifier)

    def _download_run_data_from_server(self, data_uuid: str) -> bytes:
        """Bytes of a blob.

        Raises
        ------
        ValueError
            If the identifier is not a UUID in its usual form.
        BlobError
            If the server refuses.
        """
        return self._receive_run_data(data_uuid, b"".join)

    def _receive_run_data(self, data_uuid: str, receive: Callable[[Iterator[bytes]], T]) -> T:
        """Hand the pieces of a blob to a callable, from the first one again if they break off.

        Returns
        -------
        Any
            What the callable returned.

        Raises
        ------
        ValueError
            If the identifier is not a UUID in its usual form.
        BlobError
            If the server refuses.
        """
        if not _is_uuid(data_uuid):
            raise ValueError(f"'{data_uuid}' is not the UUID of a blob")
        self._refresh_when_due()
        received: list[T] = []
        response = self._connection.send(
            "GET",
            self.generate_path_to(f"blobstream/{data_uuid}"),
            headers={**_OCTETS, **self.headers},
            receive=lambda pieces: received.append(receive(pieces)),
            timeout=REQUEST_TIMEOUT,
        )
        if response.status_code != 200 or not received:
            said = read_refusal(response, f"GET blobstream/{data_uuid}").explain()
            raise BlobError(f"Failed to download blob from server: {said}")
        return received[-1]


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except (ValueError, AttributeError, TypeError):
        return False
