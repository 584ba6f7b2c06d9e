"""Long texts taken out of a JSON document while it comes in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantage6.server.payloads import cutting
from vantage6.server.payloads.cutting import Cutter

LONG = 40


@pytest.fixture(autouse=True, scope="module")
def shorter() -> Iterator[None]:
    """Texts are long here that are not in life."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "SHORT", LONG)
        yield


def cut(document: bytes, sizes: list[int], *, refused: bool = False) -> tuple[Any, Cutter]:
    """A document that came in parts of these sizes, again and again; what is left is read."""
    cutter = Cutter("input", 3, refused=refused)
    at = 0
    while at < len(document):
        for size in sizes:
            cutter.feed(document[at : at + size])
            at += size
    return json.loads(cutter.finish()), cutter


def restored(value: Any, cutter: Cutter) -> Any:
    """With every text in its place again."""
    if isinstance(value, dict):
        return {restored(key, cutter): restored(item, cutter) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item, cutter) for item in value]
    if isinstance(value, str) and value in cutter.texts:
        return cutter.texts[value].whole()
    return value


_base64 = st.text("ABCxyz019+/=$", max_size=120)
_texts = st.one_of(_base64, st.text(max_size=80), st.text('\\"/é\n{[,:', max_size=80))
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), _texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.just("input"), _texts), inner, max_size=4),
    ),
    max_leaves=12,
)
_inputs = st.fixed_dictionaries(
    {"organizations": st.lists(st.fixed_dictionaries({"input": _texts}), max_size=4)}
)
_sizes = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.one_of(_values, _inputs), _sizes, st.booleans(), st.booleans())
def test_nothing_is_lost_or_changed_however_it_is_written_and_however_it_comes(
    value: Any, sizes: list[int], ascii_only: bool, escaped: bool
) -> None:
    document = json.dumps(value, ensure_ascii=ascii_only)
    if escaped:  # as some write it
        document = document.replace("/", "\\/").replace("+", "\\u002B")
    rest, cutter = cut(document.encode(), sizes)
    assert restored(rest, cutter) == value


@settings(deadline=None)
@given(_sizes, st.text("ABC+/=", min_size=LONG + 1, max_size=200), st.booleans())
def test_long_base64_is_cut_out_where_it_is_meant_and_nowhere_else(
    sizes: list[int], text: str, escaped: bool
) -> None:
    value = {
        "input": text,
        "organizations": [{"id": 1, "input": text}, {"input": "short"}, {"other": text}],
        "databases": [{"arguments": {"input": text}}],
        "more": ["input", text, {"input": [text]}],
    }
    document = json.dumps(value)
    if escaped:
        document = document.replace("/", "\\/").replace("+", "\\u002b")
    rest, cutter = cut(document.encode(), sizes)
    [name] = cutter.texts
    assert rest["organizations"][0]["input"] == name
    assert cutter.texts[name].whole() == text
    assert len(cutter.texts[name]) == len(text)
    assert len(name) < len(text) or len(text) < 2 * LONG
    assert restored(rest, cutter) == value
    assert [key for key in rest if rest[key] == value[key]] == ["input", "databases", "more"]


@pytest.mark.parametrize("bad", ["é", "{", '"', "\\", "\0", "\u2028"])
@pytest.mark.parametrize("at", [0, 1, LONG, 3 * LONG])
def test_a_text_that_will_be_refused_takes_no_room(bad: str, at: int) -> None:
    text = "A" * at + bad + "A" * (4 * LONG - at)
    document = json.dumps({"organizations": [{"input": text, "id": 7}]}).encode()
    for sizes in ([1], [7, 3], [500]):
        rest, cutter = cut(document, sizes, refused=True)
        assert rest == {"organizations": [{"input": "!", "id": 7}]}
        assert cutter.texts == {}
        rest, cutter = cut(document, sizes)
        assert rest == {"organizations": [{"input": text, "id": 7}]}


@pytest.mark.parametrize(
    "document",
    [
        b'{"organizations": [{"input": "' + b"A" * 200,
        b'{"organizations": [{"input": "' + b"A" * 200 + b'\\u00"}]}',
        b'{"organizations": [{"input": "' + b"A" * 200 + b"\\",
        b'{"organizations": [{"input": "' + b"A" * 200 + b'"}',
        b"\xff\xfe\x00",
        b"]]]]{{{{",
    ],
)
def test_what_is_no_json_still_is_none(document: bytes) -> None:
    for refused in (False, True):
        cutter = Cutter("input", 3, refused=refused)
        for at in range(0, len(document), 9):
            cutter.feed(document[at : at + 9])
        rest = cutter.finish()
        if rest == b'{"organizations": [{"input": "!"}]}':
            continue  # which is refused for that
        with pytest.raises(ValueError):  # noqa: PT011 (bytes that are no text, or text that is no JSON)
            json.loads(rest)


def test_a_document_of_nothing_but_structure_is_not_looked_at_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cutting, "_MOST_STEPS", 50)
    document = json.dumps([[]] * 500 + [{"a": {"input": "A" * 200}}]).encode()
    rest, cutter = cut(document, [64])
    assert rest == json.loads(document)
    assert cutter.texts == {}
