"""Rates, and what a lead is worth: quantities that counts and amounts alone answer."""

from dataclasses import replace
from typing import Any

from funnelstats.data.stages import StageCounts
from funnelstats.decisions.fixing import mean_amount
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.interval import CountKind, Interval
from funnelstats.models.rates import as_of_words, decided_rate, overall_rate, step_rates
from funnelstats.report.answers import Answer, counted, known_stage, with_amounts
from funnelstats.units import per_entrant

Segment = dict[str, str] | None


def share_won(
    log: Any,
    *,
    seed: int,
    draws: int = 4000,
    chains: int = 1,
    segment: Segment = None,
    prob: float = 0.9,
    kind: CountKind = "wilson",
) -> Answer:
    """Share of all who entered the first stage that reached the last."""
    counts = counted(log, segment)
    return _rated(overall_rate(counts, seed=seed, draws=draws, chains=chains, interval=Interval(prob=prob, kind=kind)), counts)


def share_of_decided(
    log: Any,
    *,
    seed: int,
    draws: int = 4000,
    chains: int = 1,
    segment: Segment = None,
    prob: float = 0.9,
    kind: CountKind = "wilson",
) -> Answer:
    """Share won of those who were won or lost: a win rate, no conversion rate."""
    counts = counted(log, segment)
    return _rated(decided_rate(counts, seed=seed, draws=draws, chains=chains, interval=Interval(prob=prob, kind=kind)), counts)


def step(
    log: Any, *, seed: int, stage: str | None = None, draws: int = 4000, chains: int = 1, segment: Segment = None, prob: float = 0.9,
    kind: CountKind = "wilson",
) -> Answer:  # fmt: skip
    """Share of those who entered a stage that advanced from it."""
    stage = known_stage(log, stage)
    counts = counted(log, segment)
    rates = step_rates(counts, seed=seed, draws=draws, chains=chains, interval=Interval(prob=prob, kind=kind))
    row = counts.frame["stage"] == stage
    so_far, later = " so far" if counts.immature[row].any() else "", counts.stages[counts.stages.index(stage) + 1]
    if isinstance(rates, Estimate):
        where = "".join(f", {value}" for value in (segment or {}).values())
        words = f"advanced from {stage} to {later}{so_far}, of all who entered {stage}{as_of_words(counts)}{where}"
        rates = _one(rates).sel(stage=stage).described(words)
    entered, still = (int(counts.frame.loc[row, name].sum()) for name in ("entered", "open"))
    about = {"n": entered, "censored": still, "counted": f"who entered {stage}", "population": f"all who entered {stage}"}
    return replace(_rated(rates, counts), stated=about)


def from_start(
    log: Any, *, seed: int, stage: str | None = None, draws: int = 4000, chains: int = 1, segment: Segment = None, prob: float = 0.9,
    kind: CountKind = "wilson",
) -> Answer:  # fmt: skip
    """Share of all who entered the first stage that reached a later one."""
    counts = _until(counted(log, segment), known_stage(log, stage, last=True))
    return _rated(overall_rate(counts, seed=seed, draws=draws, chains=chains, interval=Interval(prob=prob, kind=kind)), counts)


def amount(log: Any, *, seed: int, draws: int = 1000, chains: int = 4) -> Answer:
    """Mean amount of a won deal."""
    with_amounts(log)
    found = mean_amount(log, seed=seed, draws=draws, chains=chains)
    words = "mean amount of a won deal"
    found = found.described(words) if isinstance(found, Estimate) else NotIdentified(words, found.reason)
    row = log.won_amounts().iloc[0]
    about = {"model": "Normal amounts", "formula": "mean ~ Student t(n - 1) around the observed mean, scale sd / sqrt(n)",
             "priors": ("uniform on the mean and on the log of the sd",), "method": "exact", "seed": seed,
             "settings": (f"{chains} x {draws:,} draws",), "verdict": "PASS", "population": "deals won",
             "diagnosis": "PASS (exact): independent draws from a formula", "n": int(row["n"]), "censored": None,
             "counted": "deals won with an amount"}  # fmt: skip
    return Answer(estimate=found, stated=about)


def lead_worth(log: Any, *, seed: int, draws: int = 1000, chains: int = 4) -> Answer:
    """Money that one lead brings: the share won times the mean amount of a won deal."""
    with_amounts(log)
    counts = log.stages()
    rate = overall_rate(counts, seed=seed, draws=draws, chains=chains)
    each = mean_amount(log, seed=seed, draws=draws, chains=chains)
    words = f"amount of won deals per entrant of {counts.stages[0]}"
    if isinstance(rate, NotIdentified) or isinstance(each, NotIdentified):
        reason = rate.reason if isinstance(rate, NotIdentified) else each.reason if isinstance(each, NotIdentified) else ""
        return Answer(estimate=NotIdentified(words, reason), behind=(counts,))
    unit = each.unit.removesuffix("/deal")
    worth = Estimate(draws=rate.draws * each.draws, unit=per_entrant(unit, counts.stages[0]), description=words)
    about = {"model": "share won times mean amount, independent", "formula": "wins ~ Binomial(entered, p); mean amount ~ Student t",
             "priors": ("p ~ beta(a=0.5, b=0.5), Jeffreys", "uniform on the mean and on the log of the sd of amounts"),
             "method": "exact", "seed": seed, "settings": (f"{chains} x {draws:,} draws",), "verdict": "PASS",
             "diagnosis": "PASS (exact): independent draws from formulas"}  # fmt: skip
    return Answer(estimate=worth, behind=(counts,), stated=about)


# -- how -----------------------------------------------------------------------------------------------------------
def _rated(rate: Estimate | NotIdentified, counts: StageCounts) -> Answer:
    return Answer(estimate=_one(rate) if isinstance(rate, Estimate) else rate, behind=(counts,))


def _one(rate: Estimate) -> Estimate:
    """Pick the only segment, whose name then stands in the description."""
    for dim in rate.draws.dims[2:]:
        if dim != "stage":
            rate = rate.sel(**{str(dim): rate.draws[dim].values[0]})
    return rate


def _until(counts: StageCounts, stage: str) -> StageCounts:
    """The same funnel, as if it ended with an earlier stage."""
    stages = counts.stages[: counts.stages.index(stage) + 1]
    frame = counts.frame[counts.frame["stage"].isin(stages)].reset_index(drop=True)
    frame.loc[frame["stage"] == stage, ["advanced", "lost", "open", "maturing"]] = 0
    return replace(counts, frame=frame, stages=stages)
