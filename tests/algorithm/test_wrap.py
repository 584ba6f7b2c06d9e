"""The wrapper, run as a node runs it: in a process of its own, with files and environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Station

SECRET = "John Doe, HIV positive"

PACKAGE = {
    "__init__": """
        from .functions import *
        from vantage6.algorithm.tools.util import get_env_var
    """,
    "functions": f"""
        import os
        import sys
        from vantage6.algorithm.tools.decorators import algorithm_client, data, metadata
        from vantage6.algorithm.tools.exceptions import UserInputError
        from vantage6.algorithm.tools.util import get_env_var, info, warn

        SECRET = {SECRET!r}

        def add(a, b=2, *, c=0):
            info("adding")
            warn("carefully")
            return {{"sum": a + b + c}}

        def refuses(word):
            raise UserInputError(f"'{{word}}' is not a colour")

        def raises():
            deeper()

        def deeper():
            raise ValueError(SECRET)

        def raises_in_library():
            import json
            json.loads(SECRET)

        def type_error_inside():
            return SECRET + 1

        def exits(code):
            sys.exit(code)

        def returns(kind):
            return {{
                "none": None,
                "set": {{"a": [1, {{2}}]}},
                "nan": float("nan"),
                "accent": "é",
                "tuple": (1, 2),
            }}[kind]

        def environment(name):
            return [os.environ.get(name), get_env_var(name)]

        @metadata
        def where(known):
            return [known.task_id, known.node_id, known.collaboration_id,
                    known.organization_id, str(known.temporary_directory)]

        @algorithm_client
        def central(client, column, extra=1):
            return [client.image, client.databases, client.organization_id, client.base_path]

        @data(1)
        @algorithm_client
        def both(client, df, column):
            return type(client).__name__

        def injects(function):
            import functools
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function("injected", *args, **kwargs)
            return wrapper

        @injects
        @algorithm_client
        def custom(client, own, column):
            return [own, column]

        def _private():
            return 1
    """,
}


@pytest.fixture
def algorithm(station: Station) -> Station:
    station.write_package(**PACKAGE)
    return station


def test_result_log_and_exit_code_of_a_run_that_succeeds(algorithm: Station) -> None:
    run = algorithm.run({"method": "add", "args": [40], "kwargs": {"c": 1}, "other": 1})
    assert (run.code, run.result, run.stderr) == (0, {"sum": 43}, "")
    assert run.stdout.splitlines() == [
        "info > wrapper for my-algo",
        f"info > Reading input file {algorithm.folder}/run/input",
        "info > Dispatching ...",
        "info > Module 'my-algo' imported!",
        "info > adding",
        "warn > carefully",
        f"info > Writing output to {algorithm.folder}/run/output",
    ]


@pytest.mark.parametrize(
    ("kind", "output"),
    [("none", b"null"), ("nan", b"NaN"), ("accent", b'"\\u00e9"'), ("tuple", b"[1, 2]")],
)
def test_output_is_plain_json(algorithm: Station, kind: str, output: bytes) -> None:
    assert algorithm.run({"method": "returns", "args": [kind]}).output == output


def test_text_of_an_exception_raised_on_purpose_reaches_the_researcher(
    algorithm: Station,
) -> None:
    run = algorithm.run({"method": "refuses", "args": ["salt"]})
    assert (run.code, run.output) == (1, b"")
    assert run.stdout.endswith(
        "error > Error encountered while calling refuses: 'salt' is not a colour\n"
    )
    assert "Traceback" in run.stderr


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("raises", "ValueError in functions.py line 22, function deeper"),
        (
            "raises_in_library",
            "JSONDecodeError in functions.py line 26, function raises_in_library",
        ),
        ("type_error_inside", "TypeError in functions.py line 29, function type_error_inside"),
    ],
)
def test_any_other_exception_tells_type_and_place_but_never_its_text(
    algorithm: Station, method: str, told: str
) -> None:
    run = algorithm.run({"method": method})
    assert run.code == 1
    assert run.stdout.splitlines()[-1] == (
        f"error > Error encountered while calling {method}: {told} "
        "(details are in the log of the data station)"
    )
    assert "John" not in run.stdout
    assert "Traceback" in run.stderr


def test_traceback_can_be_kept_from_the_data_stations_log(algorithm: Station) -> None:
    run = algorithm.run({"method": "raises"}, call="wrap_algorithm(log_traceback=False)")
    assert (run.code, run.stderr) == (1, "")


def test_older_images_name_their_package_in_the_call(algorithm: Station) -> None:
    run = algorithm.run({"method": "add", "args": [1]}, call="wrap_algorithm('my-algo')")
    assert run.result == {"sum": 3}


@pytest.mark.parametrize(
    ("kwargs", "told"),
    [
        ({}, "missing a required argument: 'column'. It takes: column, extra (optional)"),
        (
            {"colum": "age"},
            "missing a required argument: 'column'. It takes: column, extra (optional)",
        ),
        (
            {"column": "age", "client": 1},
            "got an unexpected keyword argument 'client'. It takes: column, extra (optional)",
        ),
        ({"column": "age", "mock_client": {}}, "'mock_client' is for tests only"),
    ],
)
def test_wrong_arguments_are_explained_without_those_that_decorators_inject(
    algorithm: Station, kwargs: dict[str, object], told: str
) -> None:
    run = algorithm.run({"method": "central", "kwargs": kwargs})
    assert (run.code, run.output) == (1, b"")
    assert run.stdout.splitlines()[-1] == f"error > Error encountered while calling central: {told}"


def test_wrong_arguments_are_found_before_any_data_are_read(algorithm: Station) -> None:
    run = algorithm.run({"method": "both"}, databases=["absent"])
    assert "missing a required argument: 'column'. It takes: column" in run.stdout
    assert "Reading" not in run.stdout.partition("imported")[2]


def test_decorators_of_authors_may_inject_arguments_of_their_own(algorithm: Station) -> None:
    run = algorithm.run({"method": "custom", "args": ["age"]})
    assert run.result == ["injected", "age"]


@pytest.mark.parametrize("method", ["subtract", "get_env_var", "_private", "SECRET", "os"])
def test_what_is_no_function_of_the_algorithm_cannot_be_called(
    algorithm: Station, method: str
) -> None:
    run = algorithm.run({"method": method, "args": ["PATH"]})
    assert (run.code, run.output) == (1, b"")
    assert run.stdout.splitlines()[-1] == (
        f"error > Method '{method}' not found! This algorithm offers: add, both, central, custom, "
        "deeper, environment, exits, injects, raises, raises_in_library, refuses, returns, "
        "type_error_inside, where"
    )


@pytest.mark.parametrize(
    ("task_input", "told"),
    [
        (b"", "does not contain valid JSON data!"),
        (b"\xff\xfe pickle", "does not contain valid JSON data!"),
        (b"[" * 100_000, "does not contain valid JSON data!"),
        ([1], "must be an object with the keys 'method', 'args' and 'kwargs', but is of type list"),
        ({"args": []}, "must name the function to run as text under the key 'method'"),
        ({"method": 3}, "must name the function to run as text under the key 'method'"),
        ({"method": "add", "args": "age"}, "'args' in the task's input must be a list, but is of"),
        ({"method": "add", "args": None}, "'args' in the task's input must be a list, but is of"),
        ({"method": "add", "kwargs": ["a"]}, "'kwargs' in the task's input must be an object"),
    ],
)
def test_wrong_input_is_explained(algorithm: Station, task_input: object, told: str) -> None:
    run = algorithm.run(task_input)
    assert (run.code, run.output) == (1, b"")
    assert told in run.stdout
    assert "Traceback" not in run.stdout


@pytest.mark.parametrize(("code", "exit_code"), [(3, 3), (0, 0), (SECRET, 1)])
def test_an_algorithm_that_exits_keeps_its_exit_code_and_is_reported(
    algorithm: Station, code: object, exit_code: int
) -> None:
    run = algorithm.run({"method": "exits", "args": [code]})
    assert (run.code, run.output) == (exit_code, b"")
    assert (
        f"error > exits ended itself with exit code {exit_code} before it returned a result"
        in run.stdout
    )
    assert "John" not in run.stdout


def test_result_that_json_cannot_express_is_named(algorithm: Station) -> None:
    run = algorithm.run({"method": "returns", "args": ["set"]})
    assert (run.code, run.output) == (1, b"")
    assert run.stdout.splitlines()[-1] == (
        'error > The result cannot be sent: result["a"][1] is a set, which JSON cannot express.'
    )


def test_missing_package_name_is_explained(algorithm: Station) -> None:
    run = algorithm.run({"method": "add"}, package=None)
    assert run.code == 1
    assert run.stdout.startswith("error > No PKG_NAME specified!")


def test_package_that_cannot_be_imported_is_explained(station: Station) -> None:
    run = station.run({"method": "add"}, package="absent")
    assert run.code == 1
    assert "error > Module 'absent' can not be imported! Exiting...\n" in run.stdout


def test_missing_dependency_of_a_package_is_named(station: Station) -> None:
    station.write_package(__init__="import statsmodels_of_another_world")
    run = station.run({"method": "add"})
    assert run.code == 1
    assert "It needs the module 'statsmodels_of_another_world', which is not" in run.stdout


def test_package_that_fails_at_import_tells_type_and_place(station: Station) -> None:
    station.write_package(__init__=f"raise ValueError({SECRET!r})")
    run = station.run({"method": "add"})
    assert run.code == 1
    assert "can not be imported! ValueError in __init__.py line 1 (details" in run.stdout
    assert "John" not in run.stdout


@pytest.mark.parametrize(
    ("encoded", "plain", "expected"),
    [
        ({"GREETING": "grüß dich"}, {}, "grüß dich"),
        ({"GREETING": ""}, {}, ""),
        # These are valid base32 themselves, and must not be decoded a second time.
        ({"GREETING": "GAUSSIAN"}, {}, "GAUSSIAN"),
        ({"GREETING": "MFRGG==="}, {}, "MFRGG==="),
        # What the image itself sets is not encoded, even where it looks so.
        ({}, {"GREETING": "plain"}, "plain"),
        ({}, {"GREETING": "GAUSSIAN"}, "GAUSSIAN"),
        ({}, {"GREETING": "22222222"}, "22222222"),
        ({}, {"GREETING": "AAAAAAAA"}, "AAAAAAAA"),
    ],
)
def test_environment_is_decoded_exactly_once(
    algorithm: Station, encoded: dict[str, str], plain: dict[str, str], expected: str
) -> None:
    algorithm.settings.update(encoded)
    run = algorithm.run({"method": "environment", "args": ["GREETING"]}, plain=plain)
    assert run.result == [expected, expected]


def test_client_and_metadata_are_made_from_token_and_environment(algorithm: Station) -> None:
    run = algorithm.run({"method": "central", "args": ["age"]})
    assert run.result == ["example/image", [{"label": "default"}], 5, "http://127.0.0.1:1"]
    run = algorithm.run({"method": "where"})
    assert run.result == [7, 4, 6, 5, str(algorithm.folder / "run")]


def test_output_keeps_its_mode_so_that_the_node_can_read_it(algorithm: Station) -> None:
    algorithm.run({"method": "add", "args": [1]})
    output = algorithm.folder / "run" / "output"
    output.chmod(0o640)
    assert algorithm.run({"method": "add", "args": [2]}).result == {"sum": 4}
    assert output.stat().st_mode & 0o777 == 0o640


def test_result_that_does_not_fit_on_the_disk_is_reported(algorithm: Station) -> None:
    call = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5, 5)); wrap_algorithm()"
    run = algorithm.run({"method": "add", "args": [123456]}, call=call)
    assert run.code == 1
    assert "error > The result (15 bytes) could not be written: File too large" in run.stdout


@pytest.mark.parametrize("refused", ["os.replace", "tempfile.mkstemp"])
def test_output_that_cannot_be_replaced_is_written_in_place(
    algorithm: Station, refused: str
) -> None:
    module, _, name = refused.partition(".")
    call = f"""
def refuse(*args, **kwargs):
    raise OSError(16, "busy")

import {module}
{module}.{name} = refuse
wrap_algorithm()
"""
    assert algorithm.run({"method": "add", "args": [1]}, call=call).result == {"sum": 3}
