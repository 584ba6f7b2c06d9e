"""Working hours: when a node runs what others ask of it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _time(value: Any) -> Any:
    # YAML reads 18:00 as the number 1080, and no time as one below 60: that is an hour alone.
    if isinstance(value, int) and not isinstance(value, bool):
        if 60 <= value < 24 * 60:
            return time(value // 60, value % 60)
        raise ValueError("must be hours and minutes in quotation marks, such as '08:00'")
    return f"0{value}" if isinstance(value, str) and value[1:2] == ":" else value


_TimeOfDay = Annotated[time, BeforeValidator(_time)]


class WorkingHours(BaseModel):
    """Days and times; hours that end before they begin go on into the next day.

    Without a time zone the machine's own counts.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    days: Annotated[list[Day], Field(min_length=1)] = list(_DAYS[:5])
    from_: _TimeOfDay = Field(alias="from")
    to: _TimeOfDay
    timezone: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.from_ == self.to:
            raise ValueError("working_hours: 'from' and 'to' must differ")
        if self.timezone is not None:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(
                    f"working_hours: this machine knows no time zone '{self.timezone}'; write "
                    "one such as Europe/Amsterdam, or leave it out"
                ) from None
        return self

    def include(self, at: datetime) -> bool:
        """Whether a moment is within them."""
        here = at.astimezone(ZoneInfo(self.timezone) if self.timezone else None)
        now = here.time()
        if self.from_ < self.to:
            return self._is_on(here) and self.from_ <= now < self.to
        if now >= self.from_:
            return self._is_on(here)
        return now < self.to and self._is_on(here - timedelta(days=1))

    @property
    def text(self) -> str:
        """In words for the researcher."""
        zone = f" {self.timezone}" if self.timezone else " local time"
        return f"{', '.join(self.days)}, {self.from_:%H:%M} to {self.to:%H:%M}{zone}"

    def _is_on(self, day: datetime) -> bool:
        return _DAYS[day.weekday()] in self.days
