"""Who bought how often, when last, for how long observed, and for how much? One row per customer: what models of buying need.

``frequency`` counts repeat purchases, ``recency`` is the time from the first to the last purchase (not the time since), ``T`` the
time from the first purchase to the end of observation, ``monetary_value`` the mean value of repeat purchases.  The time unit is
part of the data, so that weeks are never read as days.
"""

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import numpy as np
import pandas as pd

from funnelstats.distributions.histories import Histories
from funnelstats.errors import DataError, DataWarning, Problem
from funnelstats.window import DAYS_PER, ObservationWindow, Unit

#: Rounding of dates to days and of days to units: times closer than this are equal.
TOUCH = 1e-6
#: Years of purchases beyond which a unit is doubted: histories that long are seldom kept, and then not measured so finely.
LONGEST = {"week": 20, "month": 40, "year": 100}
_COLUMNS = ("frequency", "recency", "T", "monetary_value", "weight")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Customers:
    """Purchase histories summed up.

    Parameters
    ----------
    frequency : ndarray of int, shape (n_rows,)
        Repeat purchases: days with a purchase, minus one.
    recency, T : ndarray, shape (n_rows,)
        First to last purchase; first purchase to end of observation. In ``unit``.
    monetary_value : ndarray, shape (n_rows,)
        Mean value of repeat purchases; nan where there are none or no amounts are known.
    weight : ndarray of int, shape (n_rows,)
        How many customers a row stands for.
    unit : {"day", "week", "month", "year"}
        Of every time.
    label : ndarray of str or None
        Name of each customer, where a row is one customer.
    later_frequency, later_value : ndarray or None
        Purchases and their total value within ``later`` after the end of observation: what was held out.
    later : float
        Length of that time, in ``unit``; 0 where nothing was held out.
    window : ObservationWindow, optional
    currency, source, note : str
        ISO code; where the data come from; what was left out, and by which rule.

    Attributes
    ----------
    fingerprint : str
        SHA-256 of every number and of the unit; names are no part of it.

    Raises
    ------
    DataError
        Every violation at once: recency above T, negative counts, purchases without a recency, times that are no numbers.
    """

    frequency: np.ndarray
    recency: np.ndarray
    T: np.ndarray
    monetary_value: np.ndarray
    weight: np.ndarray
    unit: Unit
    label: np.ndarray | None = None
    later_frequency: np.ndarray | None = None
    later_value: np.ndarray | None = None
    later: float = 0.0
    window: ObservationWindow | None = None
    currency: str = ""
    source: str = "customers"
    note: str = ""
    fingerprint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        problems = list(_violations(self))
        if problems:
            raise DataError(f"{self.source} ({len(np.atleast_1d(self.frequency)):,} rows)", problems)
        whole = ("frequency", "weight", "later_frequency")
        for name in (*_COLUMNS, "later_frequency", "later_value"):
            if getattr(self, name) is not None:
                own = np.array(getattr(self, name), dtype=np.int64 if name in whole else float)
                own.setflags(write=False)
                object.__setattr__(self, name, own)  # a private copy that nobody can write to
        object.__setattr__(self, "fingerprint", _fingerprint(self))

    @classmethod
    def of(
        cls, frequency: Any, recency: Any, T: Any, *, unit: Unit | None = None, monetary_value: Any = None, weight: Any = None,
        label: Sequence[Any] | None = None, window: ObservationWindow | None = None, currency: str = "",
        source: str = "customers",
    ) -> Self:  # fmt: skip
        """Build from columns, such as a summary made elsewhere.

        Parameters
        ----------
        frequency, recency, T, monetary_value, weight
            As for the class; ``T`` may be one number for all. Values of customers who never came back are dropped.
        unit : {"day", "week", "month", "year"}
            Of recency and T. It must be said, for nothing in a number says so: days called weeks make every rate seven times too low, and
            only a ``window`` that T outlasts, or times longer than anybody keeps records, give them away.
        label, window, currency, source
            As for the class.

        Examples
        --------
        >>> Customers.of([0, 2], [0, 30.43], [38.86, 38.86], unit="week", monetary_value=[0, 22.35])
        <Customers of customers: 2 customers, 1 of them with repeat purchases; T up to 38.86 weeks>
        """
        frequency, recency, T = np.atleast_1d(_numeric(frequency)), np.atleast_1d(_numeric(recency)), _numeric(T)
        T = np.broadcast_to(T, frequency.shape) if np.ndim(T) == 0 else T
        value = np.full(frequency.shape, np.nan) if monetary_value is None else np.asarray(monetary_value, dtype=float)
        if value.shape == frequency.shape and frequency.dtype.kind in "iuf":
            value = np.where(frequency > 0, value, np.nan)
        count = np.ones(frequency.shape, dtype=np.int64) if weight is None else np.asarray(weight)
        problems = list(_wrong_unit(frequency, recency, T, unit, window))
        if problems:
            raise DataError(f"{source} ({len(frequency):,} rows)", problems)
        names = None if label is None else np.asarray([str(one) for one in label], dtype=object)
        return cls(frequency=frequency, recency=recency, T=T, monetary_value=value, weight=count, unit=cast(Unit, unit), label=names,
                   window=window, currency=currency, source=source)  # fmt: skip

    # -- reading -------------------------------------------------------------------------------------------------
    @property
    def n(self) -> int:
        """Number of customers."""
        return int(self.weight.sum())

    @property
    def repeaters(self) -> int:
        """How many of them bought more than once."""
        return int(self.weight.sum(where=self.frequency > 0))

    @property
    def names(self) -> np.ndarray:
        """Label of each row; its number, from 1, where the rows have none."""
        return np.arange(1, len(self.frequency) + 1).astype(str) if self.label is None else self.label

    @property
    def time_since_last(self) -> np.ndarray:
        """Time since the last purchase, T - recency: what RFM scores call recency."""
        return np.asarray(self.T - self.recency)

    def histories(self) -> Histories:
        """Return the distinct rows with their weights; ``histories.row`` leads from each row here to its own."""
        return Histories.of(self.frequency, self.recency, self.T, weight=self.weight)

    def to_frame(self) -> pd.DataFrame:
        """One row per customer, indexed by name, with the columns known from lifetimes and pymc-marketing."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        if self.later_frequency is not None:
            columns |= {"later_frequency": self.later_frequency}
            columns |= {} if self.later_value is None else {"later_value": self.later_value}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="customer"))

    def select(self, keep: Any) -> Self:
        """Return some of the rows, by a mask or by their places."""
        picked = {name: getattr(self, name)[keep] for name in (*_COLUMNS, "label", "later_frequency", "later_value")
                  if getattr(self, name) is not None}  # fmt: skip
        return replace(self, **picked)

    def places(self, customers: str | Sequence[Any]) -> np.ndarray:
        """Return which rows have these names, in their order."""
        names = [customers] if isinstance(customers, str) else [str(name) for name in customers]
        place = {str(name): at for at, name in enumerate(self.names)}
        unknown = [name for name in names if name not in place]
        if unknown:
            raise DataError("the customers", [Problem("customers", f"expected names of the data, found {unknown[:5]}")])
        return np.array([place[name] for name in names], dtype=np.int64)

    def in_unit(self, unit: Unit) -> Self:
        """Return the same histories measured in another unit of time."""
        ratio = DAYS_PER[self.unit] / DAYS_PER[unit]
        return replace(self, recency=self.recency * ratio, T=self.T * ratio, later=self.later * ratio, unit=unit)

    def __repr__(self) -> str:
        after = f"; {self.later:g} {self.unit}s held out" if self.later else ""
        note = f"; {self.note}" if self.note else ""
        return (f"<Customers of {self.source}: {self.n:,} customers, {self.repeaters:,} of them with repeat purchases; "
                f"T up to {self.T.max():.4g} {self.unit}s{after}{note}>")  # fmt: skip


def _fingerprint(c: Customers) -> str:
    content = hashlib.sha256(f"{c.unit} {c.later}".encode())
    for name in (*_COLUMNS, "later_frequency", "later_value"):
        part = getattr(c, name)
        content.update(b"none" if part is None else np.ascontiguousarray(part).data)
    return content.hexdigest()


def _violations(c: Customers) -> Iterator[Problem]:
    parts = {name: getattr(c, name) for name in (*_COLUMNS, "label", "later_frequency", "later_value")}
    shapes = {name: np.shape(part) for name, part in parts.items() if part is not None}
    if len(set(shapes.values())) > 1 or len(np.shape(c.frequency)) != 1:
        yield Problem(", ".join(shapes), f"expected one of each for every customer, found shapes {sorted(set(shapes.values()))}")
        return
    if not len(c.frequency):
        yield Problem("customers", "expected at least one, found none")
        return
    if c.unit not in DAYS_PER:
        found = "none" if c.unit is None else repr(c.unit)
        yield Problem(
            "unit",
            f"expected one of {', '.join(DAYS_PER)}, found {found}",
            'say in which the times were measured, as unit="week"',
        )
    unread = False
    for name in ("frequency", "recency", "T", "weight"):
        numbers = parts[name].dtype.kind in "iuf"
        if not numbers or not np.all(np.isfinite(parts[name])):
            found = (
                f"a missing or infinite one ({rows_of(np.flatnonzero(~np.isfinite(parts[name])))})"
                if numbers
                else _no_number(parts[name])
            )
            yield Problem(name, f"expected a number in every row, found {found}", "leave customers with unknown dates out")
            unread = True
    if unread:
        return
    x, t_x, T = c.frequency, c.recency, c.T
    rows = [
        ("frequency", (x < 0) | (x != np.floor(x)), "expected whole numbers of at least 0", "it counts repeat purchases"),
        ("recency", t_x < 0, "expected at least 0", "it is the time from the first to the last purchase"),
        ("T", T < 0, "expected at least 0", "the first purchase is after the end of observation"),
        ("recency", t_x > T + TOUCH, "expected no more than T", "it runs from first to last purchase, not since the last"),
        ("recency", (x > 0) & (t_x <= 0), "expected above 0 where there are repeat purchases", "merge purchases of one day"),
        ("recency", (x == 0) & (t_x > 0), "expected 0 where there is no repeat purchase", "frequency leaves out the first"),
        ("weight", (c.weight < 1) | (c.weight != np.floor(c.weight)), "expected whole numbers of at least 1", ""),
        ("monetary_value", c.monetary_value < 0, "expected at least 0", "returns are no purchases; take them off elsewhere"),
    ]  # fmt: skip
    for name, bad, expected, fix in rows:
        yield from _listed(c, name, bad, expected, fix)


def _no_number(part: np.ndarray) -> str:
    """Show the first value that is no number, and its row; text throughout where each could be read as one."""
    read = pd.to_numeric(pd.Series(part), errors="coerce").to_numpy()
    places = np.flatnonzero(pd.isna(read))
    return f"{str(part[places[0]])!r} ({rows_of(places)})" if len(places) else f"values such as {str(part[0])!r}"


def _listed(c: Customers, name: str, bad: np.ndarray, expected: str, fix: str) -> Iterator[Problem]:
    places = np.flatnonzero(bad)
    if len(places):
        first = int(places[0])
        shown = f"{getattr(c, name)[first]:g}" + (f" with T {c.T[first]:g}" if name == "recency" else "")
        yield Problem(name, f"{expected}, found {shown} for customer {c.names[first]} ({rows_of(places)})", fix)


def rows_of(places: np.ndarray) -> str:
    """Name rows by their numbers, counted from 1; the first few of many."""
    shown = ", ".join(f"{at + 1}" for at in places[:5])
    return f"row {shown}" if len(places) == 1 else f"{len(places):,} rows: {shown}{', ...' if len(places) > 5 else ''}"


def _numeric(part: Any) -> np.ndarray:
    """Return an array; of numbers with gaps one of floats, where the gaps are missing."""
    values = np.asarray(part)
    if values.dtype.kind != "O":
        return values
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        return values


def _wrong_unit(x: Any, t_x: Any, T: Any, unit: str | None, window: ObservationWindow | None) -> Iterator[Problem]:
    """Times that cannot be in the unit they are said to be in."""
    if unit not in DAYS_PER or any(np.asarray(part).dtype.kind not in "iuf" for part in (x, t_x, T)):
        return
    if window is not None and window.unit != unit:
        yield Problem("unit", f"expected the window's unit {window.unit!r}, found {unit!r}")
        return
    longest = float(np.max(T, initial=0.0)) * DAYS_PER[unit] / DAYS_PER["year"]
    if window is None and unit != "day" and longest > LONGEST[unit]:
        what = f'T up to {np.max(T):,.0f} {unit}s is {longest:,.0f} years: if these are days, say unit="day"; a window says how long it was watched'
        warnings.warn(what, DataWarning, stacklevel=4)
    if window is not None and window.start is not None and len(T) and np.max(T) > window.age(window.start) + 1:
        found = f"expected at most {window.age(window.start):.4g} {unit}s, as long as the window, found {np.max(T):g}"
        yield Problem("T", found, "are these days?" if unit != "day" else "")
    if unit != "day" or all(np.all(times == np.floor(times)) for times in (t_x, T)):
        return
    part = np.concatenate([np.ravel(t_x), np.ravel(T)]).astype(float)
    part = part[np.isfinite(part)]
    sevenths = np.abs(part * 7 - np.round(part * 7)) < 0.05
    if len(part) and np.all(sevenths):
        found = f"expected whole days, found sevenths such as {part[part != np.floor(part)][0]:.2f}: these are weeks"
        yield Problem("recency, T", found, 'say unit="week"')
