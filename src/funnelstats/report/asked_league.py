"""Who is first once everyone has the same leads, and what would the best of them reach at the bottleneck? Quantities of the crossed model.

It is sampled (NUTS), so that a card takes half a minute to compute again, and may differ between machines by the error of sampling.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from funnelstats.decisions.bottleneck import bottleneck
from funnelstats.decisions.league import league_table
from funnelstats.errors import DataError, Problem
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.hierarchical_fit import HierarchicalFit
from funnelstats.report.answers import Answer, known_group


def league_first(
    log: Any, *, seed: int, group: str | None = None, mix: Sequence[str] = (), smallest: int = 1, draws: int = 500, chains: int = 4,
) -> Answer:  # fmt: skip
    """Share won of the first member by expected rank, on the mix of leads of all; of those with enough entrants."""
    group, mix = known_group(log, group), tuple(mix)
    fit = crossed(log, (group, *mix), seed, draws, chains)
    league = league_table(fit.standardised_rates(group), log.stages((group, *mix)), group=group, mix=mix, top=1)
    frame = league.frame[league.frame["entered"] >= smallest]
    if frame.empty:
        raise DataError("the quantity", [Problem("smallest", f"expected a {group} with {smallest} entrants or more, found none")])
    first = str(frame.index[0])
    of = f"{fit.data.stages[-1]}, of those who enter {fit.data.stages[0]}"
    words = f"{of}, of the first {group} by expected rank, on the mix of leads of all"
    return Answer(estimate=league.rates.sel(**{group: first}).described(words), behind=(fit,), picked=first,
                  stated={"remark": f"{first} is first by expected rank"})  # fmt: skip


def adjusted_gain(
    log: Any, *, seed: int, stage: str | None = None, groups: Sequence[str] = (), draws: int = 500, chains: int = 4
) -> Answer:  # fmt: skip
    """Relative gain in wins on reaching the best decile at a stage, members adjusted to the mix; at the likeliest bottleneck where none is named."""
    groups = tuple(groups) or (known_group(log, None),)
    fit = crossed(log, groups, seed, draws, chains)
    found = bottleneck(fit)
    chosen = str(found.probability.idxmax()) if stage is None else stage
    where = "the most probable bottleneck" if stage is None else chosen
    words = f"relative gain in wins on reaching {found.benchmark} at {where}, adjusted to the mix of {', '.join(groups)}"
    return Answer(estimate=found.gain.sel(stage=chosen).described(words), behind=(fit,), picked=chosen,
                  stated={"remark": f"{chosen}: P(bottleneck) = {found.probability[chosen]:.2f}"})  # fmt: skip


@lru_cache(maxsize=2)  # a report shows the league of which the card names the first
def crossed(log: Any, groups: tuple[str, ...], seed: int, draws: int, chains: int) -> HierarchicalFit:
    """Rates of every step by crossed groups, from chains that are tuned for as long as they are kept."""
    return HierarchicalConversion(groups=groups).fit(log.stages(groups), seed=seed, draws=draws, tune=draws, chains=chains)
