"""When the world was watched: from ``start`` to ``as_of``, in one unit of time.

``as_of`` is the end of observation. It is never "the last row" (customers were watched after their last purchase) and
never the clock (the same file must give the same numbers next quarter).
"""

from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

import pandas as pd

from funnelstats.errors import DataError, Problem

Unit = Literal["day", "week", "month", "year"]

#: Length of one unit in days. A month is a twelfth of the mean Gregorian year, so that rates per month and per year agree.
DAYS_PER: dict[str, float] = {"day": 1.0, "week": 7.0, "month": 365.2425 / 12, "year": 365.2425}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationWindow:
    """The stretch of time in which events could have been seen.

    Parameters
    ----------
    as_of : Timestamp
        End of observation: an event later than this was not seen. A bare date was watched to its last moment.
    start : Timestamp, optional
        Begin of observation; None where the source reaches back to its first event.
    unit : {"day", "week", "month", "year"}
        The unit of every duration read from this window.

    Raises
    ------
    DataError
        ``as_of`` missing or not a date, ``start`` after ``as_of``, an unknown unit.

    Examples
    --------
    >>> window = ObservationWindow.of("2026-03-31", unit="week")
    >>> window.age("2026-03-17")
    2.0
    """

    as_of: pd.Timestamp
    start: pd.Timestamp | None = None
    unit: Unit = "day"

    def __post_init__(self) -> None:
        problems = []
        if self.unit not in get_args(Unit):
            problems.append(Problem("unit", f"expected one of {', '.join(get_args(Unit))}, found {self.unit!r}"))
        if self.start is not None and self.start > self.as_of:
            problems.append(Problem("start", f"expected no later than as_of {self.as_of}, found {self.start}"))
        if problems:
            raise DataError("the observation window", problems)

    @classmethod
    def of(cls, as_of: object, *, start: object = None, unit: Unit = "day") -> Self:
        """Parse dates, strings or timestamps into a window; time zones are converted to UTC and dropped."""
        if as_of is None:
            fix = 'say until when the data were complete, for example as_of="2026-06-30" (the day of the export)'
            raise DataError("the observation window", [Problem("as_of", "expected the end of observation, found nothing", fix)])
        return cls(as_of=_timestamp("as_of", as_of), start=None if start is None else _timestamp("start", start), unit=unit)

    @property
    def end(self) -> pd.Timestamp:
        """First instant that was not observed: a date without a time of day was watched to its last moment."""
        whole_day = self.as_of == self.as_of.normalize()
        return self.as_of + (pd.Timedelta(days=1) if whole_day else pd.Timedelta(microseconds=1))

    def age(self, at: object) -> float:
        """Time from ``at`` to the end of observation, in the window's unit."""
        return (self.as_of - _timestamp("at", at)) / pd.Timedelta(days=DAYS_PER[self.unit])

    def days(self, length: float) -> float:
        """Convert a length in the window's unit to days."""
        return length * DAYS_PER[self.unit]

    def split(self, at: object) -> tuple["ObservationWindow", "ObservationWindow"]:
        """Cut into a training window that ends at ``at`` and a holdout window that begins there."""
        cut = _timestamp("at", at)
        if not (self.start is None or self.start < cut) or not cut < self.as_of:
            found = f"expected a date inside {self}, found {cut.date()}"
            raise DataError("the split", [Problem("at", found)])
        return replace(self, as_of=cut), replace(self, start=cut)

    def __str__(self) -> str:
        start = "first event" if self.start is None else str(self.start.date())
        return f"{start} to {self.as_of.date()}, in {self.unit}s"


def _timestamp(name: str, value: object) -> pd.Timestamp:
    """Parse one date and say which argument was wrong; ISO order is required of strings, so no day is read as a month."""
    try:
        stamp = pd.to_datetime(value, format="ISO8601") if isinstance(value, str) else pd.Timestamp(value)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise DataError("the observation window", [Problem(name, f"expected a date like 2026-06-30, found {value!r}")]) from error
    if pd.isna(stamp):
        raise DataError("the observation window", [Problem(name, f"expected a date like 2026-06-30, found {value!r}")])
    return stamp if stamp.tzinfo is None else stamp.tz_convert("UTC").tz_localize(None)
