"""Who converts better, once everyone is given the same mix of leads, and how sure is the order?

Ranks are taken draw by draw from joint draws of adjusted, partially pooled rates (Goldstein & Spiegelhalter 1996, J. R. Statist.
Soc. A 159:385-443): sorting point estimates would rank luck.  Who has never met most of the common mix cannot be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.interval import Interval

#: Members who have met less than this share of the common mix are not compared.
OVERLAP = 0.5
#: A member stands out with at least this probability of being above, or below, the target.
CLEAR = 0.95


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class League:
    """A table of members and how sure their order is.

    Attributes
    ----------
    frame : DataFrame
        One row per member: ``entered``, ``won``, ``raw`` (won / entered), ``adjusted`` with ``lower`` and ``upper``,
        ``shrinkage`` (share of the way from the raw rate to the mean of all), ``rank`` (expected) with ``rank_lower`` and
        ``rank_upper``, ``p_top``, ``p_below``, ``overlap`` and ``verdict``; best expected rank first.
    rates : Estimate
        Joint draws of the adjusted rates, dims (chain, draw, member).
    target : float
        The rate that members are held against.
    top : int
        Size of the top group of ``p_top``.
    """

    frame: pd.DataFrame
    rates: Estimate
    target: float
    top: int

    def __repr__(self) -> str:
        head = f"<League by {self.rates.description}; top {self.top}, target {self.target:.2%}, {self.rates.interval}>"
        return f"{head}\n{self.frame.to_string(float_format='{:.3f}'.format)}"

    def _repr_html_(self) -> str:
        from html import escape

        head = f"{self.rates.description}; target {self.target:.2%}; {self.rates.interval}"
        return f"<p>{escape(head)}</p>{self.frame.to_html(float_format='{:.3f}'.format)}"


def league_table(
    rates: Estimate, counts: StageCounts, *, group: str, top: int = 3, target: float | None = None, mix: Sequence[str] = (),
) -> League:  # fmt: skip
    """Rank the members of a group.

    Parameters
    ----------
    rates : Estimate, dims (chain, draw, group)
        Joint draws of each member's from-start rate, adjusted to a common mix: ``fit.standardised_rates(group)``.
    counts : StageCounts
        Counted by ``group`` and by the columns of ``mix``.
    group : str
        The column, such as ``"owner"``.
    top : int
        Size of the top group.
    target : float, optional
        Rate to be held against; the draws' mean over all members when omitted.
    mix : sequence of str
        Columns of the case mix, for the check of overlap.

    Returns
    -------
    League

    Raises
    ------
    DataError
        Members without counts, or a ``top`` that is not between one and the number of members.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> frame = pd.DataFrame({"owner": ["Ann"] * 2 + ["Bo"] * 2, "stage": ["Lead", "Won"] * 2, "entered": [100, 30, 100, 10]})
    >>> draws = np.random.default_rng(1).beta([30, 10], [70, 90], size=(4000, 2))
    >>> rates = Estimate.of(draws, description="won of entered", coords={"owner": ["Ann", "Bo"]})
    >>> league_table(rates, StageCounts.of(frame, by=["owner"]), group="owner", top=1).frame.index.tolist()
    ['Ann', 'Bo']
    """
    members = [str(name) for name in rates.draws[group].values]
    table = _observed(counts, group)
    problems = [Problem(group, f"no counts for {name!r}") for name in members if name not in table.index]
    if not 1 <= top <= len(members):
        problems.append(Problem("top", f"expected a number from 1 to {len(members)}, found {top}"))
    if problems:
        raise DataError("the league table", problems)
    draws = rates.draws.stack(sample=SAMPLE_DIMS).transpose("sample", group).values
    ranks = np.argsort(np.argsort(-draws, axis=1), axis=1) + 1
    held = float(draws.mean()) if target is None else target
    frame = table.loc[members].assign(raw=lambda t: t["won"] / t["entered"])
    low, high = rates.interval.of(draws, axis=0)
    rank_low, rank_high = Interval(prob=rates.interval.prob).of(ranks, axis=0)
    adjusted = draws.mean(axis=0)
    frame = frame.assign(
        adjusted=adjusted, lower=low, upper=high, shrinkage=_shrinkage(frame["raw"].to_numpy(), adjusted),
        rank=ranks.mean(axis=0), rank_lower=rank_low, rank_upper=rank_high, p_top=(ranks <= top).mean(axis=0),
        p_below=(draws < held).mean(axis=0), overlap=_overlap(counts, group, members, mix),
    )  # fmt: skip
    frame["verdict"] = np.select(
        [frame["overlap"] < OVERLAP, frame["p_below"] >= CLEAR, frame["p_below"] <= 1 - CLEAR],
        ["cannot compare", "below the target", "above the target"], default="not distinguishable",
    )  # fmt: skip
    return League(frame=frame.sort_values("rank").rename_axis(group), rates=rates, target=held, top=top)


def _observed(counts: StageCounts, group: str) -> pd.DataFrame:
    """Entered first and reached last, by member."""
    frame = counts.stages_by(group).frame
    ends = {name: frame[frame["stage"] == stage].set_index(group)["entered"]
            for name, stage in (("entered", counts.stages[0]), ("won", counts.stages[-1]))}  # fmt: skip
    return pd.DataFrame(ends).set_axis(frame[group].drop_duplicates().astype(str), axis=0)


def _shrinkage(raw: np.ndarray, adjusted: np.ndarray) -> np.ndarray:
    """Share of the way from the raw rate to the mean of all; missing where the raw rate is that mean."""
    distance = raw - adjusted.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(distance) > 1e-9, (raw - adjusted) / distance, np.nan)


def _overlap(counts: StageCounts, group: str, members: list[str], mix: Sequence[str]) -> list[float]:
    """Share of the common mix in cells where the member has at least one entrant."""
    if not mix:
        return [1.0] * len(members)
    frame = counts.stages_by(group, *mix).frame
    cells = frame[(frame["stage"] == counts.stages[0]) & (frame["entered"] > 0)]
    common = cells.groupby(list(mix))["entered"].sum() / cells["entered"].sum()
    met = {str(name): common.reindex(part.set_index(list(mix)).index).sum() for name, part in cells.groupby(group)}
    return [float(met.get(name, 0.0)) for name in members]
