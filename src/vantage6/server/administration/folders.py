"""What a server keeps beside its database, and a backup must hold too."""

from __future__ import annotations

from pathlib import Path

from vantage6.server.config import ServerConfig

# By the name in the archive, below the data folder; a folder that is not there is left out.
_KEPT = ("payloads",)


def kept_folders(config: ServerConfig) -> dict[str, Path]:
    """The folders of a server that belong into a backup, by name."""
    return {name: config.data_folder / name for name in _KEPT}
