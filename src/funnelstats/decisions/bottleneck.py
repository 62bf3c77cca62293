"""Which stage holds the funnel back, with what probability, and by how much?

The lowest rate is not the bottleneck: the overall rate is a product, so a lift of one per cent *of itself* is worth the same at
every stage, and a stage may convert one in ten because that is its job.  What singles a stage out is how far it falls short
of what is attainable there.  For a benchmark rate ``b_k`` the gain is ``overall * (b_k / p_k - 1)`` more wins per entrant;
ranks are taken draw by draw, so that the winner's curse does not crown a stage by luck.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, Problem, UnitError
from funnelstats.estimate import SAMPLE_DIMS, Estimate

Criterion = Literal["relative", "time", "money"]
#: A stage is named the bottleneck only with at least this probability.
CLEAR = 0.8


class HasStageRates(Protocol):
    """A fit that knows the step rates of the team and of the members of its groups, such as ``HierarchicalFit``."""

    @property
    def model(self) -> Any:
        """Its specification, with the groups."""
        ...

    def stage_rates(self, group: str | None = None) -> Estimate:
        """Step rates of the team, dims (chain, draw, stage), or of each member of a group on one case mix."""
        ...


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Bottleneck:
    """The answer, as probabilities.

    Attributes
    ----------
    gain : Estimate
        What reaching the benchmark at each stage alone would bring (dims stage): a relative gain in wins, time, or money.
    probability : Series
        For each stage the share of draws in which its gain is the largest and above ``min_gain``; what is missing to one is
        the chance that no stage is worth fixing.
    ranks : DataFrame
        For each stage (rows) the probability of each rank (columns, 1 = largest gain).
    verdict : str
        The stage, or ``"unclear"`` below a probability of 0.8.
    criterion, benchmark : str
        What was compared, in words.
    """

    gain: Estimate
    probability: pd.Series
    ranks: pd.DataFrame
    verdict: str
    criterion: str
    benchmark: str

    def table(self) -> pd.DataFrame:
        """One row per stage: P(bottleneck), expected rank, gain with interval and unit."""
        expected = (self.ranks * self.ranks.columns).sum(axis=1)
        head = pd.DataFrame({"p_bottleneck": self.probability, "expected_rank": expected})
        return head.join(self.gain.to_frame().rename(columns={"mean": "gain"}))

    def __repr__(self) -> str:
        return f"<Bottleneck by {self.criterion} against {self.benchmark}: {self.verdict}>\n{self.table()}"

    def _repr_html_(self) -> str:
        from html import escape

        head = escape(f"Bottleneck by {self.criterion} against {self.benchmark}: {self.verdict}")
        return f"<p><b>{head}</b></p>{self.table().to_html(float_format='{:.3g}'.format)}"


def bottleneck(
    rates: Estimate | HasStageRates, *, benchmark: Estimate | Mapping[str, float] | None = None, criterion: Criterion = "relative",
    min_gain: float = 0.0, time: Estimate | None = None, value: Estimate | None = None, name: str = "",
) -> Bottleneck:  # fmt: skip
    """Compare stages by what reaching a benchmark would bring.

    Parameters
    ----------
    rates : Estimate, dims (chain, draw, stage), or a fit
        Joint draws of step rates, as of ``step_rates(counts)``; or a fit with ``stage_rates``, such as that of
        ``HierarchicalConversion``, which brings its own benchmark.
    benchmark : Estimate or mapping of str to float, optional
        Attainable rate of each stage (``criterion="time"``: attainable time): the team's own best decile
        (:func:`best_decile`), a previous period, a target. Joint draws keep the comparison honest.
        May be left out for a fit (the best decile over its first group) unless the criterion is ``"time"``.
    criterion : {"relative", "time", "money"}
        ``relative``: relative gain in wins, ``b / p - 1``. ``time``: time saved per entrant that enters the stage. ``money``:
        gain in wins times ``value``.
    min_gain : float
        Gains up to this are not worth fixing, in the unit of the gain.
    time : Estimate, dims (..., stage)
        For ``"time"``: mean time in each stage, such as ``over_groups(fit, times)`` with ``times = mean_time(fit, within=60)`` of
        ``CompetingExits(group="owner")``, and ``fastest_decile(times, group="owner")`` as the benchmark.
    value : Estimate
        For ``"money"``: money that the present funnel brings, such as ``entrants * overall * amount``.
    name : str
        The benchmark in words; by default "the given rates", or the best decile.

    Returns
    -------
    Bottleneck

    Raises
    ------
    DataError
        A stage without a benchmark, no benchmark at all, or a missing ``time`` or ``value``.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> draws = rng.beta([200, 100], [800, 100], size=(4000, 2))
    >>> rates = Estimate.of(draws, description="step rates", coords={"stage": ["Lead", "Opportunity"]})
    >>> bottleneck(rates, benchmark={"Lead": 0.22, "Opportunity": 0.7}, name="last year").verdict
    'Opportunity'
    """
    if criterion not in ("relative", "time", "money"):
        raise DataError("the bottleneck", [Problem("criterion", f"expected relative, time or money, found {criterion!r}")])
    needed = {"time": ("time", time), "money": ("value", value)}.get(criterion)
    if needed and needed[1] is None:
        raise DataError(
            "the bottleneck", [Problem(needed[0], f"expected an Estimate for criterion {criterion!r}, found nothing")]
        )
    rates, benchmark, name = _resolved(rates, benchmark, name, criterion=criterion)
    measured = time if criterion == "time" and time is not None else rates
    attainable = _benchmark(benchmark, measured)
    if criterion == "time":
        gain = (measured.draws - attainable).clip(min=0)
        unit = measured.unit
    else:
        gain = (attainable / measured.draws - 1).clip(min=0)
        unit = ""
        if criterion == "money" and value is not None:
            gain, unit = gain * value.draws, value.unit
    words = {"relative": "relative gain in wins", "time": "time saved", "money": "money gained"}[criterion]
    estimate = Estimate(
        draws=gain.transpose(*SAMPLE_DIMS, "stage"), unit=unit, description=f"{words} on reaching {name}, by stage"
    )
    return judge(estimate, criterion=words, benchmark=name, min_gain=min_gain)


def judge(gain: Estimate, *, criterion: str, benchmark: str, min_gain: float = 0.0) -> Bottleneck:
    """Rank stages by joint draws of a gain and name the bottleneck where it is clear."""
    stages = [str(stage) for stage in gain.draws["stage"].values]
    draws = gain.draws.stack(sample=SAMPLE_DIMS).transpose("sample", "stage").values
    # equal gains share a rank by lot, so that two equal stages are each first in half of the draws
    order = np.lexsort((np.random.default_rng(0).random(draws.shape), -draws), axis=-1)
    ranks = np.argsort(order, axis=-1)
    table = pd.DataFrame(
        {place + 1: (ranks == place).mean(axis=0) for place in range(len(stages))}, index=pd.Index(stages, name="stage")
    )
    first = (ranks == 0) & (draws > min_gain)
    probability = pd.Series(first.mean(axis=0), index=table.index, name="p_bottleneck")
    verdict = str(probability.idxmax()) if probability.max() >= CLEAR else "unclear"
    return Bottleneck(gain=gain, probability=probability, ranks=table, verdict=verdict, criterion=criterion, benchmark=benchmark)


def best_decile(rates: Estimate, *, group: str) -> Estimate:
    """Rate that the best tenth of a group reaches at each stage: the 90th percentile over its members, draw by draw.

    Parameters
    ----------
    rates : Estimate, dims (chain, draw, group, stage)
        Partially pooled step rates of each member; raw rates would call luck attainable.
    group : str
        Dimension of the members, such as ``"owner"``.

    Returns
    -------
    Estimate, dims (chain, draw, stage)
    """
    draws = rates.draws.quantile(0.9, dim=group, skipna=False).drop_vars("quantile")
    return Estimate(draws=draws, unit=rates.unit, description=f"best decile over {group} of {rates.description}")


def fastest_decile(times: Estimate, *, group: str) -> Estimate:
    """Time that the fastest tenth of a group needs at each stage: the 10th percentile over its members, draw by draw.

    Parameters
    ----------
    times : Estimate, dims (chain, draw, group, stage)
        Partially pooled times of each member, as of ``mean_time(fit, within=60)`` of ``CompetingExits(group=...)``.
    group : str
        Dimension of the members.

    Returns
    -------
    Estimate, dims (chain, draw, stage)
    """
    draws = times.draws.quantile(0.1, dim=group, skipna=False).drop_vars("quantile")
    return Estimate(draws=draws, unit=times.unit, description=f"fastest decile over {group} of {times.description}")


def _resolved(
    rates: Estimate | HasStageRates, benchmark: Estimate | Mapping[str, float] | None, name: str, *, criterion: Criterion
) -> tuple[Estimate, Estimate | Mapping[str, float], str]:
    """Ask a fit for the team's rates and, where no benchmark is given, for its members' best decile."""
    if not isinstance(rates, Estimate):
        if benchmark is None and criterion != "time":
            first = rates.model.groups[0]
            benchmark, name = best_decile(rates.stage_rates(first), group=first), name or f"the best decile over {first}"
        rates = rates.stage_rates()
    if benchmark is None:
        found = f"expected an attainable value for every stage, found nothing for criterion {criterion!r}"
        raise DataError("the bottleneck", [Problem("benchmark", found, "pass best_decile(rates, group=...) or a mapping")])
    return rates, benchmark, name or "the given rates"


def _benchmark(benchmark: Estimate | Mapping[str, float], measured: Estimate) -> xr.DataArray:
    """Attainable value for each stage, aligned with the draws."""
    stages = list(measured.draws["stage"].values)
    if isinstance(benchmark, Estimate):
        if benchmark.unit != measured.unit:
            raise UnitError(
                f"the benchmark is in {benchmark.unit or 'a pure number'}, the stages in {measured.unit or 'a pure number'}"
            )
        known = list(benchmark.draws["stage"].values)
    else:
        known = list(benchmark)
    missing = [str(stage) for stage in stages if stage not in known]
    if missing:
        raise DataError("the bottleneck", [Problem("benchmark", f"expected a value for every stage, found none for {missing}")])
    if isinstance(benchmark, Estimate):
        return benchmark.draws.sel(stage=stages)
    return xr.DataArray([float(benchmark[stage]) for stage in stages], dims="stage", coords={"stage": stages})
