"""Over which ages may the chance of leaving a stage be called constant? Bands with enough exits in each, and their counts."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from funnelstats.models.ages import AgeTable

#: More bands than this per stage follow noise.
MOST_BANDS = 12


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Bands:
    """Cells of stage and age band, with the counts of each group in them.

    Attributes
    ----------
    stage : ndarray, shape (n_cells,)
        Place of each cell's stage; cells are in the order of stages and ages.
    start : ndarray, shape (n_cells,)
        First age of each cell. The last cell of a stage has no end.
    watched : ndarray, shape (n_stages,)
        End of the last unit in which anybody was at risk in each stage; 0 where nobody was.
    at_risk, left, advanced : ndarray, shape (n_groups, n_cells)
        Units of time at risk, exits, and those of them that advanced.
    """

    stage: np.ndarray
    start: np.ndarray
    watched: np.ndarray
    at_risk: np.ndarray
    left: np.ndarray
    advanced: np.ndarray

    @classmethod
    def of(cls, table: AgeTable, *, min_exits: int) -> Self:
        """Cut each stage's ages so that every band holds at least ``min_exits`` exits of all groups together.

        A stage with fewer exits is one band; a stage with very many is cut into 12 bands of about equal numbers of them.
        """
        exits = table.exits.sum(axis=(0, 1))
        starts = [_cut(exits[k], min_exits) for k in range(len(table.stages))]
        stage = np.repeat(np.arange(len(starts)), [len(part) for part in starts])
        anyone = table.at_risk.sum(axis=0) > 0
        watched = np.where(anyone.any(axis=1), anyone.shape[1] - np.argmax(anyone[:, ::-1], axis=1), 0)
        sums = [np.concatenate([np.add.reduceat(counts[:, k], part, axis=-1) for k, part in enumerate(starts)], axis=-1)
                for counts in (table.at_risk, table.exits.sum(axis=0), table.exits[0])]  # fmt: skip
        return cls(stage=stage, start=np.concatenate(starts), watched=watched, at_risk=sums[0], left=sums[1], advanced=sums[2])

    def labels(self, stages: tuple[str, ...]) -> list[str]:
        """Name of each cell: stage, and the ages from its start until before the next."""
        names = []
        for cell, (k, start) in enumerate(zip(self.stage, self.start, strict=True)):
            more = cell + 1 < len(self.stage) and self.stage[cell + 1] == k
            names.append(f"{stages[k]}, {start} to {self.start[cell + 1]}" if more else f"{stages[k]}, from {start}")
        return names

    def at(self, n_ages: int) -> np.ndarray:
        """Cell of each age in each stage, shape (n_stages, n_ages)."""
        where = [np.flatnonzero(self.stage == k) for k in range(len(self.watched))]
        return np.stack([cells[np.searchsorted(self.start[cells], np.arange(n_ages), side="right") - 1] for cells in where])


def _cut(exits: np.ndarray, min_exits: int) -> np.ndarray:
    """First ages of the bands of one stage."""
    need = max(min_exits, -(-int(exits.sum()) // MOST_BANDS))
    starts, inside, left = [0], 0, int(exits.sum())
    for age, count in enumerate(exits[:-1]):
        inside, left = inside + int(count), left - int(count)
        if inside >= need and left >= min_exits:
            starts.append(age + 1)
            inside = 0
    return np.array(starts)
