"""What is true of a simulated world, whatever its export shows?

Two truths are told apart.  *Expected*: the chance by the formula, averaged over the entities at hand, exact.  *Eventual*: what
became of these very entities once nothing was open any more.  The difference between them is sampling; the difference between
the eventual counts and an export's counts is censoring and dirt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
        """Exact chances for the entities at hand.

        Parameters
        ----------
        by : sequence of {"owner", "channel", "region"}
            Segments.

        Returns
        -------
        DataFrame
            Columns ``[*by, stage, rate, from_start]``: chance of advancing from ``stage`` among those expected to reach it, and
            chance of reaching ``stage`` from the first one; the last stage's ``from_start`` is the overall rate.
        """
        by = self._known(by)
        cells = self.outcomes.groupby(list(FACTORS), as_index=False).size()
        codes = {name: pd.Index(getattr(self.world, f"{name}s")).get_indexer(cells[name]) for name in FACTORS}
        step = self.world.probability(self.effects, codes)
        reach = np.cumprod(np.column_stack([cells["size"].to_numpy(float), step]), axis=1)
        wide = cells[list(by)].assign(**{f"k{k}": reach[:, k] for k in range(reach.shape[1])})
        sums = wide.groupby(list(by), as_index=False).sum() if by else wide.sum().to_frame().T
        return pd.concat([_rates(sums, list(by), self.world.stages, k) for k in range(reach.shape[1])]).sort_values(
            list(by), kind="stable", ignore_index=True) if by else pd.concat(
            [_rates(sums, [], self.world.stages, k) for k in range(reach.shape[1])], ignore_index=True)  # fmt: skip

    def eventual(self, by: Sequence[str] = ()) -> pd.DataFrame:
        """Counts once nothing is open any more: columns ``[*by, stage, entered, advanced, lost, rate]``."""
        by = list(self._known(by))
        reached = pd.Index(self.world.stages).get_indexer(self.outcomes["furthest"])
        wide = self.outcomes[by].assign(**{f"k{k}": reached >= k for k in range(len(self.world.stages))})
        sums = wide.groupby(by, as_index=False).sum() if by else wide.sum().to_frame().T
        parts = []
        for k, stage in enumerate(self.world.stages):
            advanced = sums[f"k{k + 1}"] if k + 1 < len(self.world.stages) else 0
            last = k + 1 == len(self.world.stages)
            part = sums[by].assign(stage=stage, entered=sums[f"k{k}"].astype("int64"), advanced=advanced)
            parts.append(part.assign(lost=0 if last else part["entered"] - part["advanced"]))
        frame = pd.concat(parts, ignore_index=True).astype({"advanced": "int64", "lost": "int64"})
        frame = frame.sort_values(by, kind="stable", ignore_index=True) if by else frame
        return frame.assign(rate=(frame["advanced"] / frame["entered"].where(frame["entered"] > 0)).where(frame["stage"] != self.world.stages[-1]))

    def durations(self) -> pd.DataFrame:
        """Time in stage: columns ``stage, exit, shape, scale_days, median_days, mean_days``."""
        rows = []
        for exit in ("advance", "lost"):
            scale = self.world.scale(exit)
            rows.append(pd.DataFrame({
                "stage": self.world.stages[:-1], "exit": exit, "shape": self.world.shape, "scale_days": scale,
                "median_days": scale * np.log(2) ** (1 / self.world.shape), "mean_days": scale * gamma(1 + 1 / self.world.shape),
            }))  # fmt: skip
        return pd.concat(rows, ignore_index=True)

    def _known(self, by: Sequence[str]) -> tuple[str, ...]:
        wrong = [name for name in by if name not in FACTORS]
        if wrong:
            raise DataError("the simulated truth", [Problem("by", f"expected some of {list(FACTORS)}, found {name!r}") for name in wrong])
        return tuple(by)


def _rates(sums: pd.DataFrame, by: list[str], stages: tuple[str, ...], k: int) -> pd.DataFrame:
    rate = sums[f"k{k + 1}"] / sums[f"k{k}"] if k + 1 < len(stages) else np.nan
    return sums[by].assign(stage=stages[k], rate=rate, from_start=sums[f"k{k}"] / sums["k0"])
