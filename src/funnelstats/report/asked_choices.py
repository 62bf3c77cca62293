"""Who is best, which stage holds the funnel back, how long does it take, how many in the end: quantities that a fit answers.

All of them have closed-form or quadrature posteriors, so that a card is computed again in a second.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from funnelstats.data.stages import StageCounts
from funnelstats.decisions.bottleneck import Bottleneck, best_decile, bottleneck
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate, NotIdentified
from funnelstats.interval import Interval
from funnelstats.models.ages import unit_of
from funnelstats.models.exchangeable import BetaBinomial, BetaBinomialFit
from funnelstats.models.exits import CompetingExits
from funnelstats.models.exits_fit import CompetingExitsFit
from funnelstats.models.rates import step_rates
from funnelstats.models.stays import mean_time
from funnelstats.models.step_pooling import whole_team
from funnelstats.models.trials import Trials
from funnelstats.report.answers import Answer, known_group, known_stage


# -- members -------------------------------------------------------------------------------------------------------
def member(log: Any, *, seed: int, group: str | None = None, place: int = 1, draws: int = 1000, chains: int = 4) -> Answer:
    """Partially pooled share won of one member of a group, by expected rank."""
    group = known_group(log, group)
    fit = _pooled(log, group, seed=seed, draws=draws, chains=chains)
    rates = fit.rates()
    label = _in_order(rates, place)
    p_best = float((rates.draws.argmax("group") == rates.draws["group"].values.tolist().index(label)).mean())
    words = f"share won, partially pooled, of place {place} among {len(fit.data.labels)} of {group}"
    remark = f"{label} is in this place by expected rank; the probability of being first is {p_best:.2f}"
    return Answer(estimate=rates.sel(group=label).described(words), behind=(fit,), stated={"remark": remark}, picked=label)


def best_against_team(log: Any, *, seed: int, group: str | None = None, draws: int = 1000, chains: int = 4) -> Answer:
    """Partially pooled share won of the first member by expected rank, less the mean over all members."""
    group = known_group(log, group)
    fit = _pooled(log, group, seed=seed, draws=draws, chains=chains)
    rates = fit.rates()
    label = _in_order(rates, 1)
    draws_of = (rates.draws - rates.draws.mean("group")).sel(group=label, drop=True)
    lead = Estimate(draws=draws_of, description=f"share won of the first of {group} less the mean of all, partially pooled")
    above = float(lead.probability(lambda d: d > 0))
    return Answer(
        estimate=lead,
        behind=(fit,),
        picked=label,
        stated={"remark": f"first by expected rank: {label}; P(above the mean) = {above:.2f}"},
    )


def _pooled(log: Any, group: str, *, seed: int, draws: int, chains: int) -> BetaBinomialFit:
    """Won of those whose fate is settled, by member, pooled as much as the data deserve."""
    counts = log.stages(group)
    frame, first, last = counts.frame, counts.stages[0], counts.stages[-1]
    rows = frame.pivot(index=group, columns="stage", values="entered")
    young = frame.groupby(group)["maturing"].sum().reindex(rows.index)
    trials = Trials(wins=rows[last].to_numpy(), trials=(rows[first] - young).clip(lower=rows[last]).to_numpy(), open=int(young.sum()),
                    labels=tuple(map(str, rows.index)), window=counts.window, source=f"{counts.source}, {last} of {first}")  # fmt: skip
    return BetaBinomial().fit(trials, seed=seed, draws=draws, chains=chains)


def _in_order(rates: Estimate, place: int) -> str:
    labels = [str(name) for name in rates.draws["group"].values]
    if not 1 <= place <= len(labels):
        raise DataError("the quantity", [Problem("place", f"expected a number from 1 to {len(labels)}, found {place}")])
    drawn = rates.draws.transpose(*SAMPLE_DIMS, "group").values
    ranks = np.argsort(np.argsort(-drawn, axis=-1), axis=-1).mean(axis=(0, 1))
    return labels[int(np.argsort(ranks, kind="stable")[place - 1])]


# -- the bottleneck ------------------------------------------------------------------------------------------------
def bottleneck_probability(
    log: Any,
    *,
    seed: int,
    stage: str | None = None,
    group: str | None = None,
    min_gain: float = 0.0,
    draws: int = 1000,
    chains: int = 4,
) -> Answer:
    """Probability that a stage is the bottleneck: that its best decile is worth more there than anywhere else."""
    found, fits, group = _bottleneck(log, seed=seed, group=group, min_gain=min_gain, draws=draws, chains=chains)
    if isinstance(found, NotIdentified):
        return Answer(estimate=found)
    chosen = str(found.probability.idxmax()) if stage is None else known_stage(log, stage)
    first = (found.gain.draws.argmax("stage") == list(found.probability.index).index(chosen)) & (
        found.gain.draws.sel(stage=chosen, drop=True) > min_gain
    )
    share, rule = float(found.probability[chosen]), Interval(kind="wilson")
    lower, upper = rule.of_counts(round(share * first.size), first.size)
    form = ClosedForm(xr.DataArray(share), xr.DataArray(float(lower)), xr.DataArray(float(upper)), rule)
    words = f"probability that {'the most probable stage' if stage is None else chosen} is the bottleneck, against the best decile over {group}"
    estimate = Estimate(draws=first.astype(float), description=words, closed_form=form)
    remark = f"{chosen}; the interval covers the error of simulation, nothing else" if stage is None else \
        "the interval covers the error of simulation, nothing else"  # fmt: skip
    return Answer(
        estimate=estimate,
        behind=fits,
        picked=chosen,
        stated={"remark": remark, "decision": f"gains up to {min_gain:g} count as none"},
    )


def bottleneck_gain(
    log: Any, *, seed: int, stage: str | None = None, group: str | None = None, draws: int = 1000, chains: int = 4
) -> Answer:
    """Relative gain in wins on reaching the best decile at a stage; at the most probable bottleneck where none is named."""
    found, fits, group = _bottleneck(log, seed=seed, group=group, min_gain=0.0, draws=draws, chains=chains)
    if isinstance(found, NotIdentified):
        return Answer(estimate=found)
    chosen = str(found.probability.idxmax()) if stage is None else known_stage(log, stage)
    where = "the most probable bottleneck" if stage is None else chosen
    words = f"relative gain in wins on reaching the best decile over {group} at {where}"
    return Answer(estimate=found.gain.sel(stage=chosen).described(words), behind=fits, picked=chosen,
                  stated={"remark": f"{chosen}: P(bottleneck) = {found.probability[chosen]:.2f}"})  # fmt: skip


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Pooled:
    """Stages compared by what each member's partially pooled rates say is attainable.

    Attributes
    ----------
    bottleneck : Bottleneck
    team : Estimate, dims (chain, draw, stage)
        Step rates of all together, joint with those of the members.
    members : Estimate, dims (chain, draw, group, stage)
    fits : tuple
        One for each step, in the order of the stages.
    """

    bottleneck: Bottleneck
    team: Estimate
    members: Estimate
    fits: tuple[BetaBinomialFit, ...]

    @property
    def worst(self) -> BetaBinomialFit:
        """The fit with the worst verdict, which is that of the comparison."""
        return max(self.fits, key=lambda fit: ("PASS", "REVIEW", "FAIL").index(fit.diagnosis.verdict))


@lru_cache(maxsize=4)  # several quantities and the report ask the same of the same log
def pooled_bottleneck(log: Any, seed: int, group: str, min_gain: float, draws: int, chains: int) -> Pooled | NotIdentified:
    """Compare the stages of a log with the best decile over a group, each step pooled by itself."""
    counts: StageCounts = log.stages(group)
    so_far = step_rates(counts.total(), seed=seed, draws=1)
    if isinstance(so_far, NotIdentified):
        return NotIdentified("the bottleneck", so_far.reason)
    stages = counts.stages[:-1]
    fits = [BetaBinomial().fit(Trials.of_counts(counts, stage=stage), seed=seed + place, draws=draws, chains=chains)
            for place, stage in enumerate(stages)]  # fmt: skip
    members = xr.concat([fit.rates().draws.rename(group=group) for fit in fits], dim="stage").assign_coords(stage=list(stages))
    pooled = Estimate(draws=members.transpose(*SAMPLE_DIMS, group, "stage"), description=f"step rates of each {group}")
    team = whole_team(pooled, counts)  # of the same trials: a rate so far would fall short of the benchmark for being young
    found = bottleneck(team, benchmark=best_decile(pooled, group=group), min_gain=min_gain, name=f"the best decile over {group}")
    return Pooled(bottleneck=found, team=team, members=pooled, fits=tuple(fits))


def _bottleneck(
    log: Any, *, seed: int, group: str | None, min_gain: float, draws: int, chains: int
) -> tuple[Bottleneck | NotIdentified, tuple[Any, ...], str]:
    group = known_group(log, group)
    found = pooled_bottleneck(log, seed, group, min_gain, draws, chains)
    return (found, (), group) if isinstance(found, NotIdentified) else (found.bottleneck, (found.worst,), group)


# -- time ----------------------------------------------------------------------------------------------------------
def mean_stay(log: Any, *, seed: int, stage: str | None = None, within: int = 365, draws: int = 1000, chains: int = 4) -> Answer:
    """Mean time in a stage, of which no more than ``within`` counts."""
    stage, fit = _exits(log, stage, seed=seed, draws=draws, chains=chains)
    words = f"mean time in {stage}, of which no more than {within:,} {unit_of(fit.data)}s count"
    return Answer(estimate=mean_time(fit, within=within).sel(stage=stage).described(words), behind=(fit,))


def median_stay(log: Any, *, seed: int, stage: str | None = None, draws: int = 1000, chains: int = 4) -> Answer:
    """Median time in a stage until leaving it either way, the open counted for as long as they were watched."""
    stage, fit = _exits(log, stage, seed=seed, draws=draws, chains=chains)
    unit = unit_of(fit.data)
    words = f"median time in {stage}, whichever way it ends"
    last = int(fit.data.frame.loc[fit.data.frame["stage"] == stage, "age"].max()) + 1
    ages = np.unique(np.round(np.geomspace(1, last, 60)))
    still = fit.incidence(ages.tolist()).draws.sel(stage=stage, cause="open", drop=True)
    reached = float((still.isel(age=-1) <= 0.5).mean())
    if reached < 1:
        reason = f"half had not left by the last age watched, {unit} {last}, in {1 - reached:.0%} of draws"
        return Answer(estimate=NotIdentified(words, reason), behind=(fit,))
    left = 1 - still.values.reshape(-1, len(ages))
    at = np.array([np.interp(0.5, np.concatenate([[0.0], row]), np.concatenate([[0.0], ages])) for row in left])
    values = xr.DataArray(at.reshape(still.shape[:2]), dims=SAMPLE_DIMS)
    return Answer(estimate=Estimate(draws=values, unit=unit, description=words), behind=(fit,))


def in_the_end(log: Any, *, seed: int, stage: str | None = None, draws: int = 1000, chains: int = 4) -> Answer:
    """Share of those who enter a stage that will have been won in the end, late deals going on as the longest-watched did."""
    stage, fit = _exits(log, stage, seed=seed, draws=draws, chains=chains)
    found = fit.continue_from(stage, age=0, to="won")
    words = f"{fit.data.stages[-1]} in the end, of those who enter {stage}"
    return Answer(estimate=found.described(words), behind=(fit,))


def _exits(log: Any, stage: str | None, *, seed: int, draws: int, chains: int) -> tuple[str, CompetingExitsFit]:
    return known_stage(log, stage), _learned(log, seed, draws, chains)


@lru_cache(maxsize=4)
def _learned(log: Any, seed: int, draws: int, chains: int) -> CompetingExitsFit:
    return CompetingExits().fit(log.hazards(), seed=seed, draws=draws, chains=chains)
