"""An algorithm that opens its connections itself, by name and port, and knows of no gateway."""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import psycopg


def several(*attempts: list[Any]) -> list[Any]:
    """What several methods give, each named with its arguments."""
    return [globals()[name](*arguments) for name, *arguments in attempts]


def ages(where: str, table: str) -> list[int]:
    """What a table in PostgreSQL holds."""
    with psycopg.connect(where, connect_timeout=20) as connection:
        found = connection.execute(f"SELECT age FROM {table} ORDER BY age")  # noqa: S608
        return [age for (age,) in found]


def ages_before_and_after(where: str, table: str) -> Any:
    """The same, before and after a break of the connection."""
    before = ages(where, table)
    try:
        with psycopg.connect(where, connect_timeout=20) as connection:
            print("connected", flush=True)
            while True:
                connection.execute("SELECT 1")
                time.sleep(0.05)
    except psycopg.OperationalError:
        print("broken", flush=True)
    while True:
        try:
            return [before, ages(where, table)]
        except psycopg.OperationalError:
            time.sleep(0.2)


def connect(*targets: tuple[str, int]) -> list[str]:
    """Whether hosts can be connected to, by a plain socket."""
    answers = []
    for host, port in targets:
        try:
            socket.create_connection((host, port), timeout=20).close()
            answers.append("ok")
        except OSError as error:
            answers.append(type(error).__name__)
    return answers


def fetch(*addresses: str) -> list[Any]:
    """What pages hold, or what refused them; the way there is the environment's."""
    answers: list[Any] = []
    for address in addresses:
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310
                answers.append(answer.read().decode())
        except urllib.error.HTTPError as error:
            answers.append(error.code)
        except urllib.error.URLError as error:
            answers.append(type(error.reason).__name__)
    return answers


def tunnel(proxy: str, *targets: str) -> list[str]:
    """The first line of the answer when a proxy is asked to connect."""
    answers = []
    url = urlsplit(proxy)
    for target in targets:
        with socket.create_connection((url.hostname or "", url.port or 0), timeout=20) as sock:
            sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            answers.append(sock.makefile().readline().strip())
    return answers


def variables() -> dict[str, str]:
    """What the environment says of proxies."""
    return {name: value for name, value in os.environ.items() if "proxy" in name.lower()}
