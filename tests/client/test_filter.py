from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantage6.client.filter import (
    filter_dict_keys,
    filter_dicts_by_values,
    filter_dicts_from_results,
    filter_dicts_keys,
    filter_dicts_on_values,
    filter_keys_from_result,
    filter_keys_from_results,
    post_filtering,
)

KEYS = ["id", "name", "status", "ip"]
values = st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["a", "b"]))
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(KEYS, values)), max_size=8)
wanted = st.lists(st.sampled_from([*KEYS, "absent"]), min_size=1, max_size=4)
pairs = st.lists(st.tuples(st.sampled_from(KEYS), values), max_size=3)


@post_filtering()
def page(data: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a page.

    Returns
    -------
    dict
        The page.
    """
    return {"data": data, "links": {"self": "/api/x"}}


@post_filtering(iterable=False)
def item(data: dict[str, Any]) -> dict[str, Any]:
    """Return an item.

    Parameters
    ----------
    data : dict
        The item.

    Returns
    -------
    dict
        The item.
    """
    return data


@given(rows)
def test_without_filters_the_page_is_untouched(data: list[dict[str, Any]]) -> None:
    assert page(data) == {"data": data, "links": {"self": "/api/x"}}


@given(rows, wanted)
def test_fields_cut_every_row_and_keep_order(data: list[dict[str, Any]], keys: list[str]) -> None:
    cut = page(data, fields=keys)
    assert len(cut) == len(data)
    present = [key for key in dict.fromkeys(keys) if key != "absent"]
    assert all(list(row) == present for row in cut)
    assert all(row[key] == full[key] for row, full in zip(cut, data, strict=True) for key in row)


@given(rows, pairs)
def test_filters_keep_exactly_the_matching_rows_in_order(
    data: list[dict[str, Any]], conditions: list[tuple[str, Any]]
) -> None:
    expected = [row for row in data if all(row[key] == value for key, value in conditions)]
    kept = page(data, filters=conditions)
    assert kept == expected if conditions else kept["data"] == data
    assert filter_dicts_on_values(data, conditions) == expected


@given(rows, pairs, wanted)
def test_filters_and_fields_together_are_one_after_the_other(
    data: list[dict[str, Any]], conditions: list[tuple[str, Any]], keys: list[str]
) -> None:
    matching = filter_dicts_from_results({"data": data}, conditions)
    assert page(data, filters=conditions, fields=keys) == filter_dicts_keys(matching, keys)


@given(rows, st.sampled_from(KEYS), values)
def test_one_filter_wins_over_several_and_one_field_over_several(
    data: list[dict[str, Any]], key: str, value: Any
) -> None:
    both = page(data, filter_=(key, value), filters=[("id", "never")], field=key, fields=["ip"])
    assert both == [{key: row[key]} for row in data if row[key] == value]


@given(st.fixed_dictionaries(dict.fromkeys(KEYS, values)), wanted)
def test_an_item_is_cut_to_its_fields(data: dict[str, Any], keys: list[str]) -> None:
    assert item(data, fields=keys) == filter_dict_keys(data, keys)
    assert item(data, field=keys[0]) == filter_keys_from_result(data, keys[:1])
    assert item(data) == data


def test_an_unknown_key_to_filter_on_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"Cannot filter on 'nam'. There are: id, name"):
        filter_dicts_by_values([{"id": 1, "name": "a"}], "nam", "a")


def test_one_field_given_as_text_is_meant_as_one_field() -> None:
    assert page([{"id": 1, "i": 2}], fields="id") == [{"id": 1}]
    assert filter_keys_from_results({"data": [{"id": 1, "i": 2}]}, ["i"]) == [{"i": 2}]


@pytest.mark.parametrize("keyword", ["filter_", "filters", "unknown"])
def test_an_item_takes_no_row_filters(keyword: str) -> None:
    with pytest.raises(TypeError):
        item({}, **{keyword: ("id", 1)})


def test_the_docstring_tells_of_the_added_keywords() -> None:
    documented = page.__doc__ or ""
    assert documented.index("Parameters") < documented.index("fields : list[str], optional")
    assert documented.index("filters : list[tuple]") < documented.index("Returns")
    assert "filter_" not in (item.__doc__ or "")
    assert (item.__doc__ or "").count("Parameters") == 1
