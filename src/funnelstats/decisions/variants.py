"""Which campaign is better, by how much, and is the difference worth a change? Two or more variants or periods from counts.

For each variant the probability that it is the best, the probability that it beats the control by more than a stated least effect,
and the expected loss: the rate given up on average by choosing it.  These are probabilities of the rates given the counts; none
of them is "the probability that the result is not due to chance".
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem, SampleRatioWarning
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.pooling import NoPooling
from funnelstats.models.trials import Trials, as_trials
from funnelstats.models.verdict import CLEAR, chance

#: A planned split that would be missed so far in fewer than one draw of a thousand was not kept.
UNEVEN = 0.001


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Variants:
    """Variants side by side.

    Attributes
    ----------
    control : str
        What the others are compared with.
    trials : Trials
    rates : Estimate, dims (chain, draw, variant)
    min_effect : float
        Least difference of rates that is worth a change.
    clear : float
        Probability from which a choice is recommended.
    prior : str
        What is assumed of the rates together.
    uneven : float or None
        How often a split as planned would be at least as far from its shares as this one; None where no shares were planned.
    cautions : tuple of str
        What makes the comparison less than fair.
    """

    control: str
    trials: Trials
    rates: Estimate
    min_effect: float
    clear: float
    prior: str
    uneven: float | None
    cautions: tuple[str, ...] = ()

    @property
    def difference(self) -> Estimate:
        """Rate of each other variant less that of the control."""
        return self._against(lambda own, base: own - base, "difference")

    @property
    def ratio(self) -> Estimate:
        """Rate of each other variant over that of the control."""
        return self._against(lambda own, base: own / base, "ratio")

    def _against(self, how: Any, words: str) -> Estimate:
        base = self.rates.draws.sel(variant=self.control, drop=True)
        others = self.rates.draws.sel(variant=[name for name in self.trials.labels if name != self.control])
        description = f"{words} to {self.control} of the {self.rates.description}"
        return Estimate(draws=how(others, base).transpose(*SAMPLE_DIMS, "variant"), description=description)

    @property
    def p_best(self) -> pd.Series:
        """Probability of each variant that its rate is the highest; they add up to one."""
        best = self.rates.draws.argmax("variant").values
        return self._series([float((best == i).mean()) for i in range(len(self.trials.labels))])

    @property
    def expected_loss(self) -> pd.Series:
        """Rate given up on average by choosing each variant, against the best of all."""
        loss = self.rates.draws.max("variant") - self.rates.draws
        return self._series(loss.mean(SAMPLE_DIMS).values)

    def _series(self, values: Any) -> pd.Series:
        return pd.Series(values, index=pd.Index(self.trials.labels, name="variant"))

    @property
    def leader(self) -> str:
        """The variant with the highest mean rate, the control where it is that."""
        return str(self.trials.labels[int(self.rates.draws.mean(SAMPLE_DIMS).values.argmax())])

    @property
    def p_effect(self) -> pd.Series:
        """Probability of each other variant that it beats the control by more than ``min_effect``."""
        return self.difference.probability(lambda d: d > self.min_effect).to_series()

    @property
    def verdict(self) -> str:
        """``choose X``, ``keep X`` (nothing is better by more than ``min_effect``) or ``no clear difference``."""
        if self.leader != self.control and self.p_effect[self.leader] >= self.clear:
            return f"choose {self.leader}"
        nothing = float((self.difference.draws.max("variant") <= self.min_effect).mean())
        return f"keep {self.control}" if nothing >= self.clear else "no clear difference"

    def table(self) -> pd.DataFrame:
        """One row per variant: counts, rate, difference and ratio to the control with bounds, probabilities, expected loss."""
        raw = pd.DataFrame({"wins": self.trials.wins, "trials": self.trials.trials}, index=self.expected_loss.index)
        frame = raw.join(self.rates.to_frame().rename(columns={"mean": "rate"})[["rate", "lower", "upper", "interval"]])
        for name, estimate in (("difference", self.difference), ("ratio", self.ratio)):
            own = estimate.to_frame()[["mean", "lower", "upper"]]
            frame = frame.join(own.set_axis([name, f"{name}_lower", f"{name}_upper"], axis=1))
        better = self.difference.probability(lambda d: d > 0).to_series()
        return frame.assign(p_better=better, p_effect=self.p_effect, p_best=self.p_best, expected_loss=self.expected_loss)

    def __str__(self) -> str:
        other = self.leader if self.leader != self.control else str(self.difference.point.to_series().idxmax())
        d, loss = self.difference.sel(variant=other), self.expected_loss[self.leader]
        points = f"{100 * d.point:+.2f} percentage points ({d.shown} {100 * d.lower:+.2f} to {100 * d.upper:+.2f})"
        text = (
            f"{self.verdict}: {other} against {self.control} {points}; probability of more than "
            f"{100 * self.min_effect:g} of them: {chance(float(self.p_effect[other]))}; choosing {self.leader} gives up "
            f"{100 * loss:.2g} percentage points on average"
        )
        return ". ".join([text, *self.cautions])

    def __repr__(self) -> str:
        return f"<Variants {self}>\n{self.table()}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(str(self))}</p>{self.table().to_html(float_format='{:.4g}'.format, na_rep='')}"


def compare_variants(
    data: Trials | Mapping[str, tuple[int, int]], *, min_effect: float, seed: int, control: str | None = None,
    planned: Mapping[str, float] | Literal["equal"] | None = None, model: NoPooling | BetaBinomial | None = None,
    clear: float = CLEAR, draws: int = 1000, chains: int = 4,
) -> Variants:  # fmt: skip
    """Compare variants of a campaign, or periods, by their wins out of trials.

    Parameters
    ----------
    data : Trials, or mapping of str to (wins, trials)
        Settled trials: those whose outcome is still open belong to neither count.
    min_effect : float
        Least difference of rates that is worth a change, as a share: 0.005 is half a percentage point. There is no
        recommendation without it.
    seed : int
    control : str, optional
        The first where not given.
    planned : mapping of str to float, or "equal"
        Shares in which the trials were to be split. Where they were not split by lot (periods, regions) leave it out: a
        caution then says that other differences may be at work.
    model : NoPooling or BetaBinomial, optional
        What is assumed of the rates together. For two variants each on its own by default, with a uniform prior; for three or
        more exchangeable ones, so that the best of many is pulled back towards the rest as far as luck would have lifted it.
    clear : float
        Probability from which a choice is recommended.
    draws, chains : int
        Of the posterior.

    Returns
    -------
    Variants

    Warns
    -----
    SampleRatioWarning
        The trials are split otherwise than planned.

    Examples
    --------
    >>> found = compare_variants({"old": (200, 2000), "new": (275, 2000)}, min_effect=0.01, planned="equal", seed=1)
    >>> found.verdict, round(float(found.difference.sel(variant="new").point), 3)
    ('choose new', 0.037)
    """
    trials = (
        Trials.of(*zip(*data.values(), strict=True), labels=list(data)) if isinstance(data, Mapping) and data else as_trials(data)
    )
    labels = trials.labels
    control = labels[0] if control is None else str(control)
    problems = []
    if len(labels) < 2:
        problems.append(Problem("data", f"expected at least two variants, found {list(labels)}"))
    if empty := [name for name, n in zip(labels, trials.trials, strict=True) if n == 0]:
        problems.append(Problem("data", f"expected trials of every variant, found none of {empty}"))
    if control not in labels:
        problems.append(Problem("control", f"expected one of {list(labels)}, found {control!r}"))
    if not (np.isfinite(min_effect) and 0 <= min_effect < 1):
        problems.append(
            Problem("min_effect", f"expected the least difference worth a change, from 0 to below 1, found {min_effect!r}")
        )
    if not 0.5 < clear <= 1:
        problems.append(Problem("clear", f"expected a probability above 0.5 and up to 1, found {clear!r}"))
    if problems:
        raise DataError("a comparison of variants", problems)
    uneven, cautions = _split(trials, planned)
    own = model or (NoPooling() if len(labels) == 2 else BetaBinomial())
    rates = own.fit(trials, seed=seed, draws=draws, chains=chains).rates()
    named = Estimate(draws=rates.draws.rename(group="variant"), description="conversion rate of each variant")
    prior = "exchangeable variants" if isinstance(own, BetaBinomial) else "each variant on its own"
    return Variants(control=control, trials=trials, rates=named, min_effect=float(min_effect), clear=clear, prior=prior,
                    uneven=uneven, cautions=cautions)  # fmt: skip


def sample_ratio(trials: Mapping[str, int], planned: Mapping[str, float] | Literal["equal"] = "equal") -> float:
    """Say how often a split by the planned shares would be at least as far from them as the one found (chi-square).

    Parameters
    ----------
    trials : mapping of str to int
    planned : mapping of str to float, or "equal"
        Shares in any scale: ``{"A": 1, "B": 1}`` is half and half.

    Returns
    -------
    float
        Below 0.001 look for what went wrong in assignment or counting before reading any rate (Fabijan et al. 2019, KDD:2156).

    Examples
    --------
    >>> f"{sample_ratio({'control': 821_588, 'treatment': 815_482}):.1e}"  # Kohavi, Tang & Xu (2020), chapter 3
    '1.8e-06'
    """
    from scipy.stats import chisquare

    shares = dict.fromkeys(trials, 1.0) if isinstance(planned, str) and planned == "equal" else planned
    if isinstance(shares, str) or set(shares) != set(trials) or not all(np.isfinite(v) and v > 0 for v in shares.values()):
        found = f'expected "equal" or a positive share for each of {list(trials)}, found {planned!r}'
        raise DataError("the planned split", [Problem("planned", found)])
    observed = np.array(list(trials.values()), dtype=float)
    weights = np.array([shares[name] for name in trials], dtype=float)
    return float(chisquare(observed, observed.sum() * weights / weights.sum()).pvalue)


def _split(trials: Trials, planned: Mapping[str, float] | Literal["equal"] | None) -> tuple[float | None, tuple[str, ...]]:
    """Check how the trials were split, and say what follows."""
    if planned is None:
        return None, ("No split was planned: whatever else differs between the variants is part of the difference",)
    counts = dict(zip(trials.labels, map(int, trials.trials), strict=True))
    uneven = sample_ratio(counts, planned)
    if uneven >= UNEVEN:
        return uneven, ()
    split = " : ".join(f"{n:,}" for n in counts.values())
    said = f"The split {split} is not the planned one (as far off in {uneven:.1g} of splits by lot): assignment or counting is at fault"
    warnings.warn(f"{said}; find out before reading the rates", SampleRatioWarning, stacklevel=3)
    return uneven, (said,)
