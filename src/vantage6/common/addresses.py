"""Which server the address of a database names, and the same database by another way."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

Target = tuple[str, int]

_PORTS = {
    "http": 80,
    "https": 443,
    "mariadb": 3306,
    "mssql": 1433,
    "mysql": 3306,
    "oracle": 1521,
    "postgres": 5432,
    "postgresql": 5432,
    "redshift": 5439,
    "sqlserver": 1433,
}
# JDBC has words between scheme and host (oracle:thin:@//), and parameters behind a semicolon.
_AUTHORITY = re.compile(
    r"^(?P<before>[^/]*//(?:[^/@]*@)?)(?P<host>\[[^\]]+\]|[^/:;?]+)(?P<port>:\d+)?"
)


def server_of(uri: str) -> Target | None:
    """Host and port of the server that an address names; None if it names none."""
    plain = uri.removeprefix("jdbc:")
    if plain != uri:
        plain = plain.partition(";")[0]
    scheme = re.split(r"[:+]", plain, maxsplit=1)[0].lower()
    try:
        url = urlsplit(f"{scheme}://{plain.partition('//')[2]}")
        port = url.port or _PORTS.get(scheme)
    except ValueError:
        return None
    return (url.hostname, port) if url.hostname and port else None


def moved(uri: str, host: str, port: int) -> str:
    """The same database at another host and port; the rest of the address stays as it is.

    Raises
    ------
    ValueError
        If the address names no server.
    """
    if server_of(uri) is None or (found := _AUTHORITY.match(uri)) is None:
        raise ValueError("The address names no server")
    return f"{found['before']}{host}:{port}{uri[found.end() :]}"
