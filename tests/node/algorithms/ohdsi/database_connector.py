"""Stands in for OHDSI's package of this name, which needs R and Java: the same call, by psycopg.

It connects, for real, to what it is handed.
"""

from __future__ import annotations

from typing import Any


def connect(*, dbms: str, connection_string: str, user: str, password: str) -> Any:
    """A connection to PostgreSQL from the JDBC address of it."""
    import psycopg

    if dbms != "postgresql":
        raise ValueError(f"This stand-in knows no '{dbms}'")
    address = connection_string.removeprefix("jdbc:")
    return psycopg.connect(address, user=user, password=password)
