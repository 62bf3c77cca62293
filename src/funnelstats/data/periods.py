"""What was spent, gathered and earned in each period? One row per month (or week, day, quarter, year), without gaps.

The chain's data: marketing ``M``, leads ``L``, sales leads ``S``, revenue ``R``, or columns of any other name, each with its unit.
A missing period is refused: a lag or a standard error that allows for neighbouring months would pair the wrong rows.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pandas as pd

from funnelstats.data.datasets import Card, dataset_card, load_dataset
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow, Unit

#: Length of a period -> frequency in pandas. Weeks are counted from the first date, whatever day of the week it is.
_FREQUENCY = {"day": "D", "month": "M", "quarter": "Q", "year": "Y"}
LENGTHS = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Periods:
    """One row per period; build with :meth:`of` or :func:`read_periods`, which check.

    Attributes
    ----------
    frame : DataFrame
        Column ``period``, then one column of floats per variable; sorted, no gap, no missing value.
    units : tuple of (str, str)
        Unit of each variable; ``""`` for a pure number.
    length : str
        Length of a period, one of :data:`LENGTHS`; ``""`` where rows have no order, so that they have no neighbours either.
    currency : str
        ISO code of amounts, where stated.
    source : str
        Where the rows come from.

    Examples
    --------
    >>> rows = pd.DataFrame({"month": ["2026-01-01", "2026-02-01"], "M": [10, 12], "R": [400, 440]})
    >>> print(Periods.of(rows, period="month", units={"M": "10k CNY", "R": "10k CNY"}))
    2 months, 2026-01-01 to 2026-02-01: M (10k CNY), R (10k CNY)
    """

    frame: pd.DataFrame
    units: tuple[tuple[str, str], ...]
    length: str
    currency: str = ""
    source: str = ""

    @classmethod
    def of(
        cls, frame: pd.DataFrame, *, period: str | None, columns: Mapping[str, str] | Sequence[str] | None = None,
        length: str = "month", units: Mapping[str, str] | None = None, currency: str = "", source: str = "a table",
    ) -> Self:  # fmt: skip
        """Check a table and take from it what is named.

        Parameters
        ----------
        frame : DataFrame
            One row per period.
        period : str or None
            Column with a date in each period, or with whole numbers that count them. None: the rows have no order.
        columns : mapping or sequence of str, optional
            Variable to column (``{"M": "spend"}``), or the names to take; by default every column of numbers.
        length : str
            Length of a period, one of :data:`LENGTHS`.
        units : mapping of str to str, optional
            Unit of each variable.
        currency : str
            ISO code, or the name of a column that holds it.
        source : str
            Named in messages and records.

        Raises
        ------
        DataError
            Everything found: a missing column, text or holes in a column of numbers, a period missing or there twice, two
            currencies.
        """
        subject = f"{source} ({len(frame):,} rows)"
        problems, pairs = _named(frame, period, columns, currency)
        problems += [] if length in LENGTHS else [Problem("length", f"expected one of {', '.join(LENGTHS)}, found {length!r}")]
        problems += [Problem("rows", "expected at least one, found none")] if frame.empty else []
        if problems:
            raise DataError(subject, problems)
        values = {name: _numbers(frame, column, problems) for name, column in pairs.items()}
        order, stamps = np.arange(len(frame)), frame.index.to_numpy()
        if period is not None:
            order, stamps = _in_order(frame[period], period, length, problems)
        code = _one_currency(frame, currency, units or {}, problems)
        unknown = sorted(set(units or {}) - set(pairs))
        problems += [Problem("units", f"expected units of {list(pairs)}, found some for {unknown}")] if unknown else []
        if problems:
            raise DataError(subject, problems)
        table = pd.DataFrame({"period": stamps[order], **{name: part[order] for name, part in values.items()}})
        return cls(frame=table, units=tuple((name, (units or {}).get(name, "")) for name in pairs), currency=code, source=source,
                   length=length if period is not None else "")  # fmt: skip

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in order."""
        return tuple(name for name, _ in self.units)

    def unit(self, variable: str) -> str:
        """Unit of one variable."""
        return dict(self.units)[variable]

    @property
    def labels(self) -> list[str]:
        """Each period as text."""
        return [str(stamp.date()) if isinstance(stamp, pd.Timestamp) else str(stamp) for stamp in self.frame["period"]]

    @property
    def window(self) -> ObservationWindow | None:
        """From the begin of the first period to the end of the last; None where periods are not dates."""
        first, last = self.frame["period"].iloc[[0, -1]]
        if not isinstance(first, pd.Timestamp):
            return None
        unit = self.length if self.length in get_args(Unit) else "month"
        end = last + pd.Timedelta(days=6) if self.length == "week" else last.to_period(_FREQUENCY[self.length]).end_time.normalize()
        return ObservationWindow.of(end, start=first, unit=unit)  # type: ignore[arg-type]

    def aligned(self, delays: Mapping[str, int]) -> pd.DataFrame:
        """Rows in which each variable is taken ``delays[variable]`` periods later, where all of them were observed.

        Parameters
        ----------
        delays : mapping of str to int
            Variable to a whole number of periods from 0 on.

        Returns
        -------
        DataFrame
            One column per variable; indexed by the row of the undelayed variables.
        """
        last = len(self.frame) - max(delays.values(), default=0)
        if max(delays.values(), default=0) and not self.length:
            raise DataError(self.source, [Problem("lag", "the rows have no order, so there is no earlier one", "name the period column")])
        return pd.DataFrame({name: self.frame[name].to_numpy()[late : max(last, 0) + late] for name, late in delays.items()})

    def rows(self, start: int, stop: int) -> Self:
        """Rows ``start`` to ``stop`` (not included), such as the months before a holdout."""
        return replace(self, frame=self.frame.iloc[start:stop].reset_index(drop=True))

    def with_values(self, values: Mapping[str, np.ndarray], *, source: str) -> Self:
        """Return the same periods with other values of some variables."""
        return replace(self, frame=self.frame.assign(**values), source=source)

    def __str__(self) -> str:
        named = ", ".join(f"{name} ({unit})" if unit else name for name, unit in self.units)
        where = f"{len(self.frame):,} rows without order"
        if self.length:
            where = f"{len(self.frame):,} {self.length}s, {self.labels[0]} to {self.labels[-1]}"
        return f"{where}: {named}"

    def __repr__(self) -> str:
        return f"<Periods {self}>"

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>{self.frame.to_html(index=False)}"


def read_periods(
    source: str | Path | pd.DataFrame, *, period: str | None = None, columns: Mapping[str, str] | Sequence[str] | None = None,
    length: str = "month", units: Mapping[str, str] | None = None, currency: str = "",
) -> Periods:  # fmt: skip
    """Read periods from a CSV file, a table or a bundled data set.

    Parameters
    ----------
    source : str, Path or DataFrame
        ``"bundled:NAME"`` takes units, currency and the column of dates from the data set's card.
    period, columns, length, units, currency
        As for :meth:`Periods.of`; what is given here overrides the card.

    Examples
    --------
    >>> print(read_periods("bundled:monthly_chain").rows(0, 2))
    2 months, 2023-07-01 to 2023-08-01: M (10k CNY), L (leads), S (sales leads), R (10k CNY)
    """
    if isinstance(source, pd.DataFrame):
        return Periods.of(source, period=period, columns=columns, length=length, units=units, currency=currency)
    name = str(source)
    if not name.startswith("bundled:"):
        if not Path(name).is_file():
            raise DataError(name, [Problem("source", "expected a CSV file, found none")])
        frame = pd.read_csv(name)
        return Periods.of(frame, period=period, columns=columns, length=length, units=units, currency=currency, source=name)
    name = name.removeprefix("bundled:")
    card = dataset_card(name)
    frame, described = load_dataset(name), _columns(card, name)
    dates = [column for column, (kind, _) in described.items() if kind == "date"]
    wanted = columns or [column for column, (kind, _) in described.items() if kind in ("number", "whole number")]
    pairs = dict(wanted) if isinstance(wanted, Mapping) else {column: column for column in wanted}
    on_card = {variable: described.get(column, ("", ""))[1] for variable, column in pairs.items()}
    return Periods.of(frame, period=period or (dates[0] if dates else None), columns=pairs, length=length,
                      units={**on_card, **(units or {})}, currency=currency or card.currency, source=f"bundled:{name}")  # fmt: skip


def _columns(card: Card, name: str) -> dict[str, tuple[str, str]]:
    table = next((part for part in card.tables if Path(part.path).stem == name.split("/")[-1]), card.tables[0])
    return {column.name: (column.type, column.unit) for column in table.columns}


def _named(frame: pd.DataFrame, period: str | None, columns: Any, currency: str) -> tuple[list[Problem], dict[str, str]]:
    """Which variable is which column; problems where one is not there."""
    if columns is None:
        columns = [name for name in frame.select_dtypes("number").columns if name != period]
    pairs = dict(columns) if isinstance(columns, Mapping) else {str(name): name for name in columns}
    wanted = [*pairs.values(), *([] if period is None else [period])]
    problems = [Problem(str(name), f"column expected, found {list(frame.columns)}") for name in wanted if name not in frame.columns]
    if not pairs:
        problems.append(Problem("columns", "expected at least one column of numbers, found none"))
    return problems, pairs


def _numbers(frame: pd.DataFrame, column: str, problems: list[Problem]) -> np.ndarray:
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        rows = ", ".join(str(row + 1) for row in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        problems.append(Problem(str(column), f"expected a number in every row, found none in row {rows}", "fill or cut these periods"))
    return values


def _in_order(column: pd.Series, name: str, length: str, problems: list[Problem]) -> tuple[np.ndarray, np.ndarray]:
    """Order of the rows and their stamps; problems where a period is missing, there twice or no date."""
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if pd.api.types.is_integer_dtype(column):
        stamps: Any = column.to_numpy()
        place = column.to_numpy() - column.min()
    else:
        stamps = pd.to_datetime(column, errors="coerce", format="ISO8601" if column.dtype in ("str", object) else None)
        if stamps.isna().any():
            found = f"expected dates like 2026-06-30, found {column[stamps.isna()].iloc[0]!r}"
            problems.append(Problem(name, found))
            return np.arange(len(column)), column.to_numpy()
        place = _places(stamps, name, length, problems)
        stamps = stamps.astype("datetime64[us]").array
    again = pd.Series(place)[pd.Series(place).duplicated()]
    if len(again):
        first = int(np.flatnonzero(place == again.iloc[0])[0])
        problems.append(Problem(name, f"expected each {length} once, found {len(again)} again, first {column.iloc[first]}", "add them up"))
    missing = sorted(set(range(int(place.max()) + 1)) - set(place.tolist()))
    if missing:
        what = f"expected every {length} from first to last, found {len(missing)} missing, the first after {missing[0]} of them"
        problems.append(Problem(name, what, "put them in, with zeros if nothing happened"))
    return np.argsort(place, kind="stable"), stamps


def _places(stamps: pd.Series, name: str, length: str, problems: list[Problem]) -> np.ndarray:
    """Number of each date's period, the first being 0."""
    if length == "week":
        days = (stamps - stamps.min()).dt.days.to_numpy()
        if (days % 7).any():
            problems.append(Problem(name, "expected dates a whole number of weeks apart, found others"))
        return np.asarray(days // 7)
    numbers = stamps.dt.to_period(_FREQUENCY[length]).astype("int64").to_numpy()
    return np.asarray(numbers - numbers.min())


def _one_currency(frame: pd.DataFrame, currency: str, units: Mapping[str, str], problems: list[Problem]) -> str:
    """Return the currency of all amounts: that of the units, of the argument and of the column it names."""
    codes = {code for unit in units.values() for code in re.findall(r"\b[A-Z]{3}\b", unit)}
    if currency in frame.columns:
        codes |= set(frame[currency].dropna().astype(str))
    elif currency:
        codes.add(currency)
    if len(codes) > 1:
        problems.append(Problem("currency", f"expected one currency, found {', '.join(sorted(codes))}", "convert the amounts first"))
    return next(iter(sorted(codes)), "")
