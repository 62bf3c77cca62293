"""Did the rate change, or only who came in? The change of a rate between two periods, split into mix and rate.

Kitagawa (1955, J. Amer. Statist. Assoc. 50:1168-1194): with shares ``m`` and rates ``r`` of the segments in two periods,
``R1 - R0 = sum (m1 - m0) (r0 + r1) / 2 + sum (r1 - r0) (m0 + m1) / 2``, exactly.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MixAndRate:
    """The two parts of a change, and how each segment contributes.

    Attributes
    ----------
    change, mix, rate : Estimate
        The change of the overall rate, the part due to who came in, the part due to how they converted; differences of shares.
    segments : DataFrame
        Posterior means of each segment's contribution to ``mix`` and ``rate``.
    """

    change: Estimate
    mix: Estimate
    rate: Estimate
    segments: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Change, mix and rate, one row each, with intervals."""
        return pd.concat([part.to_frame() for part in (self.change, self.mix, self.rate)])


def mix_and_rate(before: StageCounts, after: StageCounts, *, seed: int, draws: int = 4000) -> MixAndRate:
    """Split the change of the from-start rate between two periods.

    Parameters
    ----------
    before, after : StageCounts
        The same segments and stages in two periods.
    seed : int
        Seed of the draws: rates from Jeffreys' posterior, shares of the mix from its Dirichlet twin.
    draws : int
        Number of draws.

    Returns
    -------
    MixAndRate

    Raises
    ------
    DataError
        Different stages or segment columns, or no segments.
    """
    problems = [Problem(name, f"expected the same in both periods, found {getattr(before, name)} and {getattr(after, name)}")
                for name in ("stages", "by") if getattr(before, name) != getattr(after, name)]  # fmt: skip
    if not before.by:
        problems.append(Problem("by", "expected counts by a segment", 'for example log.stages(by="channel")'))
    if problems:
        raise DataError("the split of a change", problems)
    tables = [_ends(counts) for counts in (before, after)]
    labels = tables[0].index.union(tables[1].index)
    rng = np.random.default_rng(seed)
    shares, rates = zip(*(_draw(table.reindex(labels, fill_value=0), rng, draws) for table in tables), strict=True)
    mix = (shares[1] - shares[0]) * (rates[0] + rates[1]) / 2
    rate = (rates[1] - rates[0]) * (shares[0] + shares[1]) / 2
    words = f"from-start rate of {after.source} against {before.source}"
    parts = {"change": (mix + rate, f"change of the {words}"), "mix": (mix, f"part due to who came in: {words}"),
             "rate": (rate, f"part due to how they converted: {words}")}  # fmt: skip
    estimates = {name: Estimate.of(values.sum(axis=1), description=text) for name, (values, text) in parts.items()}
    names = [" | ".join(map(str, label)) if isinstance(label, tuple) else str(label) for label in labels]
    segments = pd.DataFrame(
        {"mix": mix.mean(axis=0), "rate": rate.mean(axis=0)}, index=pd.Index(names, name=" | ".join(before.by))
    )
    return MixAndRate(**estimates, segments=segments)


def _ends(counts: StageCounts) -> pd.DataFrame:
    """Entered first and reached last, by segment."""
    frame = counts.frame.set_index(list(counts.by))
    first, last = (frame[frame["stage"] == name]["entered"] for name in (counts.stages[0], counts.stages[-1]))
    return pd.DataFrame({"entered": first, "won": last})


def _draw(table: pd.DataFrame, rng: np.random.Generator, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the mix and of the rates, shape (draws, n_segments)."""
    entered, won = table["entered"].to_numpy(), table["won"].to_numpy()
    shares = rng.gamma(entered + 0.5, size=(draws, len(table)))
    return shares / shares.sum(axis=1, keepdims=True), rng.beta(won + 0.5, entered - won + 0.5, size=(draws, len(table)))
