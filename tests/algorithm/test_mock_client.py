"""The mock client, with a miniature of how published algorithms use the tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from vantage6.algorithm.tools.exceptions import PrivacyThresholdViolation
from vantage6.algorithm.tools.mock_client import MockAlgorithmClient

if TYPE_CHECKING:
    from conftest import Station

# As outside authors write it: hyphenated package, star imports, environment for settings.
MODULES = {
    "__init__": """
        from .central import *
        from .partial import *
    """,
    "central": """
        import pandas as pd
        from vantage6.algorithm.client import AlgorithmClient
        from vantage6.algorithm.tools.decorators import algorithm_client
        from vantage6.algorithm.tools.exceptions import AlgorithmExecutionError
        from vantage6.algorithm.tools.util import info

        @algorithm_client
        def central_function(client: AlgorithmClient, column, organizations_to_include=None):
            ids = [organization.get("id") for organization in client.organization.list()]
            info("Creating subtask")
            task = client.task.create(
                input_={"method": "partial_function", "kwargs": {"column": column}},
                organizations=organizations_to_include or ids,
                name="subtask", description="counts",
            )
            results = client.wait_for_results(task_id=task.get("id"))
            if any(result is None for result in results):
                raise AlgorithmExecutionError("A node failed")
            frames = [pd.read_json(__import__("io").StringIO(r["table"])) for r in results]
            return {
                "n": sum(result["n"] for result in results),
                "organizations": [result["organization"] for result in results],
                "own": [client.organization_id, client.node_id],
                "subtask": task["id"],
                "rows": int(sum(len(frame) for frame in frames)),
            }
    """,
    "partial": """
        import pandas as pd
        from vantage6.algorithm.tools.decorators import algorithm_client, data
        from vantage6.algorithm.tools.exceptions import PrivacyThresholdViolation
        from vantage6.algorithm.tools.util import get_env_var

        @data(1)
        @algorithm_client
        def partial_function(client, df: pd.DataFrame, column):
            minimum = get_env_var("MINI_MINIMUM_ROWS", default="2", as_type="int")
            if len(df) < minimum:
                raise PrivacyThresholdViolation(f"fewer than {minimum} rows")
            df["scratch"] = 1
            return {"n": df[column].count(), "organization": client.organization_id,
                    "table": df[[column]].to_json()}

        @data(2)
        def two(first, second, *columns):
            return [len(first), len(second), columns]

        def unserializable():
            return {1, 2}

        def echo(value):
            return {1: (value,)}
    """,
}
NAMES = ["a", "b", "c"]


@pytest.fixture
def module(
    station: Station, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The miniature, under a name of its own since modules are cached by name."""
    station.write_package(**MODULES)
    packages = station.folder / "packages"
    name = f"mini-{abs(hash(request.node.nodeid))}-py"
    (packages / "my-algo").rename(packages / name)
    monkeypatch.syspath_prepend(str(packages))
    return name


def frames(*sizes: int) -> list[list[dict[str, Any]]]:
    return [[{"database": pd.DataFrame({"age": range(size)}), "input_data": {}}] for size in sizes]


@pytest.fixture
def client(module: str) -> MockAlgorithmClient:
    return MockAlgorithmClient(
        frames(2, 3, 4), module, organization_ids=[11, 12, 13], node_ids=[1, 2, 3]
    )


def central(client: MockAlgorithmClient, **kwargs: Any) -> dict[str, Any]:
    return client.task.create(
        input_={"method": "central_function", "kwargs": {"column": "age", **kwargs}},
        organizations=[client.all_organization_ids[1]],
    )


def test_central_function_runs_partial_ones_on_everybodys_data(
    client: MockAlgorithmClient, capsys: pytest.CaptureFixture[str]
) -> None:
    task = central(client)
    assert client.wait_for_results(task["id"]) == [
        {"n": 9, "organizations": [11, 12, 13], "own": [12, 2], "subtask": 1, "rows": 9}
    ]
    assert client.result.get(1)["n"] == 9
    out = capsys.readouterr().out
    assert "info > Creating subtask" in out
    assert "info > Mocking waiting for results" in out
    assert [each["id"] for each in client.tasks] == [1]


def test_functions_get_copies_of_the_data(client: MockAlgorithmClient) -> None:
    central(client)
    assert list(client.datasets_per_org[11][0].columns) == ["age"]


def test_data_can_be_replaced_after_construction(client: MockAlgorithmClient) -> None:
    client.datasets_per_org[11][0] = pd.DataFrame({"age": range(100)})
    assert client.result.from_task(central(client)["id"])[0]["n"] == 107


def test_exceptions_of_the_algorithm_reach_the_test(
    client: MockAlgorithmClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINI_MINIMUM_ROWS", "3")
    with pytest.raises(PrivacyThresholdViolation, match="fewer than 3 rows"):
        central(client)
    assert client.tasks == client.runs == client.results == []
    assert central(client, organizations_to_include=[12, 13])["id"] == 1


def test_results_pass_through_json(client: MockAlgorithmClient) -> None:
    task = client.task.create({"method": "echo", "args": ["é"]}, [11])
    assert client.result.from_task(task["id"]) == [{"1": ["é"]}]
    with pytest.raises(TypeError):
        client.task.create({"method": "unserializable"}, [11])


def test_wrong_tasks_fail_as_python_does(client: MockAlgorithmClient) -> None:
    with pytest.raises(AttributeError):
        client.task.create({"method": "absent"}, [11])
    with pytest.raises(KeyError):
        client.task.create({"method": "echo", "args": [1]}, [99])
    with pytest.raises(ValueError, match="Cannot create a task for zero organizations"):
        client.task.create({"method": "echo", "args": [1]}, [])


def test_databases_are_loaded_and_preprocessed(module: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("age\n1\n2\n3\n")
    step = {"function": "filter_range", "parameters": {"column": "age", "min_": 1}}
    client = MockAlgorithmClient(
        [
            [
                {"database": path, "db_type": "csv", "preprocessing": [step]},
                {"database": str(path), "db_type": "csv"},
            ]
        ],
        module=module,
    )
    task = client.task.create({"method": "two", "args": ["x"]}, organizations=[0])
    assert client.result.from_task(task["id"]) == [[2, 3, ["x"]]]
    with pytest.raises(SystemExit):
        MockAlgorithmClient([[{"database": path}]], module=module)


def test_identifiers_have_defaults_and_must_be_one_per_dataset(
    module: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = MockAlgorithmClient(frames(2, 2), module, collaboration_id=0)
    assert client.collaboration_id == 1
    assert client.all_organization_ids == client.all_node_ids == [0, 1]
    assert (client.organization_id, client.node_id, client.n) == (0, 0, 2)
    client = MockAlgorithmClient(frames(2, 2), module, 4, organization_ids=[5], node_ids=[6, 7])
    assert (client.collaboration_id, client.all_organization_ids) == (4, [0, 1])
    assert client.all_node_ids == [6, 7]
    assert "organization_ids has 1 entries, but there are 2 datasets" in caplog.text
    assert client.organizations_with_data == [0, 1]
    with pytest.raises(IndexError):
        MockAlgorithmClient([], module)


def test_records_are_the_contracts_key_for_key(client: MockAlgorithmClient) -> None:
    task = client.task.create({"method": "echo", "args": [1]}, [12, 13], "name", "text")
    assert list(task) == [
        "id",
        "runs",
        "results",
        "status",
        "name",
        "databases",
        "description",
        "image",
        "init_user",
        "init_org",
        "parent",
        "collaboration",
        "job_id",
        "children",
    ]
    assert (task["name"], task["description"], task["status"]) == ("name", "text", "completed")
    assert task["results"] == "/api/results?task_id=1"
    assert task["init_user"] == {
        "id": 1,
        "link": "/api/user/1",
        "methods": ["GET", "DELETE", "PATCH"],
    }
    runs = client.run.from_task(1)
    assert [run["organization"]["id"] for run in runs] == [12, 13]
    assert list(runs[0]) == [
        "id",
        "started_at",
        "assigned_at",
        "finished_at",
        "log",
        "ports",
        "status",
        "input",
        "blob_storage_used",
        "results",
        "node",
        "organization",
        "task",
    ]
    assert json.loads(runs[0]["input"]) == {"method": "echo", "args": [1]}
    assert runs[0]["node"] == {"id": 12, "ip": None, "name": "mock_node", "status": "online"}
    organization = client.organization.get(12)
    assert list(organization) == [
        "id",
        "name",
        "domain",
        "address1",
        "address2",
        "zipcode",
        "country",
        "public_key",
        "collaborations",
        "users",
        "tasks",
        "nodes",
        "runs",
    ]
    assert (organization["name"], organization["domain"]) == ("mock-12", "mock-12.org")
    assert [each["id"] for each in client.organization.list()] == [11, 12, 13]
    assert client.collaboration.get(is_encrypted=False) == {
        "id": 1,
        "name": "mock-collaboration",
        "encrypted": False,
        "tasks": "/api/task?collaboration_id=1",
        "nodes": "/api/node?collaboration_id=1",
        "organizations": "/api/organization?collaboration_id=1",
    }


def test_records_are_found_by_their_identifier(client: MockAlgorithmClient) -> None:
    first = client.task.create({"method": "echo", "args": [1]}, [11])
    second = client.task.create({"method": "echo", "args": [2]}, [12])
    assert client.task.get(first["id"]) == first
    assert client.task.get(second["id"]) == second
    assert client.run.get(2)["task"]["id"] == second["id"]
    assert client.result.get(2) == {"1": [2]}
    assert client.task.get(9) == {"msg": "Could not find task with id 9"}
    assert client.run.get(9) == {"msg": "Could not find run with id 9"}
    assert client.result.get(9) == {"msg": "Could not find result with id 9"}
    assert client.organization.get(9) == {"msg": "Organization 9 not found."}
    assert client.result.from_task(9) == client.run.from_task(9) == []


def test_the_same_algorithm_runs_at_a_data_station(station: Station) -> None:
    station.write_package(**MODULES)
    station.add_csv("default", "age\n1\n2\n\n")
    station.settings["MINI_MINIMUM_ROWS"] = "1"
    run = station.run({"method": "partial_function", "kwargs": {"column": "age"}})
    assert run.result == {"n": 2, "organization": 5, "table": '{"age":{"0":1,"1":2}}'}
    station.settings["MINI_MINIMUM_ROWS"] = "10"
    run = station.run({"method": "partial_function", "kwargs": {"column": "age"}})
    assert run.code == 1
    assert run.stdout.splitlines()[-1] == (
        "error > Error encountered while calling partial_function: fewer than 10 rows"
    )


def test_names_that_a_star_import_pulled_in_are_not_offered(station: Station) -> None:
    station.write_package(**MODULES)
    run = station.run({"method": "get_env_var", "args": ["DEFAULT_DB_PARAM_PASSWORD"]})
    assert run.stdout.splitlines()[-1] == (
        "error > Method 'get_env_var' not found! This algorithm offers: central_function, echo, "
        "partial_function, two, unserializable"
    )
