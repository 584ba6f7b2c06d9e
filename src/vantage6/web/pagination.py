"""Pages of a list: parameters, envelope and headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query, Request
from sqlalchemy import Row, Select, UnaryExpression, func
from sqlalchemy.orm import InstrumentedAttribute, Session

from vantage6.web.errors import bad_request
from vantage6.web.responses import JSON

#: A SELECT, or a row of one, of any columns.
AnySelect = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]

#: Beyond this an offset no longer fits the databases' integers.
_LARGEST = 2**31
#: Items on one page at most, so that no request holds a whole table. The UI asks for 9999 at once.
MOST_PER_PAGE = 10_000


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
        key: InstrumentedAttribute[Any] | None = None,
    ) -> JSON:
        """Run a SELECT for one page and wrap the rows in the contract's envelope.

        One statement when the page is not full, because it then tells the total; otherwise a
        second one counts. ``as_json`` gets all rows of the page at once. ``key`` is for rows that
        are large: what sorts them then sorts keys, and only the page's rows are read whole.
        """
        offset = (self.number - 1) * self.size
        order = self.order(sort, default)
        page = statement.order_by(*order).limit(self.size).offset(offset)
        if key is not None and self._sort:
            keys = page.with_only_columns(key, maintain_column_froms=True)
            page = statement.where(key.in_(keys)).order_by(*order)
        rows = db.execute(page).all()
        if len(rows) < self.size and (rows or offset == 0):
            total = offset + len(rows)
        else:
            counted = statement.with_only_columns(func.count(), maintain_column_froms=True)
            total = db.scalar(counted) or 0
        return self.envelope(as_json(rows), total)

    def envelope(self, data: list[Any], total: int) -> JSON:
        """The answer for one page out of `total` items."""
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
        return JSON({"data": data, "links": links}, headers=headers)

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
