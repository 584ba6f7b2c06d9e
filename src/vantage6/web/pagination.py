"""Pages of a list: parameters, envelope and headers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

import orjson
from fastapi import Depends, Query, Request
from sqlalchemy import ColumnElement, Row, Select, UnaryExpression, func
from sqlalchemy.orm import InstrumentedAttribute, Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from vantage6.web.errors import bad_request
from vantage6.web.responses import JSON

#: A SELECT, or a row of one, of any columns.
AnySelect = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]

#: Beyond this an offset no longer fits the databases' integers.
_LARGEST = 2**31
#: Items on one page at most, so that no request holds a whole table. The UI asks for 9999 at once.
MOST_PER_PAGE = 10_000
#: Bytes of large columns that a page may have and still be made at once.
MOST_BYTES = 4 * 2**20
# So few rows are not worth a statement that weighs them.
_NEVER_WEIGHED = 10
# Rows of one piece at most.
_BATCH = 500
_COUNT = func.count()


@dataclass(frozen=True)
class Heavy:
    """What must be known of rows that may be large.

    Parameters
    ----------
    key
        Tells the rows apart.
    weight
        The bytes of a row's large columns, in SQL.
    as_json : callable
        Makes items of rows; further statements go to the session it gets.
    again : callable
        Opens another transaction that reads.
    by_its_parts
        Whether the rows are light, and only what ``as_json`` adds to them is not.
    """

    key: InstrumentedAttribute[Any]
    weight: ColumnElement[int]
    as_json: Callable[[Session, Sequence[Any]], list[Any]]
    again: Callable[[], AbstractContextManager[Session]]
    by_its_parts: bool = False


def _weight(weights: Sequence[tuple[Any, int]]) -> int:
    return sum(weight for _, weight in weights)


def _batches(weights: Sequence[tuple[Any, int]]) -> Iterator[list[Any]]:
    """Keys that together are light enough, in order; one that is heavy alone is alone."""
    batch: list[Any] = []
    held = 0
    for key, weight in weights:
        if batch and (held + weight > MOST_BYTES or len(batch) == _BATCH):
            yield batch
            batch, held = [], 0
        batch.append(key)
        held += weight
    if batch:
        yield batch


def _load(statement: AnySelect, heavy: Heavy, keys: Sequence[Any]) -> bytes:
    """The items of these keys as JSON, without the brackets; empty if they are gone meanwhile."""
    with heavy.again() as db:
        rows = db.execute(statement.where(heavy.key.in_(keys))).all()
        return orjson.dumps(heavy.as_json(db, rows), option=orjson.OPT_NON_STR_KEYS)[1:-1]


async def _pieces(
    batches: Iterator[list[Any]], load: Callable[[list[Any]], bytes], links: dict[str, str]
) -> AsyncIterator[bytes]:
    """The contract's envelope, piece by piece."""
    before = b'{"data":['
    for keys in batches:
        if piece := await run_in_threadpool(load, keys):
            yield before
            yield piece
            before = b","
    yield (b"" if before == b"," else before) + b'],"links":' + orjson.dumps(links) + b"}"


class Page:
    """Which part of a list is asked for, and in which order."""

    def __init__(self, request: Request, page: int, per_page: int, sort: str | None) -> None:
        self._path = request.url.path
        self._query = parse_qsl(request.url.query, keep_blank_values=True)
        self.number = page
        self.size = min(per_page, MOST_PER_PAGE)
        self._sort = sort

    def whole(self) -> Page:
        """Everything on one page."""
        self.number, self.size = 1, _LARGEST
        return self

    def order(
        self,
        columns: Mapping[str, InstrumentedAttribute[Any]],
        *default: InstrumentedAttribute[Any] | UnaryExpression[Any],
    ) -> Sequence[Any]:
        """The ORDER BY of `sort`, or the default.

        Raises
        ------
        Refusal
            400 if `sort` names a field that the resource does not have.
        """
        if not self._sort:
            return default
        result: list[Any] = []
        for part in self._sort.split(","):
            field = part.strip().lstrip("+-")
            if field not in columns:
                known = ", ".join(sorted(columns))
                raise bad_request(f"Cannot sort by '{field}'. Possible are: {known}")
            column = columns[field]
            result.append(column.desc() if part.strip().startswith("-") else column.asc())
        return [*result, *default]

    def fetch(
        self,
        db: Session,
        statement: AnySelect,
        as_json: Callable[[Sequence[Any]], list[Any]],
        *,
        sort: Mapping[str, InstrumentedAttribute[Any]],
        default: InstrumentedAttribute[Any] | UnaryExpression[Any],
    ) -> JSON:
        """Run a SELECT for one page and wrap the rows in the contract's envelope.

        One statement when the page is not full, because it then tells the total; otherwise a
        second one counts. ``as_json`` gets all rows of the page at once.
        """
        rows = db.execute(self._limited(statement, self.order(sort, default))).all()
        return self.envelope(as_json(rows), self._total(db, statement, len(rows)))

    def fetch_heavy(
        self,
        db: Session,
        statement: AnySelect,
        heavy: Heavy,
        *,
        sort: Mapping[str, InstrumentedAttribute[Any]],
        default: InstrumentedAttribute[Any] | UnaryExpression[Any],
    ) -> Response:
        """Like :meth:`fetch`, of rows that may be large.

        What sorts them sorts keys, and only the page's rows are read whole. A long page is weighed
        first, and one that is too heavy to be held is sent piece by piece.
        """
        order = self.order(sort, default)
        page = self._limited(statement, order)
        if heavy.by_its_parts:
            rows = db.execute(page.add_columns(heavy.key, heavy.weight)).all()
            weights = [(row[-2], row[-1]) for row in rows]
            if _weight(weights) <= MOST_BYTES:
                return self.envelope(heavy.as_json(db, rows), self._total(db, statement, len(rows)))
        elif self.size > _NEVER_WEIGHED:
            weighed = page.with_only_columns(heavy.key, heavy.weight, maintain_column_froms=True)
            weights = [(row[0], row[1]) for row in db.execute(weighed)]
        else:
            weights = []
        if _weight(weights) > MOST_BYTES:
            links, headers = self._surroundings(self._total(db, statement, len(weights)))
            load = partial(_load, statement.order_by(*order), heavy)
            # The transaction is not kept open until the reader has taken everything.
            pieces = _pieces(_batches(weights), load, links)
            return StreamingResponse(pieces, headers=headers, media_type=JSON.media_type)
        if self._sort:
            keys = page.with_only_columns(heavy.key, maintain_column_froms=True)
            page = statement.where(heavy.key.in_(keys)).order_by(*order)
        rows = db.execute(page).all()
        return self.envelope(heavy.as_json(db, rows), self._total(db, statement, len(rows)))

    @property
    def _offset(self) -> int:
        return (self.number - 1) * self.size

    def _limited(self, statement: AnySelect, order: Sequence[Any]) -> AnySelect:
        return statement.order_by(*order).limit(self.size).offset(self._offset)

    def _total(self, db: Session, statement: AnySelect, found: int) -> int:
        """How many there are, counted only if the page does not tell."""
        if found < self.size and (found or self._offset == 0):
            return self._offset + found
        # On the connection: the session would prepare for objects that never come.
        counted = statement.with_only_columns(_COUNT, maintain_column_froms=True)
        return db.connection().scalar(counted) or 0

    def envelope(self, data: list[Any], total: int) -> JSON:
        """The answer for one page out of `total` items."""
        links, headers = self._surroundings(total)
        return JSON({"data": data, "links": links}, headers=headers)

    def _surroundings(self, total: int) -> tuple[dict[str, str], dict[str, str]]:
        """Links and headers of the page out of `total` items."""
        last = -(-total // self.size)
        links = {"first": self._link(1), "self": self._link(self.number)}
        if self.number > 1:
            links["previous"] = self._link(self.number - 1)
        if self.number < last:
            links["next"] = self._link(self.number + 1)
        if total:
            links["last"] = self._link(last)
        headers = {
            "total-count": str(total),
            "Link": ",".join(f"<{url}>; rel={rel}" for rel, url in links.items()),
            "access-control-expose-headers": "total-count, Link",
        }
        return links, headers

    def _link(self, number: int) -> str:
        query = [(key, value) for key, value in self._query if key != "page"]
        return f"{self._path}?{urlencode([*query, ('page', number)])}"


_PER_PAGE = f"Items per page; more than {MOST_PER_PAGE} are taken as {MOST_PER_PAGE}"


async def _page(
    request: Request,
    page: Annotated[int, Query(ge=1, le=_LARGEST, description="Page number, from 1")] = 1,
    per_page: Annotated[int, Query(ge=1, le=_LARGEST, description=_PER_PAGE)] = 10,
    sort: Annotated[
        str | None, Query(description="Fields to sort by, comma separated; `-` for descending")
    ] = None,
) -> Page:
    return Page(request, page, per_page, sort)


Paged = Annotated[Page, Depends(_page)]
