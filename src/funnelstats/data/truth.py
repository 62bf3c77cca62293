"""What is true of a simulated world, whatever its export shows?

Two truths are told apart.  *Expected*: the chance by the formula, averaged over the entities at hand, exact.  *Eventual*:
what became of these very entities once nothing was open any more.  The difference between the two is sampling; the
difference between the eventual counts and those of an export is censoring and dirt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gamma

from funnelstats.data.world import FACTORS, World
from funnelstats.errors import DataError, Problem


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Truth:
    """Parameters of a simulated world and the uncensored fate of its entities.

    Parameters
    ----------
    world : World
        The specification.
    effects : DataFrame
        Columns ``factor, segment, stage, effect``: each segment's effect on the logit of advancing from ``stage``.
    amounts : DataFrame
        Columns ``region, median, log_sd, mean``, in the world's currency.
    outcomes : DataFrame
        One row per entity: ``entity, owner, channel, region, entered, furthest`` (last stage reached in the end), ``won``,
        ``closed`` (moment of the end, after ``as_of`` for open ones), ``amount``.
    """

    world: World
    effects: pd.DataFrame
    amounts: pd.DataFrame
    outcomes: pd.DataFrame

    def expected(self, by: Sequence[str] = ()) -> pd.DataFrame:
        """Compute the exact chances of the entities at hand.

        Parameters
        ----------
        by : sequence of {"owner", "channel", "region"}
            Segments.

        Returns
        -------
        DataFrame
            Columns ``[*by, stage, rate, from_start]``: chance of advancing from ``stage`` among those expected to reach it, and
            chance of reaching ``stage`` from the first one; in the last stage's row ``from_start`` is the overall rate.
        """
        cells = self.outcomes.groupby(list(FACTORS), as_index=False).size()
        codes = {name: pd.Index(getattr(self.world, f"{name}s")).get_indexer(pd.Index(cells[name])) for name in FACTORS}
        step = self.world.probability(self.effects, codes)
        frame = self._by_stage(cells, np.cumprod(np.column_stack([cells["size"].to_numpy(float), step]), axis=1), by)
        return frame.assign(rate=frame["advanced"] / frame["entered"], from_start=frame["entered"] / frame["started"]).drop(
            columns=["entered", "advanced", "started"])  # fmt: skip

    def eventual(self, by: Sequence[str] = ()) -> pd.DataFrame:
        """Count what became of everyone once nothing was open any more.

        Parameters
        ----------
        by : sequence of {"owner", "channel", "region"}
            Segments.

        Returns
        -------
        DataFrame
            Columns ``[*by, stage, entered, advanced, lost, rate]``; the last stage has neither ``advanced`` nor ``rate``.
        """
        furthest = pd.Index(self.world.stages).get_indexer(pd.Index(self.outcomes["furthest"]))
        frame = self._by_stage(self.outcomes, furthest[:, None] >= np.arange(len(self.world.stages)), by).drop(columns="started")
        advanced = frame["advanced"].fillna(0)
        lost = (frame["entered"] - advanced).where(frame["stage"] != self.world.stages[-1], 0)
        rate = frame["advanced"] / frame["entered"]
        counts = frame.assign(advanced=advanced, lost=lost).astype(dict.fromkeys(("entered", "advanced", "lost"), "int64"))
        return counts.assign(rate=rate)

    def durations(self) -> pd.DataFrame:
        """Tabulate the time in stage: columns ``stage, exit, shape, scale_days, median_days, mean_days``."""
        parts = []
        for way in ("advance", "lost"):
            scale = self.world.scale(way)
            part = pd.DataFrame({"stage": self.world.stages[:-1], "exit": way, "shape": self.world.shape, "scale_days": scale})
            median, mean = np.log(2) ** (1 / self.world.shape), gamma(1 + 1 / self.world.shape)
            parts.append(part.assign(median_days=scale * median, mean_days=scale * mean))
        return pd.concat(parts, ignore_index=True)

    def _by_stage(self, frame: pd.DataFrame, reached: np.ndarray, by: Sequence[str]) -> pd.DataFrame:
        """Sum columns of ``reached``, one per stage, by segment: ``[*by, stage, entered, advanced, started]``."""
        wrong = [Problem("by", f"expected some of {list(FACTORS)}, found {name!r}") for name in by if name not in FACTORS]
        if wrong:
            raise DataError("the simulated truth", wrong)
        stages = pd.Index(self.world.stages, name="stage")
        keys: list[Any] = [frame[name] for name in by] or [np.zeros(len(frame), dtype="int64")]
        sums = pd.DataFrame(reached, index=frame.index, columns=stages).groupby(keys).sum()
        long = pd.DataFrame({"entered": sums.stack()})
        long["advanced"] = sums.shift(-1, axis=1).stack().reindex(long.index)
        long["started"] = long.groupby(level=list(range(len(keys))))["entered"].transform("first")
        return long.reset_index()[[*by, "stage", "entered", "advanced", "started"]]
