"""Which situations are there, and how many were tried and won in each? Stage counts as the rows of a crossed model.

A *cell* is one combination of levels of the groups: the likelihood depends on its counts only, so a fit costs as much as there are
cells, not rows of the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.inference.multilevel import Cells
from funnelstats.models.trials import Denominator, settled_trials


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class CellTable:
    """Counts of cells by step, and the level of each cell in every group.

    Attributes
    ----------
    groups, steps : tuple of str
        Columns, and stages that can be left.
    labels : dict of str to tuple of str
        Levels of each group.
    level : ndarray of int, shape (n_groups, n_cells)
        Index into ``labels``.
    wins, trials : ndarray of int, shape (n_cells, n_steps)
    entrants : ndarray of int, shape (n_cells,)
        Who entered the first stage: the case mix.
    """

    groups: tuple[str, ...]
    steps: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    level: np.ndarray
    wins: np.ndarray
    trials: np.ndarray
    entrants: np.ndarray

    @classmethod
    def of(cls, counts: StageCounts, *, groups: Sequence[str], denominator: Denominator, whole: bool = False) -> Self:
        """Count cells.

        Parameters
        ----------
        counts : StageCounts
            By ``groups`` and perhaps more.
        groups : sequence of str
        denominator : {"settled", "decided", "entered"}
            See :func:`~funnelstats.models.trials.settled_trials`.
        whole : bool
            Keep apart what further columns of the counts tell apart.

        Raises
        ------
        DataError
            A group that the counts do not have, or no trial at all.
        """
        groups = tuple(groups)
        unknown = [name for name in groups if name not in counts.by]
        if unknown:
            fix = f"count with by={list(groups)}"
            raise DataError(
                counts.source, [Problem(name, f"expected one of {list(counts.by)}, found {name!r}", fix) for name in unknown]
            )
        kept = counts if whole else counts.stages_by(*groups)
        frame, size = kept.frame, len(kept.stages)
        trials = settled_trials(frame, denominator).to_numpy().reshape(-1, size)[:, :-1]
        if not trials.any():
            raise DataError(counts.source, [Problem("trials", "expected at least one trial in all, found none", "wait for data")])
        cells = frame.iloc[::size]
        coded = {name: pd.factorize(cells[name].astype(str), sort=True) for name in groups}
        return cls(
            groups=groups, steps=counts.stages[:-1], labels={name: tuple(map(str, names)) for name, (_, names) in coded.items()},
            level=np.stack([codes for codes, _ in coded.values()]), entrants=cells["entered"].to_numpy(), trials=trials,
            wins=frame["advanced"].to_numpy().reshape(-1, size)[:, :-1],
        )  # fmt: skip

    @property
    def labelled(self) -> list[list[str]]:
        """Label of every cell in every group, n_groups lists of n_cells."""
        return [[self.labels[name][i] for i in row] for name, row in zip(self.groups, self.level, strict=True)]

    def rows(self) -> Cells:
        """One row for each cell and step that has a trial, for the sampler."""
        cell, step = np.nonzero(self.trials)
        return Cells(wins=self.wins[cell, step], trials=self.trials[cell, step], stage=step, stages=self.steps, labels=self.labels,
                     level={name: row[cell] for name, row in zip(self.groups, self.level, strict=True)})  # fmt: skip

    def mix(self, without: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Case mix of all groups but one.

        Returns
        -------
        level : ndarray of int, shape (n_groups, n_situations)
            Of the group left out: 0, to be replaced.
        share : ndarray, shape (n_situations,)
            Of the entrants of the first stage; adds up to one.
        """
        level = self.level.copy()
        if without is not None:
            level[self.groups.index(without)] = 0
        situations, place = np.unique(level, axis=1, return_inverse=True)
        weight = np.bincount(place.ravel(), weights=self.entrants)
        return situations, weight / weight.sum()

    def locate(self, new: Any, *, unseen: bool) -> tuple[np.ndarray, list[list[str]]]:
        """Levels of new cells, shape (n_groups, n_new), -1 where never seen, and their labels in every group.

        Raises
        ------
        DataError
            A missing column, or levels never seen where these are not expected.
        """
        frame = (
            pd.DataFrame([new])
            if isinstance(new, Mapping) and all(isinstance(v, str) for v in new.values())
            else pd.DataFrame(new)
        )
        problems = [Problem(name, f"column expected, found {list(frame.columns)}") for name in self.groups if name not in frame]
        codes = []
        for name in self.groups if not problems else ():
            code = pd.Index(self.labels[name]).get_indexer(pd.Index(frame[name].astype(str)))
            codes.append(code)
            lost = sorted(set(frame[name].astype(str)[code < 0]))
            if lost and not unseen:
                found = f"expected levels that were fitted, found {lost}"
                problems.append(Problem(name, found, "pass new_group=True to draw them from the population of levels"))
        if problems:
            raise DataError("the prediction", problems)
        return np.stack(codes), [frame[name].astype(str).tolist() for name in self.groups]
