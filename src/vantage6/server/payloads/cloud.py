"""Payloads in a bucket or container of a cloud, or of a service that speaks the same language."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from vantage6.server.payloads.store import PIECE, NoSuchPayload, StoreError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = logging.getLogger(__name__)

#: Bytes of one part of an upload, and how many are under way: together the memory of an upload.
_PART, _PARTS = 8 * 1024**2, 2
_CLIENT: Any = {"connect_timeout": "10s", "timeout": "300s"}
_RETRY: Any = {"max_retries": 4}
_AZURITE = {
    "account_name": "devstoreaccount1",
    # The emulator's published key, the same for everybody.
    "account_key": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsu"
    "Fq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "endpoint": "http://127.0.0.1:10000/devstoreaccount1",
}


class CloudStore:
    """Payloads as objects; one becomes visible when it is complete.

    Parameters
    ----------
    objects : obstore.store.ObjectStore
        Where they lie.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def put(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Keep what arrives; see :class:`.store.PayloadStore`."""
        source = _Source(pieces)
        try:
            with _explained("put"):
                await self._objects.put_async(
                    name, source, use_multipart=True, chunk_size=_PART, max_concurrency=_PARTS
                )
        except StoreError:
            if source.failure is not None:
                raise source.failure from None
            raise

    async def open(self, name: str) -> AsyncIterator[bytes]:
        """Hand out a payload; see :class:`.store.PayloadStore`."""
        with _explained("get"):
            found = await self._objects.get_async(name)
        return _pieces(found.stream(min_chunk_size=PIECE))

    async def delete(self, name: str) -> None:
        """Delete a payload; see :class:`.store.PayloadStore`."""
        try:
            with _explained("delete"):
                await self._objects.delete_async(name)
        except NoSuchPayload:
            pass


class _Source:
    """Pieces on their way to a store, which wraps what they raise beyond recognition."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self.failure: Exception | None = None

    def __aiter__(self) -> _Source:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.failure = error
            raise


async def _pieces(stream: Any) -> AsyncIterator[bytes]:
    with _explained("get"):
        async for piece in stream:
            yield bytes(piece)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        raise NoSuchPayload("The payload's object is gone") from error
    except (BaseError, OSError) as error:
        # The store's own words may quote signatures and keys: they go no further than this line.
        log.debug("%s at the payload store: %s", what, error)
        raise StoreError(f"The payload store refuses to {what}: {type(error).__name__}") from None


def azure(container: str, settings: Mapping[str, str]) -> CloudStore:
    """A container of Azure Blob Storage."""
    from obstore.store import AzureStore

    insecure = settings.get("endpoint", "").startswith("http://")
    options: Any = {**_CLIENT, "allow_http": insecure}
    return CloudStore(
        AzureStore(
            container, config=cast(Any, dict(settings)), client_options=options, retry_config=_RETRY
        )
    )


def s3(bucket: str, settings: Mapping[str, str]) -> CloudStore:
    """A bucket of S3, or of a service that is compatible with it."""
    from obstore.store import S3Store

    insecure = settings.get("endpoint", "").startswith("http://")
    options: Any = {**_CLIENT, "allow_http": insecure}
    return CloudStore(
        S3Store(
            bucket, config=cast(Any, dict(settings)), client_options=options, retry_config=_RETRY
        )
    )


def gcs(bucket: str, settings: Mapping[str, str]) -> CloudStore:
    """A bucket of Google Cloud Storage."""
    from obstore.store import GCSStore

    return CloudStore(
        GCSStore(
            bucket, config=cast(Any, dict(settings)), client_options=_CLIENT, retry_config=_RETRY
        )
    )


def read_connection_string(text: str) -> dict[str, str]:
    """Take an Azure connection string apart.

    Raises
    ------
    ValueError
        If it names no account, or no way to log in.
    """
    pairs = (part.partition("=") for part in text.strip().split(";") if part.strip())
    found = {key.strip().lower(): value.strip() for key, _, value in pairs}
    if found.get("usedevelopmentstorage", "").lower() == "true":
        return dict(_AZURITE)
    settings = {
        "account_name": found.get("accountname", ""),
        "account_key": found.get("accountkey", ""),
        "sas_key": found.get("sharedaccesssignature", ""),
        "endpoint": found.get("blobendpoint", ""),
    }
    if not settings["account_name"] and settings["endpoint"]:
        host = settings["endpoint"].partition("://")[2]
        settings["account_name"] = host.partition(".")[0]
    if not settings["account_name"]:
        raise ValueError("it holds no AccountName=")
    if not settings["account_key"] and not settings["sas_key"]:
        raise ValueError("it holds neither AccountKey= nor SharedAccessSignature=")
    if not settings["endpoint"] and "endpointsuffix" in found:
        protocol = found.get("defaultendpointsprotocol", "https")
        account = settings["account_name"]
        settings["endpoint"] = f"{protocol}://{account}.blob.{found['endpointsuffix']}"
    return {key: value for key, value in settings.items() if value}
