"""Which cells of a table are so small that they speak of single people? Those are merged or left empty, and so is what gives them away.

A cell of a funnel can be worked out from others (entered = advanced + lost + open, a total over segments), so more cells are left empty
until none that must be hidden follows from those shown: it is asked of the equations themselves (complementary suppression, see
Hundepool and others 2012, Statistical Disclosure Control, ch. 4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.stages import COUNTS, StageCounts
from funnelstats.errors import DataError, Problem

#: Groups and cells of fewer are not shown.
SMALLEST = 10
#: What a merged group is called.
OTHER = "other"
_PARTS = ("advanced", "lost", "open")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Suppressed[T]:
    """A table without small cells, and how many there were.

    Attributes
    ----------
    table : same as was given
        Merged (counts) or with missing values in place of small cells (a frame).
    cells : int
        Cells left empty, or groups merged.
    said : str
        The same as a note below the table; empty when nothing was hidden.
    """

    table: T
    cells: int
    said: str


def suppress_small[T: StageCounts | pd.DataFrame](
    table: T, *, k: int = SMALLEST, counts: Sequence[str] | None = None, depends: Mapping[str, Sequence[str]] | None = None,
    total: bool = True,
) -> Suppressed[T]:  # fmt: skip
    """Hide what speaks of fewer than ``k``.

    Parameters
    ----------
    table : StageCounts or DataFrame
        Of counts, small segments are merged into "other", together with the next smallest where "other" would be small itself.
        In a frame, small cells of the columns ``counts`` are left empty; 0 is no person and stays.
    k : int
        Least size of a cell.
    counts : sequence of str, optional
        Columns of a frame that count people or deals; by default those with whole numbers named as counts are here.
    depends : mapping of str to sequence of str, optional
        Column of counts -> columns that would give it away (a rate), emptied with it. A list under ``"entered"`` is emptied when
        ``entered`` is.
    total : bool
        Whether a reader knows the sums over rows, from another table: then never just one cell of a column is left empty.

    Returns
    -------
    Suppressed

    Examples
    --------
    >>> frame = pd.DataFrame({"owner": list("abc"), "won": [40, 3, 17], "rate": [0.4, 0.3, 0.5]})
    >>> hidden = suppress_small(frame, counts=["won"], depends={"won": ["rate"]})
    >>> hidden.table["won"].tolist(), hidden.said
    ([40, <NA>, <NA>], '2 cells hidden: 1 below 10, 1 from which it would follow')
    """
    if k < 1:
        raise DataError("small cells", [Problem("k", f"expected a whole number from 1 on, found {k!r}")])
    if isinstance(table, StageCounts):
        return _merged(table, k)  # type: ignore[return-value]
    columns = [name for name in _COUNTING if name in table.columns] if counts is None else list(counts)
    missing = [Problem(name, "no such column of the table") for name in columns if name not in table.columns]
    if missing:
        raise DataError("small cells", missing)
    return _emptied(table, columns, k, depends or {}, total)  # type: ignore[return-value]


_COUNTING = (*COUNTS, "at_risk", "censored", "n", "trials", "wins", "won", "exits", "customers", "entities")


# -- groups --------------------------------------------------------------------------------------------------------
def _merged(counts: StageCounts, k: int) -> Suppressed[StageCounts]:
    """Merge small segments; the smallest of the others joins them where they are too few together."""
    frame, by = counts.frame, list(counts.by)
    size = int(frame.loc[frame["stage"] == counts.stages[0], "entered"].sum())
    if size < k:
        raise DataError(
            counts.source, [Problem("entered", f"expected at least {k} in all, found {size}", "nothing can be shown")]
        )
    if not by:
        return Suppressed(table=counts, cells=0, said="")
    first = frame[frame["stage"] == counts.stages[0]].set_index(by)["entered"].sort_values(kind="stable")
    small = int((first < k).sum())
    if not small:
        return Suppressed(table=counts, cells=0, said="")
    while first.iloc[:small].sum() < k:
        small += 1
    names = set(first.index[:small])
    whose = [label in names for label in frame.set_index(by).index]
    frame = frame.copy()
    frame[by] = frame[by].astype(object)
    frame.loc[whose, by] = OTHER
    said = f"{small} groups, together {int(first.iloc[:small].sum()):,}, merged into {OTHER!r} because one of them has fewer than {k}"
    note = "; ".join(filter(None, (counts.note, said)))
    merged = replace(counts, frame=frame.groupby([*by, "stage"], sort=False, as_index=False)[list(COUNTS)].sum(), note=note)
    return Suppressed(table=merged.stages_by(*by), cells=small, said=said)


# -- cells ---------------------------------------------------------------------------------------------------------
def small_cells(table: pd.DataFrame, columns: Sequence[str], *, k: int, total: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Which cells of ``columns`` are small, and which must not be shown: two masks of shape (rows, columns); a missing cell is neither."""
    values = np.column_stack([pd.to_numeric(table[name]).to_numpy(dtype=float, na_value=np.nan) for name in columns])
    small = (values > 0) & (values < k)
    return small, _closed(small, values, _equations(table, list(columns), total)) if small.any() else small


def _emptied(
    table: pd.DataFrame, columns: list[str], k: int, depends: Mapping[str, Sequence[str]], total: bool
) -> Suppressed[pd.DataFrame]:  # fmt: skip
    small, hidden = small_cells(table, columns, k=k, total=total)
    shown = table.copy()
    for place, name in enumerate(columns):
        shown[name] = table[name].astype("Int64").mask(pd.Series(hidden[:, place], index=table.index))
        for other in depends.get(name, ()):
            shown[other] = table[other].mask(pd.Series(hidden[:, place], index=table.index))
    own, more = int(small.sum()), int(hidden.sum() - small.sum())
    if not own:
        return Suppressed(table=table, cells=0, said="")
    said = f"{own + more} {'cell' if own + more == 1 else 'cells'} hidden: {own} below {k}"
    return Suppressed(table=shown, cells=own + more, said=said + (f", {more} from which it would follow" if more else ""))


def _equations(table: pd.DataFrame, columns: list[str], total: bool) -> np.ndarray:
    """What a reader knows of the cells, one row for each equation: parts of a row, one stage after another, sums over rows."""
    shape = (len(table), len(columns))
    known: list[np.ndarray] = []
    at = {name: place for place, name in enumerate(columns)}

    def add(cells: Sequence[tuple[int, str, float]]) -> None:
        row = np.zeros(shape)
        for line, name, weight in cells:
            row[line, at[name]] += weight
        known.append(row.ravel())

    staged = "stage" in table.columns
    by = [name for name in table.columns if name not in columns and staged and name != "stage" and not _numeric(table[name])]
    if {"entered", *_PARTS} <= set(columns):  # the last stage has who entered only
        for line in np.flatnonzero(table["entered"] == table[list(_PARTS)].sum(axis=1)).tolist():
            add([(line, "entered", 1.0), *((line, name, -1.0) for name in _PARTS)])
    if staged and {"entered", "advanced"} <= set(columns):
        groups = list(table.groupby(by, sort=False).indices.values()) if by else [np.arange(len(table))]
        for lines in groups:
            for here, after in pairwise(lines):
                add([(int(here), "advanced", 1.0), (int(after), "entered", -1.0)])
    if total:
        several = not staged or bool(table["stage"].duplicated().any())
        groups = list(table.groupby("stage", sort=False).indices.values()) if staged and several else [np.arange(len(table))]
        for lines in (one for one in groups if len(one) > 1):
            for name in columns if several else [part for part in ("lost", "open") if part in columns]:  # of one funnel: in all
                if (
                    table[name].iloc[lines] > 0
                ).sum() > 1:  # else the sum is that one cell, and as small as it wherever it stands
                    add([(int(line), name, 1.0) for line in lines])
    return np.array(known).reshape(-1, shape[0] * shape[1])


def _closed(small: np.ndarray, values: np.ndarray, equations: np.ndarray) -> np.ndarray:
    """Hide more cells until no small one follows from the shown ones: the least number that protects one, or else the least beside it."""
    hidden, own = small.ravel().copy(), small.ravel()
    flat = values.ravel()
    while len(given_away := _determined(hidden, own, equations)):
        cell = given_away[0]
        beside = (equations[equations[:, cell] != 0] != 0).any(axis=0)
        linked = (equations[(equations[:, hidden] != 0).any(axis=1)] != 0).any(axis=0)  # where nothing beside it is left to hide
        free = next((found for near in (beside, linked) if len(found := np.flatnonzero(near & ~hidden & (flat > 0)))), None)
        if free is None:
            break
        free = free[np.argsort(flat[free], kind="stable")]
        helps = (one for one in free if cell not in _determined(hidden | (np.arange(len(flat)) == one), own, equations))
        hidden[next(helps, free[0])] = True
    return hidden.reshape(small.shape)


def _determined(hidden: np.ndarray, small: np.ndarray, equations: np.ndarray) -> np.ndarray:
    """Small cells whose value is the only one that solves the equations, given the shown cells."""
    where = np.flatnonzero(hidden)
    if not len(where) or not len(equations):
        return np.array([], dtype=int)
    matrix = equations[:, where]
    # a cell is determined where no direction of the null space moves it
    _, singular, right = np.linalg.svd(matrix, full_matrices=True)
    rank = int((singular > 1e-9).sum())
    free = right[rank:]
    moves = np.abs(free).max(axis=0) > 1e-9 if len(free) else np.zeros(len(where), dtype=bool)
    return where[~moves & small[where]]


def _numeric(column: Any) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))
