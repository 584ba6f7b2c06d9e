"""The section ``large_result_store`` of the configuration, and the store it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from vantage6.server.payloads import cloud
from vantage6.server.payloads.folder import FolderStore
from vantage6.server.payloads.store import PayloadStore

_AZURE_LOGIN = ("tenant_id", "client_id", "client_secret", "storage_account_name")


class LargeResultStore(BaseModel):
    """Where payloads lie: a container of Azure, a bucket of S3 or Google, or a folder.

    Credentials that are not given come from the environment, as the cloud's own tools have it.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    type: Literal["azure", "s3", "gcs", "folder"] = "azure"
    #: The container or bucket.
    container_name: str | None = None
    # Azure
    connection_string: str | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    storage_account_name: str | None = None
    # S3
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    # Google
    service_account: Path | None = None
    # A folder
    path: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type == "folder":
            if self.path is None:
                raise ValueError("type 'folder' needs 'path', the folder")
            return self
        if not self.container_name:
            raise ValueError(f"type '{self.type}' needs 'container_name', its container or bucket")
        if self.type == "azure":
            self._azure_settings()
        if self.type == "s3" and bool(self.access_key_id) != bool(self.secret_access_key):
            raise ValueError("'access_key_id' and 'secret_access_key' belong together")
        return self

    def _azure_settings(self) -> dict[str, str]:
        if self.connection_string:
            try:
                return cloud.read_connection_string(self.connection_string)
            except ValueError as error:
                raise ValueError(f"'connection_string' is not one of Azure's: {error}") from None
        given = {key: getattr(self, key) for key in _AZURE_LOGIN}
        missing = [key for key, value in given.items() if not value]
        if missing:
            raise ValueError(
                "give 'connection_string', or all of 'tenant_id', 'client_id', 'client_secret' "
                f"and 'storage_account_name' ({', '.join(missing)} missing)"
            )
        given["account_name"] = given.pop("storage_account_name")
        return given

    def open(self) -> PayloadStore:
        """The store, not yet asked for anything.

        Raises
        ------
        ImportError
            If the package for clouds is not installed.
        """
        container = self.container_name or ""
        match self.type:
            case "azure":
                return cloud.azure(container, self._azure_settings())
            case "s3":
                settings = {
                    "endpoint": self.endpoint,
                    "region": self.region or "us-east-1",
                    "access_key_id": self.access_key_id,
                    "secret_access_key": self.secret_access_key,
                }
                return cloud.s3(container, {k: v for k, v in settings.items() if v})
            case "gcs":
                account = self.service_account
                return cloud.gcs(container, {"service_account": str(account)} if account else {})
            case "folder":
                return FolderStore(self.path or Path())
