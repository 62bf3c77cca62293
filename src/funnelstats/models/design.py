"""How do the columns of a table become the numbers of a model, and new rows the same numbers? A design that remembers what it saw.

Text and yes-or-no columns become levels, the most frequent being the one to compare with; numbers are measured in standard deviations from
their mean, or cut into bands at their quantiles.  All of it is learned from the cases fitted and kept, so that a case of next month is read
by last month's rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem

#: Levels of fewer cases have no coefficient of their own: they are read as the most frequent level.
LEAST = 30
#: Bands into which a number is cut.
BANDS = 5
_MISSING = "(missing)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One column as a model sees it.

    Attributes
    ----------
    column : str
    levels : tuple of str
        Of a categorical or banded column, the one to compare with first; empty for a number.
    edges : tuple of float
        Inner bounds of the bands, each band open below and closed above; empty where there are none.
    mean, sd : float
        Of a number; a missing value is read as the mean.
    joined : tuple of str
        Levels too rare for a coefficient, read as the first level.
    """

    column: str
    levels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    mean: float = 0.0
    sd: float = 1.0
    joined: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its coefficients."""
        return tuple(f"{self.column}[{level}]" for level in self.levels[1:]) if self.levels else (self.column,)

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Place of each row among the levels; what was never seen is read as the first."""
        text = _bands(frame[self.column], self.edges) if self.edges else _text(frame[self.column])
        return np.maximum(pd.Index(self.levels).get_indexer(pd.Index(text)), 0)

    def columns(self, frame: pd.DataFrame) -> np.ndarray:
        """Numbers of each row, shape (n_rows, len(names))."""
        if self.levels:
            return np.eye(len(self.levels))[self.codes(frame)][:, 1:]
        values = pd.to_numeric(frame[self.column]).fillna(self.mean).to_numpy(dtype=float)
        return ((values - self.mean) / self.sd)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The terms of a model, in order.

    Examples
    --------
    >>> frame = pd.DataFrame({"age": [20, 40, 60, 40], "job": ["x", "y", "x", "x"]})
    >>> design = Design.of(frame, ["age", "job"], least=1)
    >>> design.names
    ('intercept', 'age', 'job[y]')
    >>> design.rows(pd.DataFrame({"age": [40], "job": ["never seen"]}))
    array([[1., 0., 0.]])
    """

    terms: tuple[Term, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, features: Sequence[str], *, banded: Sequence[str] = (), least: int = LEAST) -> Self:
        """Learn the terms.

        Parameters
        ----------
        frame : DataFrame
            The cases that a model is fitted to.
        features : sequence of str
            Columns, in order.
        banded : sequence of str
            Columns of numbers to cut into bands.
        least : int
            Cases that a level needs for a coefficient of its own.

        Raises
        ------
        DataError
            Columns that are not there, that hold one value only, or that are to be cut and are no numbers.
        """
        problems = [Problem(name, "column expected, not found") for name in features if name not in frame.columns]
        problems += [Problem(name, "is to be cut into bands and is no feature") for name in banded if name not in features]
        terms = [_term(frame[name], name in banded, least, problems) for name in features if name in frame.columns]
        if problems:
            raise DataError("the features", problems)
        return cls(terms=tuple(term for term in terms if term is not None))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients, the intercept first."""
        return ("intercept", *(name for term in self.terms for name in term.names))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that are read."""
        return tuple(term.column for term in self.terms)

    def places(self) -> dict[str, np.ndarray]:
        """Column -> where its coefficients stand."""
        ends = 1 + np.cumsum([0, *(len(term.names) for term in self.terms)])
        return {term.column: np.arange(a, b) for term, a, b in zip(self.terms, ends, ends[1:], strict=False)}

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        """Numbers of each row, shape (n_rows, len(names)); a column of ones first."""
        self._check(frame)
        return np.column_stack([np.ones(len(frame)), *(term.columns(frame) for term in self.terms)])

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Levels of each row as numbers, shape (n_rows, n_terms); every term needs levels."""
        self._check(frame)
        return np.column_stack([term.codes(frame) for term in self.terms])

    def _check(self, frame: pd.DataFrame) -> None:
        missing = [Problem(name, "column expected, not found") for name in self.columns if name not in frame.columns]
        if missing:
            raise DataError("the cases to be scored", missing)


def is_number(column: pd.Series) -> bool:
    """Whether a column is measured rather than named."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _term(column: pd.Series, banded: bool, least: int, problems: list[Problem]) -> Term | None:
    name = str(column.name)
    if is_number(column) and not banded:
        sd = float(column.std(ddof=0))
        if not np.isfinite(sd) or sd == 0:
            problems.append(Problem(name, "expected numbers that differ, found one value only", "take it out of the features"))
            return None
        return Term(column=name, mean=float(column.mean()), sd=sd)
    edges: tuple[float, ...] = ()
    if banded:
        if not is_number(column):
            problems.append(Problem(name, "expected numbers to cut into bands, found text"))
            return None
        inner = np.unique(column.quantile(np.arange(1, BANDS) / BANDS).dropna().to_numpy(dtype=float))
        edges = tuple(float(edge) for edge in inner if edge < column.max())
        column = _bands(column, edges)
    counts = _text(column).value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    kept = [str(level) for level, count in counts.items() if count >= least]
    if len(kept) < 2:
        found = f"expected two levels of at least {least} cases, found {len(kept)} of {len(counts)}"
        problems.append(Problem(name, found, "take it out of the features"))
        return None
    joined = tuple(str(level) for level in counts.index if level not in kept)
    return Term(column=name, levels=tuple(kept), edges=edges, joined=joined)


def _text(column: pd.Series) -> pd.Series:
    text = column.astype(object).where(column.notna(), "").astype(str)
    return text.where(text != "", _MISSING)


def _bands(column: pd.Series, edges: Sequence[float]) -> pd.Series:
    """Name the band of each number, so that names sort as the bands do for a reader."""
    bounds = [f"{edge:g}" for edge in edges]
    names = [f"up to {bounds[0]}", *(f"{a} to {b}" for a, b in pairwise(bounds)), f"over {bounds[-1]}"] if edges else ["all"]
    numbers = pd.to_numeric(column)
    place = np.searchsorted(np.asarray(edges), numbers.to_numpy(dtype=float), side="left")
    named = pd.Series(np.asarray(names, dtype=object)[np.minimum(place, len(names) - 1)], index=column.index)
    return named.mask(numbers.isna(), _MISSING)
