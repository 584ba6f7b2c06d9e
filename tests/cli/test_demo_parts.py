"""The parts of the demo that need no server: tables, ports, folder, names."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.cli.demo.errors import DemoError
from vantage6.cli.demo.folder import Folder, new_password, new_state, open_folder
from vantage6.cli.demo.network import (
    Collaboration,
    Login,
    Network,
    Node,
    Organization,
    Study,
    institution,
)
from vantage6.cli.demo.patients import COLUMNS, patient_table, write_patient_table
from vantage6.cli.demo.ports import DEFAULT_PORT, HOST, reserved_port


def network() -> Network:
    return Network(
        users=[Login("root", "secret", 1, ["Root"])],
        organizations=[Organization(2, "A"), Organization(3, "B", "/keys/b.pem")],
        collaboration=Collaboration(1, "C", encrypted=True),
        study=Study(1, "S"),
        nodes=[Node(6, "A - C Node", 2, "key", "/nodes/a.yaml")],
        databases={2: "/databases/a.csv"},
    )


def test_a_site_has_the_same_patients_at_every_start_and_others_than_its_neighbour() -> None:
    pd.testing.assert_frame_equal(patient_table(0, 3), patient_table(0, 3))
    sizes = {len(patient_table(site, 3)) for site in range(3)}
    assert len(sizes) == 3


@given(st.integers(0, 40), st.integers(1, 41))
def test_every_table_has_the_columns_and_some_missing_values(site: int, sites: int) -> None:
    table = patient_table(site, sites)
    assert tuple(table.columns) == COLUMNS
    assert table["gender"].isin(["M", "F"]).all()
    for column in ("age", "height", "weight", "isOverweight", "ageGroup"):
        assert table[column].notna().mean() > 0.8
    assert table[["age", "height", "weight"]].isna().any().any()
    assert table["age"].dropna().between(18, 97).all()
    assert (table["ageGroup"].isna() == table["age"].isna()).all()


def test_overweight_is_coded_differently_at_the_last_site_only(tmp_path: Path) -> None:
    for site in range(3):
        write_patient_table(tmp_path / f"{site}.csv", site, 3)
    first, second, last = (
        pd.read_csv(tmp_path / f"{site}.csv")["isOverweight"].dropna() for site in range(3)
    )
    assert set(first) == set(second) == {0.0, 1.0}
    assert set(last) == {"yes", "no"}


def test_the_default_port_gives_way_and_two_demos_never_share_one() -> None:
    with reserved_port(0) as first, reserved_port(0) as second:
        assert first != second
        with pytest.raises(DemoError, match=f"Port {second} is in use"), reserved_port(second):
            pass
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # If something else on this machine has it, just as good.
        with contextlib.suppress(OSError):
            taken.bind((HOST, DEFAULT_PORT))
        taken.listen()
        with reserved_port(0) as other:
            assert other != DEFAULT_PORT


def test_every_password_satisfies_the_servers_rules() -> None:
    passwords = [new_password() for _ in range(500)]
    assert len(set(passwords)) == 500
    for password in passwords:
        assert 8 <= len(password) <= 128
        assert any(letter.islower() for letter in password)
        assert any(letter.isupper() for letter in password)
        assert any(letter.isdigit() for letter in password)
        assert any(not letter.isalnum() for letter in password)


def test_no_two_institutions_share_a_name() -> None:
    assert len({institution(site) for site in range(50)}) == 50


def test_a_temporary_folder_is_removed_unless_kept() -> None:
    with open_folder(None, keep=False) as folder:
        folder.save(new_state(3, encrypted=False))
    assert not folder.root.exists()


def test_a_later_demo_finds_what_an_earlier_one_saved(tmp_path: Path) -> None:
    state = new_state(2, encrypted=True)
    state.network = network()
    with open_folder(tmp_path / "demo", keep=False) as folder:
        assert folder.load() is None
        folder.save(state)
    with open_folder(tmp_path / "demo", keep=False) as folder:
        assert folder.load() == state
        mode = stat.S_IMODE((folder.root / "demo.json").stat().st_mode)
        assert mode == 0o600
        assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700


def test_a_folder_that_is_not_a_demos_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with (
        pytest.raises(DemoError, match="holds no earlier demo"),
        open_folder(tmp_path, keep=False) as folder,
    ):
        folder.load()
    assert (tmp_path / "thesis.txt").read_text() == "ten years of work"


def test_a_damaged_state_file_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("{")
    with pytest.raises(DemoError, match=r"demo\.json"):
        Folder(tmp_path).load()


def test_two_demos_cannot_use_the_same_folder(tmp_path: Path) -> None:
    with (
        open_folder(tmp_path, keep=False),
        pytest.raises(DemoError, match="Another demo"),
        open_folder(tmp_path, keep=False),
    ):
        pass


def test_a_network_survives_being_written_as_json_and_names_keys_only_where_there_are() -> None:
    document = json.loads(json.dumps(network().to_json()))
    assert document["organizations"] == [
        {"id": 2, "name": "A"},
        {"id": 3, "name": "B", "private_key": "/keys/b.pem"},
    ]
    assert Network.from_json(document) == network()
    with pytest.raises(DemoError, match="another version"):
        Network.from_json({**document, "users": 3})
