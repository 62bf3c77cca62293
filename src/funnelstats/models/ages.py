"""How many were still in a stage at each age, and left, for any segments? Hazard counts on a full grid of ages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageHazards
from funnelstats.errors import DataError, Problem

#: Ways out of a stage, in the order of every array here; who is censored has not taken one.
EXITS = ("advanced", "lost")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class AgeTable:
    """Counts of :class:`~funnelstats.data.stages.StageHazards` with every age filled in.

    Attributes
    ----------
    segments : tuple of tuple
        Labels of each segment; one empty tuple without segments.
    stages : tuple of str
        All but the last.
    at_risk, censored : ndarray, shape (n_segments, n_stages, n_ages)
    exits : ndarray, shape (2, n_segments, n_stages, n_ages)
        Advanced, lost.
    """

    by: tuple[str, ...]
    segments: tuple[tuple[Any, ...], ...]
    stages: tuple[str, ...]
    at_risk: np.ndarray
    exits: np.ndarray
    censored: np.ndarray

    @classmethod
    def of(cls, hazards: Any, *, by: Sequence[str] | None = None) -> Self:
        """Fill in the ages at which nothing happened, then add segments up until only ``by`` tells them apart.

        Raises
        ------
        DataError
            No hazard counts, nobody at risk, or a column that is no segment of them.
        """
        if not isinstance(hazards, StageHazards):
            what = f"expected StageHazards, found {type(hazards).__name__}"
            raise DataError("time in stage", [Problem("data", what, "use log.hazards(by=...)")])
        by = hazards.by if by is None else (by,) if isinstance(by, str) else tuple(by)
        problems = [Problem(name, f"expected one of {list(hazards.by)}") for name in by if name not in hazards.by]
        frame = hazards.frame[hazards.frame["at_risk"] > 0]
        if not len(frame):
            problems.append(Problem("at_risk", "expected entities watched for at least one unit of time, found none"))
        if problems:
            raise DataError(hazards.source, problems)
        stages = hazards.stages[:-1]
        full, _ = _codes(frame, hazards.by)
        code, labels = _codes(frame, by)
        place = frame["stage"].map({name: k for k, name in enumerate(stages)}).to_numpy()
        age = frame["age"].to_numpy(dtype=int)
        shape = (int(full.max()) + 1, len(stages), int(age.max()) + 1)
        at_risk = _scatter(shape, (full, place, age), frame["at_risk"])
        seen = _scatter(shape, (full, place, age), np.ones(len(frame), dtype=int))
        # nobody leaves between two rows, so those at risk before the next row are those of the next row
        filled = pd.DataFrame(np.where(seen > 0, at_risk, np.nan).reshape(-1, shape[2])).bfill(axis=1).fillna(0)
        owner = np.zeros(shape[0], dtype=int)
        owner[full] = code
        total = np.zeros((len(labels), *shape[1:]), dtype=int)
        np.add.at(total, owner, filled.to_numpy(dtype=int).reshape(shape))
        small = (len(labels), *shape[1:])
        parts = {name: _scatter(small, (code, place, age), frame[name]) for name in (*EXITS, "censored")}
        return cls(by=by, segments=labels, stages=stages, at_risk=total, exits=np.stack([parts[name] for name in EXITS]),
                   censored=parts["censored"])  # fmt: skip

    def rows(self, segment: int, stage: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ages at which somebody left or was censored: age, at risk, exits of shape (2, n)."""
        n, exits = self.at_risk[segment, stage], self.exits[:, segment, stage]
        some = (n > 0) & ((exits.sum(axis=0) > 0) | (self.censored[segment, stage] > 0))
        return np.flatnonzero(some), n[some], exits[:, some]

    def hazards(self, like: StageHazards, *, source: str) -> StageHazards:
        """Back to the sparse form, with the stages and the window of ``like``."""
        leaving = self.exits.sum(axis=0) + self.censored
        segment, stage, age = np.nonzero((leaving > 0) & (self.at_risk > 0))
        at = (segment, stage, age)
        labels = {name: [self.segments[i][k] for i in segment] for k, name in enumerate(self.by)}
        columns: dict[str, Any] = {**labels, "stage": [self.stages[k] for k in stage], "age": age, "at_risk": self.at_risk[at]}
        columns |= {name: self.exits[k][at] for k, name in enumerate(EXITS)}
        frame = pd.DataFrame({**columns, "censored": self.censored[at]})
        return StageHazards(frame=frame, stages=like.stages, by=self.by, window=like.window, source=source)


def pool(hazards: StageHazards, *, by: Sequence[str] = ()) -> StageHazards:
    """Add segments together until only the columns ``by`` tell them apart.

    Examples
    --------
    >>> frame = pd.DataFrame({"owner": ["Ann", "Bo"], "stage": "Lead", "age": [3, 1], "at_risk": 1, "advanced": [1, 0],
    ...                       "lost": [0, 1], "censored": 0})
    >>> pool(StageHazards(frame=frame, stages=("Lead", "Won"), by=("owner",))).frame["at_risk"].tolist()
    [2, 1]
    """
    return AgeTable.of(hazards, by=by).hazards(hazards, source=hazards.source)


def unit_of(hazards: StageHazards) -> str:
    """Name of the unit of age."""
    return hazards.window.unit if hazards.window else "unit"


def _codes(frame: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, tuple[tuple[Any, ...], ...]]:
    """Place of each row's segment among the segments, in order of appearance, and their labels."""
    if not by:
        return np.zeros(len(frame), dtype=int), ((),)
    code, labels = pd.factorize(pd.MultiIndex.from_frame(frame[list(by)]))
    return np.asarray(code), tuple(tuple(label) for label in labels)


def _scatter(shape: tuple[int, ...], where: tuple[np.ndarray, ...], counts: Any) -> np.ndarray:
    out = np.zeros(shape, dtype=int)
    np.add.at(out, where, np.asarray(counts, dtype=int))
    return out
