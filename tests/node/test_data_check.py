"""What the owner of a data station is told of databases that are not as they should be."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from vantage6.node.config import Database
from vantage6.node.data_check import Found, check


def look(folder: Path, uri: str, kind: str) -> Found:
    return check(Database(label="db", uri=uri, type=kind), folder)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        ("naam\nRenée\n".encode("latin-1"), "not text in UTF-8"),
        ("naam\nRenée\n".encode("utf-16"), "not text in UTF-8"),
        (b"a,b\n1,2\n3,4,5\n", "number of columns: Error tokenizing data. C error: Expected 2"),
    ],
)
def test_a_csv_file_that_algorithms_cannot_read_is_told_of(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert problem in look(tmp_path, "t.csv", "csv").problem


@pytest.mark.parametrize(
    ("content", "columns", "warning"),
    [
        ("age;sex\n40;M\n", ["age;sex: varchar"], "one column, with ';' in its name"),
        ("age,sex\n", ["age: varchar", "sex: varchar"], "no rows"),
        ("age,age\n1,2\n", ["age: int64", "age.1: int64"], ""),
    ],
)
def test_columns_of_a_csv_file_are_those_that_algorithms_see(
    tmp_path: Path, content: str, columns: list[str], warning: str
) -> None:
    (tmp_path / "t.csv").write_text(content)
    found = look(tmp_path, "t.csv", "csv")
    assert not found.problem
    assert found.columns == columns
    assert warning in " ".join(found.warnings)


def test_what_is_no_excel_file_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_text("hello")
    assert "is not an Excel file" in look(tmp_path, "t.xlsx", "excel").problem


@pytest.mark.parametrize("address", ["sqlite:///{}/none.sqlite", "none.sqlite"])
def test_looking_for_a_file_does_not_make_it(tmp_path: Path, address: str) -> None:
    found = look(tmp_path, address.format(tmp_path), "sql")
    assert f"there is no {tmp_path / 'none.sqlite'}" in found.problem
    assert list(tmp_path.iterdir()) == []


def test_an_sqlite_address_that_no_sandbox_shows_is_warned_of(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.sqlite") as connection:
        connection.execute("CREATE TABLE patients (age INTEGER)")
    connection.close()
    found = look(tmp_path, f"sqlite:///{tmp_path}/x.sqlite", "sql")
    assert found.columns == ["patients.age: INTEGER"]
    assert "do not see this file: give its path as uri" in " ".join(found.warnings)
    assert not look(tmp_path, "x.sqlite", "sql").warnings


@pytest.mark.parametrize(
    ("uri", "kind", "problem"),
    [
        ("x.db", "sql", "uri must be an address such as postgresql://"),
        ("host=10.0.0.7 dbname=x", "sql", "uri must be an address such as postgresql://"),
        ("mariadb://reader:pw@127.0.0.1:1", "sql", "names no database"),
        ("mariadb://reader:ge@heim@127.0.0.1:1/x", "sql", "written %40"),
        ("postgresql+pg8000://u:pw@127.0.0.1:1/x", "sql", "may begin with postgresql://, without"),
        ("127.0.0.1:1/sparql", "sparql", "with http:// or https://"),
    ],
)
def test_an_address_that_cannot_be_right_is_told_of_with_the_right_form(
    tmp_path: Path, uri: str, kind: str, problem: str
) -> None:
    found = look(tmp_path, uri, kind)
    assert problem in found.problem
    assert "heim" not in found.problem


def test_a_path_of_another_type_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    found = look(tmp_path, str(tmp_path / "scan.bin"), "other")
    assert found.warnings == [f"there is no {tmp_path / 'scan.bin'}"]
