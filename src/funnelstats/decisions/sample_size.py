"""How many trials of each variant are needed to decide? By the power of a test, by the assurance of an answer, or by what is lost.

``power``: a two-sided test of equal rates finds a difference of ``min_effect`` that often (Fleiss, Levin & Paik 2003, 4.14).
``assurance``: averaged over what is believed of the difference, :func:`~funnelstats.decisions.variants.compare_variants` gives a clear
answer that often (O'Hagan, Stevens & Campbell 2005, Pharm. Stat. 4:187).  ``loss``: whatever the truth, choosing the variant that did
better gives up at most ``min_effect`` on average (Manski & Tetenov 2016, PNAS 113:10518); ``max_d d Phi(-d / se) = 0.17 se``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.models.verdict import CLEAR

Criterion = Literal["power", "assurance", "loss"]
#: Largest value of ``d Phi(-d)``, reached at d = 0.7518.
WORST = 0.16997
_MOST = 1e12


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class SampleSize:
    """Trials needed of each of two variants.

    Attributes
    ----------
    n : int
        Of each variant.
    criterion : str
        What they are enough for, in words.
    achieved : float
        Power or assurance at ``n``; for ``"loss"`` the most that is given up on average.
    ladder : DataFrame
        The same for a quarter, half, twice and four times as many: index ``n``, column ``achieved``.
    """

    n: int
    criterion: str
    achieved: float
    ladder: pd.DataFrame

    @property
    def total(self) -> int:
        """Of both variants together."""
        return 2 * self.n

    def __str__(self) -> str:
        return f"{self.n:,} trials of each of two variants: {self.criterion}"

    def __repr__(self) -> str:
        return f"<SampleSize {self}>\n{self.ladder}"


def sample_size(
    baseline: float | Estimate, *, min_effect: float, criterion: Criterion = "power", power: float = 0.8, error: float = 0.05,
    effect: Estimate | None = None, clear: float = CLEAR,
) -> SampleSize:  # fmt: skip
    """Trials of each variant that are needed to decide.

    Parameters
    ----------
    baseline : float or Estimate
        Rate of the present variant. Over draws of it, power is averaged.
    min_effect : float
        Least difference worth a change, as a share, above zero.
    criterion : {"power", "assurance", "loss"}
        See the module.
    power : float
        Probability asked for; not used for ``"loss"``.
    error : float
        Two-sided size of the test, for ``"power"``.
    effect : Estimate
        For ``"assurance"``: draws of what is believed of the difference, such as of earlier campaigns.
    clear : float
        For ``"assurance"``: the probability from which ``compare_variants`` recommends.

    Returns
    -------
    SampleSize

    Examples
    --------
    >>> sample_size(0.10, min_effect=0.02).n, sample_size(0.10, min_effect=0.02, criterion="loss").n
    (3841, 14)
    """
    rate = np.atleast_1d(np.asarray(baseline.draws if isinstance(baseline, Estimate) else baseline, dtype=float)).ravel()
    _check(rate, min_effect, criterion, power, error, effect, clear)
    goal = f"{100 * min_effect:g} percentage points"
    if criterion == "loss":
        spread = float(np.sqrt(2 * rate * (1 - rate)).max())

        def reached(n: float) -> float:
            return WORST * spread / np.sqrt(n)

        found = (WORST * spread / min_effect) ** 2
        return _sized(found, reached, f"choosing the better one gives up at most {goal} on average, whatever the truth")
    if criterion == "power":
        words = f"a difference of {goal} is found with a probability of {power:.0%} by a test of two-sided size {error:g}"
        return _sized(None, lambda n: float(np.mean(_power(n, rate, min_effect, error))), words, power)
    believed = np.asarray(effect.draws if effect is not None else 0.0, dtype=float).ravel()
    rate, believed = np.broadcast_arrays(rate, believed)
    other = np.clip(rate + believed, 1e-9, 1 - 1e-9)
    words = f"with a probability of {power:.0%} it is clear whether the difference exceeds {goal}"
    return _sized(None, lambda n: float(np.mean(_answered(n, rate, other, min_effect, float(ndtri(clear))))), words, power)


def _power(n: float, rate: np.ndarray, effect: float, error: float) -> Any:
    """Power of the two-sided test on the pooled standard error, the far tail included."""
    other, middle = rate + effect, rate + effect / 2
    null, truth = np.sqrt(2 * middle * (1 - middle) / n), np.sqrt((rate * (1 - rate) + other * (1 - other)) / n)
    critical = ndtri(1 - error / 2) * null
    return ndtr((effect - critical) / truth) + ndtr((-effect - critical) / truth)


def _answered(n: float, rate: np.ndarray, other: np.ndarray, effect: float, z: float) -> Any:
    """Probability that the posterior of the difference lies clear of the least effect, on either side."""
    error = np.sqrt((rate * (1 - rate) + other * (1 - other)) / n)
    far = (other - rate - effect) / error
    return ndtr(far - z) + ndtr(-far - z)


def _sized(found: float | None, reached: Callable[[float], float], words: str, wanted: float = 0.0) -> SampleSize:
    """Round up, or look for the least n that reaches what is wanted."""
    if found is None:
        high = 2.0
        while reached(high) < wanted:
            high *= 2
            if high > _MOST:
                what = f"expected a size that reaches {wanted:.0%}, found {reached(high):.1%} with {high:.0e} of each"
                raise DataError("a sample size", [Problem("power", what, "ask for less, or for a smaller least effect")])
        low = high / 2
        while high - low > 1e-6 * high + 1e-3:
            middle = (low + high) / 2
            low, high = (low, middle) if reached(middle) >= wanted else (middle, high)
        found = high
    n = max(2, int(np.ceil(found - 1e-6)))
    steps = sorted({max(2, round(n * times)) for times in (0.25, 0.5, 1, 2, 4)})
    ladder = pd.DataFrame({"achieved": [reached(step) for step in steps]}, index=pd.Index(steps, name="n"))
    return SampleSize(n=n, criterion=words, achieved=reached(n), ladder=ladder)


def _check(rate: np.ndarray, min_effect: float, criterion: str, power: float, error: float, effect: Any, clear: float) -> None:
    problems = []
    if not np.all((rate > 0) & (rate < 1)):
        problems.append(Problem("baseline", "expected a rate between 0 and 1"))
    if not 0 < min_effect < 1 or np.any(rate + min_effect >= 1):
        problems.append(
            Problem("min_effect", f"expected a difference above 0 with the rate staying below 1, found {min_effect!r}")
        )
    if criterion not in get_args(Criterion):
        problems.append(Problem("criterion", f"expected one of {', '.join(get_args(Criterion))}, found {criterion!r}"))
    for name, value in (("power", power), ("error", error)):
        if not 0 < value < 1:
            problems.append(Problem(name, f"expected a probability between 0 and 1, found {value!r}"))
    if not 0.5 < clear < 1:
        problems.append(Problem("clear", f"expected a probability between 0.5 and 1, found {clear!r}"))
    if (criterion == "assurance") != (effect is not None):
        fix = "pass Estimate.of(draws, ...) of earlier differences"
        problems.append(Problem("effect", 'expected what is believed of the difference for "assurance", and only there', fix))
    elif effect is not None and rate.size > 1 and effect.draws.size != rate.size:
        problems.append(
            Problem("effect", f"expected draws paired with those of the baseline, found {effect.draws.size} and {rate.size}")
        )
    if problems:
        raise DataError("a sample size", problems)
