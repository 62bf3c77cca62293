"""What was spent, gathered and earned in each period? One row per month (or week, day, quarter, year), without gaps.

The chain's data: marketing ``M``, leads ``L``, sales leads ``S``, revenue ``R``, or columns of any other name, each with its
unit. A missing period is refused: a lag or a standard error that allows for neighbouring months would pair the wrong rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, get_args

import numpy as np
import pandas as pd

from funnelstats.data.datasets import Card, dataset_card, load_dataset
from funnelstats.data.gaps import FREQUENCY, LENGTHS, in_order, named_columns, numbers, one_currency
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow, Unit


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
        problems, pairs = named_columns(frame, period, columns, currency)
        problems += [] if length in LENGTHS else [Problem("length", f"expected one of {', '.join(LENGTHS)}, found {length!r}")]
        problems += [Problem("rows", "expected at least one, found none")] if frame.empty else []
        if problems:
            raise DataError(subject, problems)
        values = {name: numbers(frame, column, problems) for name, column in pairs.items()}
        order, stamps = np.arange(len(frame)), frame.index.to_numpy()
        if period is not None:
            order, stamps = in_order(frame[period], period, length, problems)
        code = one_currency(frame, currency, units or {}, problems)
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
        end = (
            last + pd.Timedelta(days=6) if self.length == "week" else last.to_period(FREQUENCY[self.length]).end_time.normalize()
        )
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
            raise DataError(
                self.source, [Problem("lag", "the rows have no order, so there is no earlier one", "name the period column")]
            )
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
    return Periods.of(
        frame,
        period=period or (dates[0] if dates else None),
        columns=pairs,
        length=length,
        units={**on_card, **(units or {})},
        currency=currency or card.currency,
        source=f"bundled:{name}",
    )


def _columns(card: Card, name: str) -> dict[str, tuple[str, str]]:
    table = next((part for part in card.tables if Path(part.path).stem == name.split("/")[-1]), card.tables[0])
    return {column.name: (column.type, column.unit) for column in table.columns}
