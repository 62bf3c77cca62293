"""Is there one row for each period, a number in every cell, and one currency? What periods must have."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.errors import Problem

#: Length of a period -> frequency in pandas. Weeks are counted from the first date, whatever day of the week it is.
FREQUENCY = {"day": "D", "month": "M", "quarter": "Q", "year": "Y"}
LENGTHS = ("day", "week", "month", "quarter", "year")


def named_columns(frame: pd.DataFrame, period: str | None, columns: Any, currency: str) -> tuple[list[Problem], dict[str, str]]:
    """Which variable is which column; problems where one is not there."""
    if columns is None:
        columns = [name for name in frame.select_dtypes("number").columns if name != period]
    pairs = dict(columns) if isinstance(columns, Mapping) else {str(name): name for name in columns}
    wanted = [*pairs.values(), *([] if period is None else [period])]
    problems = [
        Problem(str(name), f"column expected, found {list(frame.columns)}") for name in wanted if name not in frame.columns
    ]
    if not pairs:
        problems.append(Problem("columns", "expected at least one column of numbers, found none"))
    return problems, pairs


def numbers(frame: pd.DataFrame, column: str, problems: list[Problem]) -> np.ndarray:
    """One column as floats; a problem that names the rows without a number."""
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        rows = ", ".join(str(row + 1) for row in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        problems.append(
            Problem(str(column), f"expected a number in every row, found none in row {rows}", "fill or cut these periods")
        )
    return values


def in_order(column: pd.Series, name: str, length: str, problems: list[Problem]) -> tuple[np.ndarray, np.ndarray]:
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
        problems.append(
            Problem(name, f"expected each {length} once, found {len(again)} again, first {column.iloc[first]}", "add them up")
        )
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
    numbers = stamps.dt.to_period(FREQUENCY[length]).astype("int64").to_numpy()
    return np.asarray(numbers - numbers.min())


def one_currency(frame: pd.DataFrame, currency: str, units: Mapping[str, str], problems: list[Problem]) -> str:
    """Return the currency of all amounts: that of the units, of the argument and of the column it names, or that is called so."""
    if not currency:
        currency = next((str(name) for name in frame.columns if str(name).casefold() == "currency"), "")
    codes = {code for unit in units.values() for code in re.findall(r"\b[A-Z]{3}\b", unit)}
    if currency in frame.columns:
        codes |= set(frame[currency].dropna().astype(str))
    elif currency:
        codes.add(currency)
    if len(codes) > 1:
        problems.append(
            Problem("currency", f"expected one currency, found {', '.join(sorted(codes))}", "convert the amounts first")
        )
    return next(iter(sorted(codes)), "")
