"""What runs in an algorithm's container: reads the input, calls the function, writes the result.

Standard output is the run's log, which the researcher reads. Standard error stays at the data
station; tracebacks go there.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import stat
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from vantage6.algorithm.tools._environment import decode_environment
from vantage6.algorithm.tools._failures import safe_text
from vantage6.algorithm.tools._signature import binding_error, is_decorated
from vantage6.algorithm.tools.exceptions import DeserializationError, SerializationError
from vantage6.algorithm.tools.serialization import to_json
from vantage6.algorithm.tools.util import ExplainedExit, error, fail, info
from vantage6.common.client.deserialization import deserialize

_RESERVED = ("mock_client", "mock_data")


def wrap_algorithm(log_traceback: bool = True) -> None:
    """Run the function that the input names, of the package that ``PKG_NAME`` names.

    Parameters
    ----------
    log_traceback : bool
        Whether the traceback of a failure is written to standard error.

    Raises
    ------
    SystemExit
        With code 1 if anything fails, after a message for the researcher; with the algorithm's
        own code if it ends itself.
    """
    package_name = os.environ.get("PKG_NAME")
    if not package_name:
        fail(
            "No PKG_NAME specified! Make sure that the PKG_NAME environment variable is "
            "specified in the Dockerfile. Exiting..."
        )
    info(f"wrapper for {package_name}")
    decode_environment()
    input_file = _path_from("INPUT_FILE")
    output_file = _path_from("OUTPUT_FILE")
    try:
        input_data = load_input(input_file)
    except DeserializationError as problem:
        _show_traceback(log_traceback)
        raise ExplainedExit(1) from problem
    result = _run_algorithm_method(input_data, package_name, log_traceback)
    info(f"Writing output to {output_file}")
    _write_output(result, output_file)


def load_input(input_file: str | Path) -> Any:
    """Read the task's input.

    Raises
    ------
    DeserializationError
        If the file cannot be read or holds no JSON; messages for the researcher are written.
    """
    info(f"Reading input file {input_file}")
    try:
        with open(input_file, "rb") as file:
            return deserialize(file)
    except OSError as problem:
        error(f"Algorithm input file cannot be read: {problem.strerror}")
        raise DeserializationError("Algorithm input file cannot be read") from problem
    except (ValueError, RecursionError) as problem:
        error("Algorithm input file does not contain valid JSON data!")
        error("Please check that the task input is JSON serializable.")
        raise DeserializationError("Algorithm input is not valid JSON") from problem


def _run_algorithm_method(input_data: Any, package_name: str, log_traceback: bool = True) -> Any:
    name, args, kwargs = _parse_call(input_data)
    info("Dispatching ...")
    package = _import_package(package_name, log_traceback)
    info(f"Module '{package_name}' imported!")
    method = _find_method(package, name)
    for reserved in _RESERVED:
        if reserved in kwargs:
            fail(f"Error encountered while calling {name}: '{reserved}' is for tests only")
    problem = binding_error(method, args, kwargs)
    if problem:
        fail(f"Error encountered while calling {name}: {problem}")
    try:
        return method(*args, **kwargs)
    except ExplainedExit:
        raise
    except SystemExit as exit_:
        _show_traceback(log_traceback)
        code = exit_.code if isinstance(exit_.code, int | None) else 1
        error(f"{name} ended itself with exit code {code or 0} before it returned a result")
        # A text given to sys.exit may hold anything; it went to standard error above.
        raise SystemExit(code) from exit_
    except Exception as exception:
        _show_traceback(log_traceback)
        fail(f"Error encountered while calling {name}: {safe_text(exception, package)}")


def _parse_call(input_data: Any) -> tuple[str, list[Any], dict[str, Any]]:
    if not isinstance(input_data, dict):
        fail(
            "The task's input must be an object with the keys 'method', 'args' and 'kwargs', "
            f"but is of type {type(input_data).__name__}"
        )
    name = input_data.get("method")
    if not isinstance(name, str) or not name:
        fail("The task's input must name the function to run as text under the key 'method'")
    args, kwargs = input_data.get("args", []), input_data.get("kwargs", {})
    if not isinstance(args, list):
        fail(f"'args' in the task's input must be a list, but is of type {type(args).__name__}")
    if not isinstance(kwargs, dict):
        fail(
            "'kwargs' in the task's input must be an object (a dict in Python), but is of type "
            f"{type(kwargs).__name__}"
        )
    return name, args, kwargs


def _import_package(package_name: str, log_traceback: bool) -> ModuleType:
    try:
        return importlib.import_module(package_name)
    except ModuleNotFoundError as problem:
        _show_traceback(log_traceback)
        missing = problem.name or ""
        if package_name == missing or package_name.startswith(f"{missing}."):
            fail(f"Module '{package_name}' can not be imported! Exiting...")
        fail(
            f"Module '{package_name}' can not be imported! It needs the module '{missing}', "
            "which is not installed. Exiting..."
        )
    except Exception as problem:
        _show_traceback(log_traceback)
        fail(f"Module '{package_name}' can not be imported! {safe_text(problem)}")


def _find_method(package: ModuleType, name: str) -> Callable[..., Any]:
    method: Callable[..., Any] | None = getattr(package, name, None)
    if method is None or not _is_offered(package, name, method):
        offered = sorted(n for n, value in vars(package).items() if _is_offered(package, n, value))
        listed = ", ".join(offered) if offered else "no functions"
        fail(f"Method '{name}' not found! This algorithm offers: {listed}")
    return method


def _is_offered(package: ModuleType, name: str, value: object) -> bool:
    """Whether a task may call this attribute of the package.

    Names that a star import pulled in from elsewhere are not offered: a task could read a
    database's password with `get_env_var`.
    """
    if not callable(value) or isinstance(value, type):
        return False
    if is_decorated(value) or name in getattr(package, "__all__", ()):
        return True
    home = getattr(value, "__module__", None) or ""
    own = home == package.__name__ or home.startswith(f"{package.__name__}.")
    return own and not name.startswith("_")


def _write_output(output: Any, output_file: str | Path) -> None:
    try:
        data = to_json(output)
    except SerializationError as problem:
        fail(f"The result cannot be sent: {problem}")
    try:
        _replace(Path(output_file), data)
    except OSError as problem:
        fail(f"The result ({len(data)} bytes) could not be written: {problem.strerror}")


def _replace(path: Path, data: bytes) -> None:
    """Write a file all at once, keeping its owner and mode; in place where that is impossible."""
    temporary: str | None = None
    try:
        if path.exists() and path.stat().st_dev != path.parent.stat().st_dev:
            raise OSError(errno.EBUSY, "Mounted by itself, so it cannot be replaced")
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with open(descriptor, "wb") as file:
            file.write(data)
            # The node, which made the file, must be able to read its replacement.
            with contextlib.suppress(FileNotFoundError):
                made = path.stat()
                os.fchmod(descriptor, stat.S_IMODE(made.st_mode))
                if (made.st_uid, made.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, made.st_uid, made.st_gid)
        os.replace(temporary, path)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        # Also for a read-only folder; a full disk fails here once more.
        path.write_bytes(data)


def _path_from(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        fail(f"Environment variable '{variable}' is not set; the node should have set it")
    return Path(value)


def _show_traceback(wanted: bool) -> None:
    if wanted:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
