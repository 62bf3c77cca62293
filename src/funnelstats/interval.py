"""The one rule for every interval: its mass and its kind, and the function that computes exactly that.

The default is set here and nowhere else: 90 % equal-tailed. Equal tails survive monotone transforms, so the interval
of a rate maps to the interval of its odds or of the revenue it brings; a highest-density interval does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from funnelstats.errors import DataError, Problem

DrawKind = Literal["equal-tailed", "hdi"]
CountKind = Literal[
    "wilson", "jeffreys", "agresti-coull", "clopper-pearson", "wilson-corrected", "mid-p", "likelihood-ratio", "wald"
]
PairKind = Literal["newcombe", "newcombe-corrected", "agresti-caffo", "koopman"]
Kind = DrawKind | CountKind | PairKind

_STATSMODELS_NAME = {
    "wilson": "wilson",
    "jeffreys": "jeffreys",
    "agresti-coull": "agresti_coull",
    "clopper-pearson": "beta",
    "wald": "normal",
}
_STATSMODELS_PAIR = {"newcombe": "newcomb", "agresti-caffo": "agresti-caffo"}
_WORDS = {"hdi": "highest-density", "wilson": "Wilson", "jeffreys": "Jeffreys", "agresti-coull": "Agresti-Coull",
          "clopper-pearson": "Clopper-Pearson", "wilson-corrected": "continuity-corrected Wilson", "mid-p": "mid-P", "wald": "Wald",
          "newcombe": "Newcombe", "newcombe-corrected": "continuity-corrected Newcombe", "agresti-caffo": "Agresti-Caffo",
          "koopman": "Koopman"}  # fmt: skip
KINDS: tuple[str, ...] = (*get_args(DrawKind), *get_args(CountKind), *get_args(PairKind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """How an interval is made: probability mass and kind.

    Parameters
    ----------
    prob : float
        Mass inside, strictly between 0 and 1.
    kind : str
        ``"equal-tailed"`` or ``"hdi"`` for draws; ``"wilson"``, ``"jeffreys"``, ``"agresti-coull"`` or
        ``"clopper-pearson"`` for a count out of a number of trials; ``"newcombe"`` for the difference and ``"koopman"``
        for the ratio of two of them. To set a number beside another's report: ``"wilson-corrected"``, ``"mid-p"``,
        ``"likelihood-ratio"``, and for differences ``"newcombe-corrected"`` and ``"agresti-caffo"``; ``"wald"`` is here
        for that alone, as it misses small and large rates.

    Raises
    ------
    DataError
        A mass outside (0, 1) or an unknown kind.

    Examples
    --------
    >>> str(Interval())
    '90% equal-tailed interval'
    >>> lower, upper = Interval(prob=0.95, kind="wilson").of_counts(81, 263)
    >>> f"{lower:.4f} {upper:.4f}"  # Newcombe (1998), Statistics in Medicine 17:857, table I
    '0.2553 0.3662'
    """

    prob: float = 0.9
    kind: Kind = "equal-tailed"

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.prob < 1:
            problems.append(Problem("prob", f"expected a mass between 0 and 1, such as 0.9, found {self.prob!r}"))
        if self.kind not in KINDS:
            problems.append(Problem("kind", f"expected one of {', '.join(KINDS)}, found {self.kind!r}"))
        if problems:
            raise DataError("the interval", problems)

    def of(self, draws: Any, *, axis: int = -1) -> tuple[Any, Any]:
        """Lower and upper bound of ``draws`` along ``axis``.

        Parameters
        ----------
        draws : array_like, shape (..., n_draws)
            Joint draws; the bounds are taken along ``axis`` for each remaining cell.
        axis : int
            The axis that holds the draws.

        Returns
        -------
        lower, upper : ndarray, shape (...)
            In the unit of the draws.
        """
        values = np.moveaxis(np.asarray(draws, dtype=float), axis, -1)
        if self.kind == "equal-tailed":
            tail = (1 - self.prob) / 2
            lower, upper = np.quantile(values, [tail, 1 - tail], axis=-1)
            return lower, upper
        if self.kind == "hdi":
            return _highest_density(values, self.prob)
        raise DataError(
            "the interval", [Problem("kind", f"{self.kind!r} is for counts, not for draws", 'use "equal-tailed" or "hdi"')]
        )

    def of_counts(self, count: Any, trials: Any) -> tuple[Any, Any]:
        """Lower and upper bound of a proportion; broadcasts over ``count`` and ``trials``.

        Parameters
        ----------
        count, trials : array_like of int
            Successes and trials, 0 <= count <= trials and trials >= 1.

        Returns
        -------
        lower, upper : ndarray
            Bounds in [0, 1]. Jeffreys follows the convention of Brown, Cai & DasGupta (2001): 0 at no success and 1
            at no failure.
        """
        from statsmodels.stats.proportion import proportion_confint

        if self.kind not in get_args(CountKind):
            raise DataError("the interval", [Problem("kind", f"{self.kind!r} is for draws, not for counts", 'use "wilson"')])
        k, n = (part.copy() for part in np.broadcast_arrays(np.asarray(count, dtype=float), np.asarray(trials, dtype=float)))
        if not np.all((k >= 0) & (k <= n) & (n >= 1)):
            raise DataError("the proportion", [Problem("count", "expected 0 <= count <= trials and trials >= 1")])
        if self.kind in _WRITTEN_OUT:
            return _WRITTEN_OUT[self.kind](k, n, self.prob)
        lower, upper = proportion_confint(k, n, alpha=1 - self.prob, method=_STATSMODELS_NAME[self.kind])
        if self.kind == "jeffreys":
            lower, upper = np.where(k == 0, 0.0, lower), np.where(k == n, 1.0, upper)
        return np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0)

    def of_two_counts(self, count_a: int, trials_a: int, count_b: int, trials_b: int) -> tuple[float, float]:
        """Bounds of the difference (``"newcombe"`` and others) or the ratio (``"koopman"``) of two proportions, a against b.

        Parameters
        ----------
        count_a, trials_a, count_b, trials_b : int
            Successes and trials of each side, 0 <= count <= trials and trials >= 1; a ratio asks for count_b >= 1.

        Returns
        -------
        lower, upper : float
            Newcombe (1998b) methods 10 and, corrected for continuity, 11, Statistics in Medicine 17:873; Agresti & Caffo
            (2000), The American Statistician 54:280; Koopman (1984), Biometrics 40:513, the inverted score test.

        Examples
        --------
        >>> lower, upper = Interval(prob=0.95, kind="newcombe").of_two_counts(56, 70, 48, 80)
        >>> f"{lower:.4f} {upper:.4f}"  # Newcombe (1998b), table II
        '0.0524 0.3339'
        """
        if self.kind not in get_args(PairKind):
            found = f"{self.kind!r} is not for two proportions"
            raise DataError("the interval", [Problem("kind", found, 'use "newcombe" (difference) or "koopman" (ratio)')])
        if not (0 <= count_a <= trials_a and 0 <= count_b <= trials_b and min(trials_a, trials_b) >= 1):
            raise DataError("two proportions", [Problem("count", "expected 0 <= count <= trials and trials >= 1")])
        if self.kind == "koopman":
            return _koopman(count_a, trials_a, count_b, trials_b, self.prob)
        if self.kind == "newcombe-corrected":
            return _square_and_add(count_a, trials_a, count_b, trials_b, self.prob)
        from statsmodels.stats.proportion import confint_proportions_2indep

        method = _STATSMODELS_PAIR[self.kind]
        lower, upper = confint_proportions_2indep(count_a, trials_a, count_b, trials_b, method=method, alpha=1 - self.prob)
        return max(float(lower), -1.0), min(float(upper), 1.0)

    def __str__(self) -> str:
        return f"{self.percent} {_WORDS.get(self.kind, self.kind)} interval"

    @property
    def percent(self) -> str:
        """The mass as text, such as ``"90%"``."""
        return f"{round(100 * self.prob, 6):g}%"


DEFAULT = Interval()


def _highest_density(values: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Shortest interval holding ``prob`` of the sorted draws (one mode assumed)."""
    ordered = np.sort(values, axis=-1)
    inside = int(np.floor(prob * ordered.shape[-1]))
    widths = ordered[..., inside:] - ordered[..., : ordered.shape[-1] - inside]
    first = np.argmin(widths, axis=-1)[..., None]
    lower, upper = np.take_along_axis(ordered, first, -1), np.take_along_axis(ordered, first + inside, -1)
    return lower[..., 0], upper[..., 0]


def _wilson_corrected(k: np.ndarray, n: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Score interval with continuity correction, Newcombe (1998a) method 4."""
    from scipy.special import ndtri

    z, p = ndtri((1 + prob) / 2), k / n
    half_lower = z * np.sqrt(np.maximum(z**2 - 2 - 1 / n + 4 * p * (n * (1 - p) + 1), 0.0))
    half_upper = z * np.sqrt(np.maximum(z**2 + 2 - 1 / n + 4 * p * (n * (1 - p) - 1), 0.0))
    lower = (2 * k + z**2 - 1 - half_lower) / (2 * (n + z**2))
    upper = (2 * k + z**2 + 1 + half_upper) / (2 * (n + z**2))
    return np.where(k == 0, 0.0, np.clip(lower, 0, 1)), np.where(k == n, 1.0, np.clip(upper, 0, 1))


def _mid_p(k: np.ndarray, n: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Rates at which half the chance of ``k`` and all of more are one tail, or all but one."""
    from scipy.stats import binom

    def tail(p: np.ndarray) -> np.ndarray:
        return np.asarray(binom.sf(k, n, p) + 0.5 * binom.pmf(k, n, p))

    zero, one, out = np.zeros_like(k), np.ones_like(k), (1 - prob) / 2
    lower, upper = _bisect(lambda p: tail(p) > out, zero, one), _bisect(lambda p: tail(p) > 1 - out, zero, one)
    return np.where(k == 0, 0.0, lower), np.where(k == n, 1.0, upper)


def _likelihood_ratio(k: np.ndarray, n: np.ndarray, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Rates whose deviance from the observed one is the quantile of chi-square."""
    from scipy.special import chdtri, xlog1py, xlogy

    p, most = k / n, chdtri(1, 1 - prob)

    def far(q: np.ndarray) -> np.ndarray:
        return np.asarray(2 * (xlogy(k, p) + xlog1py(n - k, -p) - xlogy(k, q) - xlog1py(n - k, -q)) > most)

    lower = _bisect(lambda q: ~far(q), np.zeros_like(k), p)
    upper = _bisect(far, p, np.ones_like(k))
    return np.where(k == 0, 0.0, lower), np.where(k == n, 1.0, upper)


def _bisect(beyond: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where ``beyond`` turns true between ``low`` and ``high``, for each element."""
    for _ in range(60):
        middle = (low + high) / 2
        over = beyond(middle)
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return (low + high) / 2


_WRITTEN_OUT = {"wilson-corrected": _wilson_corrected, "mid-p": _mid_p, "likelihood-ratio": _likelihood_ratio}


def _square_and_add(x: int, m: int, y: int, n: int, prob: float) -> tuple[float, float]:
    """Difference from two corrected score intervals, Newcombe (1998b) method 11."""
    counts, trials = np.array([x, y], dtype=float), np.array([m, n], dtype=float)
    (p, q), (lower, upper) = counts / trials, _wilson_corrected(counts, trials, prob)
    least = p - q - np.hypot(p - lower[0], upper[1] - q)
    most = p - q + np.hypot(upper[0] - p, q - lower[1])
    return max(float(least), -1.0), min(float(most), 1.0)


def _koopman(x: int, m: int, y: int, n: int, prob: float) -> tuple[float, float]:
    """Ratios ``(x / m) / (y / n)`` that the score test does not reject; statsmodels 0.15 errs where x = m and y = n."""
    from scipy.optimize import brentq
    from scipy.stats import chi2

    if y == 0:
        raise DataError("the ratio", [Problem("count_b", "expected at least one success in the denominator, found none")])
    critical = chi2.ppf(prob, 1)

    def excess(log_ratio: float) -> float:
        ratio = np.exp(log_ratio)
        half = (ratio * (m + y) + x + n) / 2
        q = (x + y) / (half + np.sqrt(max(half**2 - ratio * (m + n) * (x + y), 0.0)))  # of b, given the ratio
        score = [(k - t * p) ** 2 / (t * p * (1 - p)) for k, t, p in ((x, m, ratio * q), (y, n, q)) if 0 < p < 1]
        return float(sum(score) - critical)

    centre = np.log(x * n / (m * y)) if x else -50.0  # the smallest ratio told from none

    def bound(sign: int) -> float:
        far = next(edge for edge in centre + sign * 2.0 ** np.arange(-4, 10) if excess(edge) > 0)
        return float(np.exp(brentq(excess, *sorted((centre, far)), xtol=1e-12)))

    return bound(-1) if x else 0.0, bound(1)
