"""Decorators other than `data`: what they inject, and in which order."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from vantage6.algorithm.client import AlgorithmClient
from vantage6.algorithm.tools import decorators
from vantage6.algorithm.tools.decorators import (
    OHDSIMetaData,
    RunMetaData,
    algorithm_client,
    data,
    database_connection,
    get_ohdsi_metadata,
    metadata,
)
from vantage6.algorithm.tools.exceptions import (
    ClientError,
    EnvironmentVariableNotFoundError,
)

if TYPE_CHECKING:
    from conftest import Station

FRAME = pd.DataFrame({"age": [1, 2]})


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, station: Station
) -> pytest.MonkeyPatch:
    """What a node sets, here plain."""
    (tmp_path / "token").write_text(station.token())
    (tmp_path / "data.csv").write_text("age\n1\n2\n")
    for name, value in {
        "TOKEN_FILE": tmp_path / "token",
        "INPUT_FILE": tmp_path / "input",
        "OUTPUT_FILE": tmp_path / "output",
        "TEMPORARY_FOLDER": tmp_path,
        "HOST": "http://proxyserver",
        "PORT": "8080",
        "API_PATH": "",
        "USER_REQUESTED_DATABASE_LABELS": "default",
        "DEFAULT_DATABASE_URI": tmp_path / "data.csv",
    }.items():
        monkeypatch.setenv(name, str(value))
    return monkeypatch


def kinds(*args: Any, **kwargs: Any) -> list[str]:
    return [type(arg).__name__ for arg in args] + list(kwargs)


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ((data(1), algorithm_client), ["AlgorithmClient", "DataFrame"]),
        ((algorithm_client, data(1)), ["DataFrame", "AlgorithmClient"]),
        ((metadata, data(1)), ["DataFrame", "RunMetaData"]),
        ((data(1), metadata), ["RunMetaData", "DataFrame"]),
    ],
)
@pytest.mark.usefixtures("environment")
def test_lowest_decorator_comes_first(stack: tuple[Any, ...], expected: list[str]) -> None:
    function: Any = kinds
    for decorator in reversed(stack):
        function = decorator(function)
    assert function("given", column=1) == [*expected, "str", "column"]
    assert function.__name__ == "kinds"


def test_markers_survive_stacking_in_any_order() -> None:
    for function in (data(1)(algorithm_client(kinds)), algorithm_client(data(1)(kinds))):
        assert function.wrapped_in_data_decorator  # type: ignore[attr-defined]
        assert function.wrapped_in_algorithm_client_decorator  # type: ignore[attr-defined]


def test_mocks_are_injected_instead_through_any_stack() -> None:
    function = data(1)(algorithm_client(lambda *args: args))
    client, frame, column = function("age", mock_client="client", mock_data=[FRAME])
    assert (client, column) == ("client", "age")
    assert frame is FRAME


@pytest.mark.usefixtures("environment")
def test_client_is_made_from_environment_and_token(capsys: pytest.CaptureFixture[str]) -> None:
    client: AlgorithmClient = algorithm_client(lambda client: client)()
    assert client.base_path == "http://proxyserver:8080"
    assert (client.node_id, client.organization_id, client.collaboration_id) == (4, 5, 6)
    assert (client.image, client.databases) == ("example/image", [{"label": "default"}])
    assert (client.study_id, client.store_id) == (None, None)
    assert "info > Reading token" in capsys.readouterr().out


def test_metadata_are_those_of_the_run(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert metadata(lambda known: known)() == RunMetaData(
        task_id=7,
        node_id=4,
        collaboration_id=6,
        organization_id=5,
        temporary_directory=tmp_path,
        output_file=tmp_path / "output",
        input_file=tmp_path / "input",
        token_file=tmp_path / "token",
    )


def test_missing_variable_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("HOST")
    with pytest.raises(KeyError) as caught:
        algorithm_client(kinds)()
    assert isinstance(caught.value, EnvironmentVariableNotFoundError)
    assert str(caught.value).startswith("Environment variable 'HOST' is not set")


@pytest.mark.parametrize("token", ["", "a.b.c", "eyJ9", "e30.e30.x", "e30.eyJzdWIiOjN9.x"])
def test_token_that_is_no_containers_is_refused_without_being_quoted(
    environment: pytest.MonkeyPatch, tmp_path: Path, token: str
) -> None:
    (tmp_path / "token").write_text(token)
    for decorator in (algorithm_client, metadata):
        with pytest.raises(ClientError, match=r"^The node gave no usable container token"):
            decorator(kinds)()


def test_names_of_the_contract_can_be_imported_from_here() -> None:
    for name in [
        "AlgorithmClient",
        "MockAlgorithmClient",
        "info",
        "warn",
        "error",
        "load_data",
        "preprocess_data",
        "RunMetaData",
        "OHDSIMetaData",
        "OHDSI_AVAILABLE",
        "database_connection",
        "get_ohdsi_metadata",
    ]:
        assert hasattr(decorators, name)


# -- OMOP ---------------------------------------------------------------------------------------


@pytest.fixture
def omop(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("DEFAULT_DATABASE_URI", "jdbc:x")
    for key in ("DBMS", "USER", "PASSWORD", "CDM_DATABASE", "CDM_SCHEMA", "RESULTS_SCHEMA"):
        environment.setenv(f"DEFAULT_DB_PARAM_{key}", key.lower())
    return environment


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package of the OHDSI image: connections are what was asked for."""
    module = types.ModuleType("ohdsi.database_connector")
    module.connect = lambda **given: given  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ohdsi", types.ModuleType("ohdsi"))
    monkeypatch.setitem(sys.modules, "ohdsi.database_connector", module)


@pytest.mark.usefixtures("omop", "connector")
def test_omop_connection_and_its_metadata_are_injected(tmp_path: Path) -> None:
    connection, known, column = database_connection(types=["omop"])(lambda *args: args)("age")
    assert connection == {
        "dbms": "dbms",
        "connection_string": "jdbc:x",
        "password": "password",
        "user": "user",
    }
    assert known == OHDSIMetaData(
        database="cdm_database",
        cdm_schema="cdm_schema",
        results_schema="results_schema",
        incremental_folder=tmp_path / "incremental",
        cohort_statistics_folder=tmp_path / "cohort_statistics",
        export_folder=tmp_path / "export",
        dbms="dbms",
    )
    assert known == get_ohdsi_metadata("default")
    assert column == "age"


@pytest.mark.usefixtures("omop", "connector")
def test_metadata_of_a_connection_can_be_left_out() -> None:
    wrapped = database_connection(types=["OMOP"], include_metadata=False)(lambda *args: args)
    assert len(wrapped()) == 1


@pytest.mark.usefixtures("omop")
def test_image_without_ohdsi_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        database_connection(types=["OMOP"])(kinds)()
    assert "error > The package 'ohdsi.database_connector' is not" in capsys.readouterr().out


@pytest.mark.usefixtures("connector")
def test_missing_parameter_of_a_connection_is_named(
    omop: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    omop.delenv("DEFAULT_DB_PARAM_PASSWORD")
    with pytest.raises(SystemExit):
        database_connection(types=["OMOP"])(kinds)()
    assert (
        "error > Environment variable 'DEFAULT_DB_PARAM_PASSWORD' is not set. Exiting..."
        in capsys.readouterr().out
    )


@pytest.mark.usefixtures("omop", "connector")
def test_unknown_type_and_too_few_connections_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        database_connection(types=["FHIR"])(kinds)()
    assert "error > Unknown type 'FHIR' of database connection" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        database_connection(types=["OMOP", "OMOP"])(kinds)()
    assert "requires 2 database connections but only 1 were" in capsys.readouterr().out
