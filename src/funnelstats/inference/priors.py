"""What is believed before the data? A prior is a value: a family and its numbers.

The same value gives a density on arrays, draws for prior prediction, and a PyMC variable, so that quadrature, simulation
and sampling cannot mean different things by one name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from scipy import stats
from scipy.special import betaln, xlog1py, xlogy

from funnelstats.errors import DataError, Problem


@dataclass(frozen=True, slots=True)
class _Family:
    """What one family is called here, in SciPy and in PyMC."""

    parameters: tuple[str, ...]
    positive: tuple[str, ...]
    scipy: Callable[..., Any]
    pymc: str
    keywords: tuple[str, ...]


FAMILIES: dict[str, _Family] = {
    "normal": _Family(("mean", "sd"), ("sd",), stats.norm, "Normal", ("mu", "sigma")),
    "half_normal": _Family(("sd",), ("sd",), lambda sd: stats.halfnorm(scale=sd), "HalfNormal", ("sigma",)),
    "exponential": _Family(("mean",), ("mean",), lambda mean: stats.expon(scale=mean), "Exponential", ("scale",)),
    "beta": _Family(("a", "b"), ("a", "b"), stats.beta, "Beta", ("alpha", "beta")),
    "gamma": _Family(
        ("shape", "rate"), ("shape", "rate"), lambda shape, rate: stats.gamma(shape, scale=1 / rate), "Gamma", ("alpha", "beta")
    ),
    "lognormal": _Family(
        ("mean_log", "sd_log"), ("sd_log",), lambda m, sd: stats.lognorm(sd, scale=np.exp(m)), "LogNormal", ("mu", "sigma")
    ),
    "pareto": _Family(
        ("least", "index"), ("least", "index"), lambda least, i: stats.pareto(i, scale=least), "Pareto", ("m", "alpha")
    ),
    "weibull": _Family(
        ("shape", "scale"), ("shape", "scale"), lambda k, scale: stats.weibull_min(k, scale=scale), "Weibull", ("alpha", "beta")
    ),
}
#: ``x ** power`` on the positive line. Improper: no draws, no simulation-based calibration.
POWER = "power"


def _log_beta(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.where((x >= 0) & (x <= 1), xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b), -np.inf)


def _log_pareto(x: np.ndarray, least: float, index: float) -> np.ndarray:
    return np.where(x >= least, np.log(index) + index * np.log(least) - (index + 1) * np.log(x), -np.inf)


#: Written out where a grid asks hundreds of times: SciPy's own cost as much as the likelihood of hundreds of groups.
_LOG_DENSITY: dict[str, Callable[..., np.ndarray]] = {"beta": _log_beta, "pareto": _log_pareto}


@lru_cache(maxsize=256)
def _frozen(family: str, values: tuple[float, ...]) -> Any:
    """SciPy builds a distribution in two milliseconds, and a grid asks for it hundreds of times."""
    return FAMILIES[family].scipy(*values)


@dataclass(frozen=True, slots=True)
class Prior:
    """A family and its numbers.

    Parameters
    ----------
    family : str
        ``normal`` (mean, sd), ``half_normal`` (sd), ``exponential`` (mean), ``beta`` (a, b), ``gamma`` (shape, rate),
        ``lognormal`` (mean_log, sd_log), ``pareto`` (least, index), ``weibull`` (shape, scale), ``power`` (power).
    values : tuple of float
        In the order above.

    Raises
    ------
    DataError
        An unknown family, a wrong number of values, a scale that is not positive.

    Examples
    --------
    >>> prior = Prior.of("beta", 1, 1)
    >>> prior, prior.says()
    (beta(a=1, b=1), '90% within 0.05 to 0.95')
    """

    family: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        names = self.parameters
        problems = []
        if len(self.values) != len(names):
            problems.append(Problem("values", f"expected {', '.join(names)}, found {self.values}"))
        positive = FAMILIES[self.family].positive if self.family in FAMILIES else ()
        for name, value in zip(names, self.values, strict=False):
            if not np.isfinite(value) or (name in positive and value <= 0):
                kind = "positive" if name in positive else "finite"
                problems.append(Problem(name, f"expected a {kind} number, found {value!r}"))
        if problems:
            raise DataError(f"the prior {self.family}", problems)

    @classmethod
    def of(cls, family: str, *values: float) -> Self:
        """Build from a family name and its numbers."""
        return cls(family, tuple(float(value) for value in values))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the numbers."""
        if self.family == POWER:
            return ("power",)
        if self.family not in FAMILIES:
            known = ", ".join([*FAMILIES, POWER])
            raise DataError("a prior", [Problem("family", f"expected one of {known}, found {self.family!r}")])
        return FAMILIES[self.family].parameters

    @property
    def proper(self) -> bool:
        """Whether it is a probability distribution; an improper prior has a posterior at best, and no draws."""
        return self.family != POWER

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value with any density."""
        return self._frozen.support() if self.proper else (0.0, np.inf)

    @property
    def _frozen(self) -> Any:
        return _frozen(self.family, self.values)

    def log_density(self, x: Any) -> Any:
        """Log density at ``x``, broadcasting; -inf outside the support; up to a constant for ``power``."""
        if self.family in _LOG_DENSITY:
            with np.errstate(divide="ignore", invalid="ignore"):
                return _LOG_DENSITY[self.family](np.asarray(x, dtype=float), *self.values)
        if self.proper:
            return self._frozen.logpdf(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(np.asarray(x) > 0, self.values[0] * np.log(x), -np.inf)

    def draw(self, rng: np.random.Generator, size: int | tuple[int, ...] = ()) -> Any:
        """Independent draws.

        Raises
        ------
        DataError
            The prior is improper.
        """
        if not self.proper:
            fix = "give a proper prior, such as Prior.of('pareto', 1, 0.5)"
            raise DataError(f"draws from {self}", [Problem("prior", "it is improper: it has no draws", fix)])
        return self._frozen.rvs(size=size, random_state=rng)

    def variable(self, name: str, **options: Any) -> Any:
        """Make the PyMC variable ``name`` in the model of the context; ``options`` are PyMC's, such as ``dims``."""
        import pymc as pm

        if self.proper:
            family = FAMILIES[self.family]
            return getattr(pm, family.pymc)(name, **dict(zip(family.keywords, self.values, strict=True)), **options)
        flat = pm.HalfFlat(name, **options)
        pm.Potential(f"{name}_prior", self.values[0] * pm.math.log(flat))
        return flat

    def says(self, *, prob: float = 0.9) -> str:
        """Say in plain numbers where the mass lies."""
        if not self.proper:
            return "improper: says nothing by itself"
        tail = (1 - prob) / 2
        lower, upper = self._frozen.ppf([tail, 1 - tail])
        return f"{100 * prob:g}% within {lower:.3g} to {upper:.3g}"

    def __str__(self) -> str:
        return f"{self.family}({', '.join(f'{n}={v:g}' for n, v in zip(self.parameters, self.values, strict=True))})"

    __repr__ = __str__
