"""Encoded environment variables and `get_env_var`."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.algorithm.tools._environment import decode_environment, decode_value, encode_value
from vantage6.algorithm.tools.exceptions import (
    EnvironmentVariableError,
    EnvironmentVariableNotFoundError,
)
from vantage6.algorithm.tools.util import check_envvar_value_positive, get_env_var

NO_NUL = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
PRINTABLE = st.characters(exclude_categories=["Cs", "Cc"])


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("abc", "MFRGG!!!"),
        ("csv", "MNZXM!!!"),
        ("default,pg", "MRSWMYLVNR2CY4DH"),
        ("http://proxyserver", "NB2HI4B2F4XXA4TPPB4XGZLSOZSXE!!!"),
        ("", ""),
    ],
)
def test_encoding_is_the_contracts(text: str, encoded: str) -> None:
    assert encode_value(text) == encoded
    assert decode_value("ANY_NAME", encoded) == text


@given(st.text(PRINTABLE))
def test_any_text_survives_encoding_and_decoding_under_any_name(text: str) -> None:
    assert decode_value("ANY_NAME", encode_value(text)) == text


@given(st.text(NO_NUL), st.sampled_from(["INPUT_FILE", "DEFAULT_QUERY", "PG_DB_PARAM_PASSWORD"]))
def test_what_only_a_node_sets_survives_with_control_characters_too(text: str, name: str) -> None:
    assert decode_value(name, encode_value(text)) == text


@given(st.text(NO_NUL))
def test_decoding_never_crashes_and_leaves_what_is_not_base32(text: str) -> None:
    decoded = decode_value("ANY_NAME", text)
    assert decoded == text or encode_value(decoded) == text


@given(st.text(NO_NUL), st.booleans())
def test_reader_finds_the_text_whether_or_not_the_wrapper_decoded_it_before(
    text: str, wrapped: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {"DEFAULT_QUERY": encode_value(text)})
        if wrapped:
            decode_environment()
            assert os.environ["DEFAULT_QUERY"] == text
        assert get_env_var("DEFAULT_QUERY") == text


def test_absent_variable_is_the_default_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT", raising=False)
    assert get_env_var("ABSENT") is None
    assert get_env_var("ABSENT", default="a") == "a"
    assert get_env_var("ABSENT", default="5", as_type="int") == 5
    assert get_env_var("ABSENT", default=5, as_type="int") == 5
    assert get_env_var("ABSENT", default="true", as_type="bool") is True
    assert get_env_var("ABSENT", default=False, as_type="bool") is False


@pytest.mark.parametrize("as_type", ["int", "bool", "float"])
def test_absent_variable_without_default_cannot_be_converted(
    monkeypatch: pytest.MonkeyPatch, as_type: str
) -> None:
    monkeypatch.delenv("ABSENT", raising=False)
    with pytest.raises(EnvironmentVariableNotFoundError, match="'ABSENT' is not set"):
        get_env_var("ABSENT", as_type=as_type)


@pytest.mark.parametrize(
    ("value", "as_type", "expected"),
    [
        ("3", "int", 3),
        ("-3", "int", -3),
        ("0.5", "float", 0.5),
        ("yes", "bool", True),
        ("T", "bool", True),
        ("0", "bool", False),
        ("False", "bool", False),
        ("plain", "str", "plain"),
    ],
)
@pytest.mark.parametrize("encoded", [True, False])
def test_values_are_converted(
    monkeypatch: pytest.MonkeyPatch, value: str, as_type: str, expected: object, encoded: bool
) -> None:
    monkeypatch.setenv("SETTING", encode_value(value) if encoded else value)
    found = get_env_var("SETTING", as_type=as_type)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("as_type", ["int", "bool", "float"])
def test_unusable_value_is_refused_without_being_quoted(
    monkeypatch: pytest.MonkeyPatch, as_type: str
) -> None:
    monkeypatch.setenv("SETTING", "hunter2!")
    with pytest.raises(EnvironmentVariableError, match="'SETTING' must be") as caught:
        get_env_var("SETTING", as_type=as_type)
    assert "hunter2" not in str(caught.value)


def test_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="as_type is 'list'"):
        get_env_var("SETTING", as_type="list")


def test_negative_setting_is_refused_and_zero_is_not() -> None:
    check_envvar_value_positive("SETTING", 0)
    with pytest.raises(EnvironmentVariableError, match="'SETTING' must not be negative"):
        check_envvar_value_positive("SETTING", -1)


def test_values_of_the_tests_are_encoded_like_those_of_a_node() -> None:
    assert encode_value("abcd") == base64.b32encode(b"abcd").decode().replace("=", "!")
