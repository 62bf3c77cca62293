"""Which purchase histories are different? The sufficient statistics of every model of repeat buying, with their weights.

A likelihood depends on a customer through (frequency, recency, T) alone. Equal rows are one row with a weight, and functions of
one of the three are evaluated once for each distinct value and looked up: the cost follows what is distinct, not the customers.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Histories:
    """Distinct rows of (x, t_x, T).

    Attributes
    ----------
    xs, ts, ages : ndarray
        Distinct values of frequency, recency and T, ascending.
    at_x, at_t, at_age : ndarray of int, shape (n_rows,)
        Which of them each row has.
    weight : ndarray, shape (n_rows,)
        How many customers have this row.
    row : ndarray of int, shape (n_customers,)
        The row of each input.
    """

    xs: np.ndarray
    ts: np.ndarray
    ages: np.ndarray
    at_x: np.ndarray
    at_t: np.ndarray
    at_age: np.ndarray
    weight: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, frequency: Any, recency: Any, T: Any, *, weight: Any = None) -> Self:
        """Compress; exact duplicates only, since rounding would move the estimates.

        Examples
        --------
        >>> same = Histories.of([0, 2, 2], [0, 5.0, 5.0], [9.0, 9.0, 9.0])
        >>> same.x, same.weight, same.row
        (array([0., 2.]), array([1., 2.]), array([0, 1, 1]))
        """
        (xs, at_x), (ts, at_t), (ages, at_age) = (_distinct(np.asarray(part, dtype=float)) for part in (frequency, recency, T))
        code = (at_x * len(ts) + at_t) * len(ages) + at_age
        kinds, row = _distinct(code)
        count = np.ones(len(code)) if weight is None else np.asarray(weight, dtype=float)
        rest, last = np.divmod(kinds, len(ages))
        first, middle = np.divmod(rest, len(ts))
        total = np.bincount(row, weights=count, minlength=len(kinds))
        return cls(xs=xs, ts=ts, ages=ages, at_x=first, at_t=middle, at_age=last, weight=total, row=row)

    @property
    def x(self) -> np.ndarray:
        """Frequency of each row."""
        return np.asarray(self.xs[self.at_x])

    @property
    def t_x(self) -> np.ndarray:
        """Recency of each row."""
        return np.asarray(self.ts[self.at_t])

    @property
    def T(self) -> np.ndarray:
        """Age of each row."""
        return np.asarray(self.ages[self.at_age])

    def times(self, factor: float) -> "Histories":
        """Return the same rows with times in another unit."""
        return replace(self, ts=self.ts * factor, ages=self.ages * factor)

    def part(self, at: slice) -> "Histories":
        """Some of the rows, in their order, with the same tables."""
        return replace(self, at_x=self.at_x[at], at_t=self.at_t[at], at_age=self.at_age[at], weight=self.weight[at],
                       row=np.arange(len(self.weight[at])))  # fmt: skip

    def thin(self, most: int) -> "Histories":
        """Return at most ``most`` rows that stand for all customers: those met at equal steps, in the order of the rows."""
        total = np.cumsum(self.weight)
        met = np.searchsorted(total, (np.arange(most) + 0.5) * (total[-1] / most))
        keep, times = np.unique(met, return_counts=True)
        return replace(self, at_x=self.at_x[keep], at_t=self.at_t[keep], at_age=self.at_age[keep],
                       weight=times * (total[-1] / most), row=np.arange(len(keep)))  # fmt: skip

    def with_age(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct pairs of frequency and T, and the pair of each row."""
        pairs, place = _distinct(self.at_x * len(self.ages) + self.at_age)
        return self.xs[pairs // len(self.ages)], self.ages[pairs % len(self.ages)], place

    def with_recency(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct pairs of frequency and recency, and the pair of each row."""
        pairs, place = _distinct(self.at_x * len(self.ts) + self.at_t)
        return self.xs[pairs // len(self.ts)], self.ts[pairs % len(self.ts)], place

    def __len__(self) -> int:
        return len(self.weight)


def _distinct(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values, ascending, and the place of each input among them; whole numbers of a small range without sorting."""
    if values.dtype.kind == "f" and len(values) and np.all(values == (whole := values.astype(np.int64))):
        least, codes = _distinct(whole)
        return least.astype(float), codes
    if values.dtype.kind == "i" and len(values) and (span := int(np.ptp(values))) <= 16 * len(values):
        low = values.min()
        there = np.zeros(span + 1, dtype=bool)
        there[values - low] = True
        kinds = np.flatnonzero(there)
        place = np.zeros(span + 1, dtype=np.int64)
        place[kinds] = np.arange(len(kinds))
        return kinds + low, place[values - low]
    kinds, codes = np.unique(values, return_inverse=True)
    return kinds, codes
