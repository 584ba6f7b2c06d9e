"""Databases behind SSH tunnels: a real sshd, a real PostgreSQL, an algorithm in its sandbox."""

from __future__ import annotations

import asyncio
import base64
import errno
import io
import json
import logging
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import docker
import pytest
import sqlalchemy
import yaml
from typer.testing import CliRunner

from engines import build_image, find_engine
from postgresql import POSTGRESQL, table_of_patients
from sshd import Sshd
from vantage6.cli.main import app
from vantage6.common.configuration import ConfigurationError
from vantage6.node.config import DEFAULT_IMAGE, DEFAULT_MODULE, SshTunnel
from vantage6.node.main import make_runtime
from vantage6.node.tunnels import Tunnel, TunnelDown

pytestmark = pytest.mark.anyio
URL = sqlalchemy.make_url(POSTGRESQL)
DATABASE = (URL.host or "127.0.0.1", URL.port or 5432)
BEHIND = URL.set(host="dbtunnel", port=6543).render_as_string(hide_password=False)


@pytest.fixture
def sshd(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> Iterator[Sshd]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    try:
        server = Sshd(folder, may_reach=f"{DATABASE[0]}:{DATABASE[1]}")
    except LookupError as error:
        lacking(str(error))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def patients(lacking: Callable[[str], NoReturn]) -> Iterator[str]:
    """The name of a table in PostgreSQL."""
    with table_of_patients(lacking) as name:
        yield name


def tunnel_of(settings: dict[str, Any]) -> Tunnel:
    return Tunnel(SshTunnel.model_validate(settings), Path())


async def test_an_algorithm_reads_from_a_database_behind_a_tunnel(
    server: Any,
    start_agent: Any,
    make_config: Any,
    helpers: Any,
    sshd: Sshd,
    patients: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = {
        "databases": [{"label": "wh", "uri": BEHIND, "type": "sql"}],
        "ssh-tunnels": [sshd.settings(DATABASE)],
    }
    query = {"query": f"SELECT age FROM {patients}"}  # noqa: S608
    task = json.dumps({"method": "partial_average", "args": [], "kwargs": {"column_name": "age"}})
    order = {
        "image": "harbor2.vantage6.ai/demo/average",
        "input": base64.b64encode(task.encode()).decode(),
        "databases": [{"label": "wh", "parameters": json.dumps(query)}],
    }
    caplog.set_level(logging.INFO, "vantage6.node.tunnels")
    await start_agent(make_runtime(make_config(**values)), **values)

    await server.finished(first := await server.submit(**order), within=60)
    assert server.runs[first]["status"] == "completed", server.runs[first]["log"]
    assert server.result(first) == {"sum": float(sum(range(20, 40))), "count": 20}

    sshd.stop()
    await helpers.wait_until(lambda: "'dbtunnel' was cut" in caplog.text)
    await server.finished(second := await server.submit(**order), within=60)
    assert server.runs[second]["status"] == "failed"
    log = server.runs[second]["log"]
    assert "the SSH tunnel 'dbtunnel' is down: the machine it goes through cannot be" in log
    assert "Connection refused" in log
    assert "127.0.0.1" not in log

    sshd.start()
    await server.finished(third := await server.submit(**order), within=60)
    assert server.runs[third]["status"] == "completed", server.runs[third]["log"]


async def test_an_algorithm_in_a_container_reads_from_a_database_behind_a_tunnel(
    server: Any,
    start_agent: Any,
    make_config: Any,
    sshd: Sshd,
    patients: str,
    lacking: Callable[[str], NoReturn],
) -> None:
    host, problem = find_engine()
    if problem:
        lacking(problem)
    await asyncio.to_thread(build_image, host, f"{DEFAULT_IMAGE}:latest", DEFAULT_MODULE)
    docker = {"runtime": "docker", "docker": {"host": host, "pull": "missing"}}
    values = {
        "policies": {"require_algorithm_pull": False},
        "databases": [{"label": "wh", "uri": BEHIND, "type": "sql"}],
        "ssh-tunnels": [sshd.settings(DATABASE)],
    }
    await start_agent(make_runtime(make_config(**values, **docker)), **values)
    query = {"query": f"SELECT age FROM {patients}"}  # noqa: S608
    task = json.dumps({"method": "partial_average", "args": [], "kwargs": {"column_name": "age"}})
    run_id = await server.submit(
        image=DEFAULT_IMAGE,
        input=base64.b64encode(task.encode()).decode(),
        databases=[{"label": "wh", "parameters": json.dumps(query)}],
    )
    await server.finished(run_id, within=120)
    assert server.runs[run_id]["status"] == "completed", server.runs[run_id]["log"]
    assert server.result(run_id) == {"sum": float(sum(range(20, 40))), "count": 20}


async def test_an_algorithm_connects_to_a_tunnel_by_its_name_before_and_after_a_break(
    server: Any, dialler: Any, helpers: Any, sshd: Sshd, patients: str, tmp_path: Path
) -> None:
    started = await dialler.start(**{"ssh-tunnels": [sshd.settings(DATABASE)]})
    run_id = await dialler.submit("ages_before_and_after", BEHIND, patients)

    def said(word: str) -> bool:
        files = (tmp_path / "state" / "runs").glob(f"{run_id}.*/stdout")
        return any(word in file.read_text() for file in files)

    await helpers.wait_until(lambda: said("connected"), 60)
    with socket.socket() as knock:  # the machine has no such door
        assert knock.connect_ex(("127.64.0.1", 6543)) == errno.ECONNREFUSED
    sshd.stop()
    await helpers.wait_until(lambda: said("broken"), 60)
    sshd.start()
    await server.finished(run_id, within=60)
    assert server.runs[run_id]["status"] == "completed", server.runs[run_id]["log"]
    assert server.result(run_id) == [list(range(20, 40))] * 2

    # Why it got nowhere is more than a socket can tell an algorithm.
    sshd.stop()
    await server.finished(run_id := await dialler.submit("ages", BEHIND, patients), within=60)
    assert server.runs[run_id]["status"] == "crashed"
    first = server.runs[run_id]["log"].splitlines()[0]
    assert "the SSH tunnel 'dbtunnel' is down: the machine it goes through cannot be" in first
    assert "127.0.0.1" not in first
    await started.stop()
    if dialler.engine:
        await asyncio.to_thread(_nothing_is_left, dialler)


def _nothing_is_left(dialler: Any) -> None:
    client = docker.APIClient(base_url=dialler.engine, version="auto")
    try:
        ours = {"label": f"node={dialler.name}"}
        assert client.containers(all=True, filters=ours) == []
        assert client.networks(filters=ours) == []
    finally:
        client.close()


async def test_a_run_that_does_not_ask_for_its_database_does_not_know_a_tunnels_name(
    dialler: Any, sshd: Sshd
) -> None:
    databases = [
        {"label": "wh", "uri": BEHIND, "type": "sql"},
        {"label": "other", "uri": "postgresql://u@other/x", "type": "sql"},
    ]
    await dialler.start(**{"databases": databases, "ssh-tunnels": [sshd.settings(DATABASE)]})
    targets = [("dbtunnel", 6543), ("127.64.0.1", 6543), DATABASE, ("127.0.0.1", sshd.port)]
    seen = []
    for label in ("wh", "other"):
        wanted = [{"label": label, "parameters": "{}"}]
        seen.append(await dialler.run("connect", *targets, databases=wanted))
    refused = "ConnectionRefusedError"
    assert seen == [["ok", "ok", refused, refused], ["gaierror", refused, refused, refused]]


@pytest.mark.parametrize("dialler", ["docker"], indirect=True)
async def test_an_image_that_knows_nothing_of_us_connects_to_a_tunnel(
    dialler: Any, sshd: Sshd
) -> None:
    program = (
        "import base64, json, os, socket\n"
        "sock = socket.create_connection(('dbtunnel', 6543), 60)\n"
        "sock.sendall(b'\\0\\0\\0\\x08\\x04\\xd2\\x16/')\n"  # "may we speak TLS?"
        "path = base64.b32decode(os.environ['OUTPUT_FILE'].replace('!', '=')).decode()\n"
        "open(path, 'w').write(json.dumps(sock.recv(1).decode()))\n"
    )
    image = "example.org/stranger"
    await asyncio.to_thread(_build, dialler, f"{image}:latest", program)
    await dialler.start(**{"ssh-tunnels": [sshd.settings(DATABASE)]})
    assert await dialler.run("", image=image) in ("S", "N")


def _build(dialler: Any, name: str, program: str) -> None:
    """Build an image that only has Python in common with the dialler's."""
    recipe = f'FROM {dialler.image}\nCOPY program.py /\nCMD ["python", "-S", "/program.py"]\n'
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for file, text in (("Dockerfile", recipe), ("program.py", program)):
            entry = tarfile.TarInfo(file)
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    client = docker.APIClient(base_url=dialler.engine, version="auto", timeout=300)
    try:
        built = client.build(fileobj=context, custom_context=True, tag=name, rm=True, decode=True)
        said = list(built)
        assert not [line for line in said if "error" in line], said
    finally:
        client.close()


async def test_only_runs_that_ask_for_its_database_get_through_a_tunnel(
    server: Any, start_agent: Any, helpers: Any, sshd: Sshd
) -> None:
    seen: list[bytes] = []

    async def knock(_: Any, proxy: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
        writer.write(b"CONNECT dbtunnel:6543 HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(30):
            head = await reader.read(12)
            if head.endswith(b"200"):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # "may we speak TLS?"
                head += await reader.readexactly(1)
        seen.append(head)
        writer.close()
        return 42

    databases = [
        {"label": "wh", "uri": BEHIND, "type": "sql"},
        {"label": "other", "uri": "postgresql://u@other/x", "type": "sql"},
    ]
    tunnels = [sshd.settings(DATABASE)]
    started = await start_agent(
        helpers.Runtime(knock), databases=databases, **{"ssh-tunnels": tunnels}
    )
    for label in ("wh", "other"):
        wanted = [{"label": label, "parameters": "{}"}]
        await server.finished(await server.submit(databases=wanted))
    await started.stop()
    # One that no database names is for everyone.
    await start_agent(helpers.Runtime(knock), databases=databases[1:], **{"ssh-tunnels": tunnels})
    await server.finished(await server.submit())
    assert seen[0].startswith(b"HTTP/1.1 200")
    assert seen[0][-1:] in b"SN"
    assert seen[1] in (b"", b"HTTP/1.1 403")
    assert seen[2] == seen[0]


@pytest.mark.parametrize("form", ["host_key", "fingerprint"])
async def test_a_host_is_known_by_its_key_or_its_fingerprint(sshd: Sshd, form: str) -> None:
    settings = sshd.settings(DATABASE, fingerprint=getattr(sshd, form))
    await tunnel_of(settings).probe()


async def _problem(settings: dict[str, Any]) -> TunnelDown:
    with pytest.raises(TunnelDown) as caught:
        await tunnel_of(settings).probe()
    return caught.value


async def test_what_is_wrong_with_a_tunnel_is_said(sshd: Sshd, tmp_path: Path) -> None:
    stranger = sshd.stranger.with_suffix(".pub").read_text().strip()
    for wrong in (stranger, "SHA256:" + "A" * 43):
        problem = await _problem(sshd.settings(DATABASE, fingerprint=wrong))
        assert "shows another host key" in str(problem)
        if wrong.startswith("SHA256"):
            assert sshd.fingerprint in problem.remedy

    def identity(**changes: Any) -> dict[str, Any]:
        settings = sshd.settings(DATABASE)
        settings["ssh"]["identity"] |= changes
        return settings

    problem = await _problem(identity(key=str(sshd.stranger)))
    assert "refuses the node's login" in str(problem)
    assert str(sshd.stranger) in problem.remedy
    problem = await _problem(identity(key=str(tmp_path / "absent")))
    assert "cannot read its key" in str(problem)
    assert str(tmp_path) not in str(problem)
    (tmp_path / "text").write_text("no key")
    assert "without passphrase" in (await _problem(identity(key=str(tmp_path / "text")))).remedy

    problem = await _problem(sshd.settings(("127.0.0.1", 1)))  # not among what it may reach
    assert "what is behind it cannot be reached" in str(problem)
    assert "PermitOpen" in problem.remedy
    sshd.stop()
    problem = await _problem(sshd.settings(DATABASE))
    assert "cannot be reached (Connection refused)" in str(problem)
    assert f"127.0.0.1:{sshd.port}" in problem.remedy
    problem = await _problem(sshd.settings(DATABASE, host="nowhere.invalid"))
    assert "cannot be reached" in str(problem)


async def test_the_owner_looks_through_the_tunnel(
    sshd: Sshd, make_config: Any, patients: str
) -> None:
    async def v6(*arguments: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, app, ["node", *arguments])

    values = {
        "databases": [{"label": "wh", "uri": BEHIND, "type": "sql"}],
        "ssh-tunnels": [sshd.settings(DATABASE)],
    }
    config = str(make_config(**values).path)
    shown = await v6("data", "check", "--config", config)
    assert shown.exit_code == 0, shown.output
    assert f"{patients}.age: INTEGER" in shown.output
    shown = await v6("doctor", "--config", config)
    assert "ok      SSH tunnel dbtunnel: works, to the end" in shown.output
    sshd.stop()
    shown = await v6("data", "check", "--config", config)
    assert shown.exit_code == 1
    assert "NOT usable: the SSH tunnel 'dbtunnel' is down" in shown.output
    assert "check ssh.host" in shown.output


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hostname": "proxyserver"}, "none of: localhost"),
        ({"ssh": {"host": "x"}}, "ssh-tunnels.0.ssh.fingerprint"),
        ({"ssh": {"fingerprint": "accept any"}}, "ssh-keyscan"),
        ({"tunnel": {"bind": {"ip": "127.0.0.1", "port": 0}}}, "ssh-tunnels.0.tunnel.bind.port"),
        ({"extra": 1}, "is not a key of this section"),
    ],
)
def test_a_wrong_tunnel_is_refused_before_anything_starts(
    make_config: Any, change: dict[str, Any], told: str
) -> None:
    right = {
        "hostname": "dbtunnel",
        "ssh": {
            "host": "gate.example.org",
            "port": 22,
            "fingerprint": "SHA256:" + "A" * 43,
            "identity": {"username": "node", "key": "id"},
        },
        "tunnel": {"bind": {"ip": "127.0.0.1", "port": 1}, "dest": {"ip": "10.0.0.1", "port": 1}},
    }
    make_config(**{"ssh-tunnels": [right]})
    if "ssh" in change and "fingerprint" in change["ssh"]:
        change = {"ssh": right["ssh"] | change["ssh"]}  # type: ignore[operator]
    with pytest.raises(ConfigurationError) as caught:
        make_config(**{"ssh-tunnels": [right | change]})
    assert told in str(caught.value)
    assert "line " in str(caught.value)
    with pytest.raises(ConfigurationError, match="'dbtunnel' is the hostname of an SSH tunnel too"):
        make_config(
            **{"ssh-tunnels": [right], "docker_services": {"dbtunnel": "x"}, "runtime": "docker"}
        )
    with pytest.raises(ConfigurationError, match="occurs twice"):
        make_config(**{"ssh-tunnels": yaml.safe_load(yaml.safe_dump([right, right]))})
