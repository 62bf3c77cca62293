"""Do customers of different channels, regions or cohorts buy differently? Partial pooling of a customer model over segments.

Each segment has parameters of its own that are normal about those of all segments, on the scale of log (or logit).  What a segment's
parameters are expected to be is learned from the *other* segments, each summed up by its maximum and errors, and is then the prior
under which the segment's own customers are seen: ``p(theta_s | all) ~ p(data_s | theta_s) p(theta_s | data of the others)``.  Nothing is
used twice, and every result is an ordinary fit.  Parameters are pooled one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import root
from scipy.special import digamma, logit, polygamma

from funnelstats.data.customers import Customers
from funnelstats.errors import DataError, FitError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.parametric import Parameter
from funnelstats.inference.priors import Prior
from funnelstats.models.buying import FEW_REPEATERS
from funnelstats.models.purchases import SPAN, BgNbd, ParetoNbd
from funnelstats.models.spend import GammaGamma

#: Prior of how far segments lie apart, on the scale of log or logit: half normal with this standard deviation.
SPREAD = 0.5
#: Parameters measured in time, and in money.
_TIMES, _MONEY = ("alpha", "beta"), ("v",)


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class SegmentFits:
    """One model in several segments.

    Attributes
    ----------
    fits : mapping of str to fit
        Each segment's own, given all segments; a fit like any other.
    alone : mapping of str to fit
        Each segment's own, from its customers alone; segments with too few repeat customers have none.
    together : fit
        All customers as of one kind.
    expected : DataFrame
        Columns ``segment``, ``parameter``, ``scale`` (log or logit), ``mean``, ``sd``: what the other segments say of a segment.
    """

    fits: Mapping[str, Any]
    alone: Mapping[str, Any]
    together: Any
    expected: pd.DataFrame

    def table(self, *, horizon: float | None = None) -> pd.DataFrame:
        """One row per segment: no pooling, partial pooling with its interval, complete pooling.

        Parameters
        ----------
        horizon : float, optional
            For purchases: repeat purchases expected of a newcomer within it, in the data's unit of time. Not for spending, where the
            mean value of a purchase is shown.
        """
        complete = _headline(self.together, horizon)
        rows = []
        for name, fit in self.fits.items():
            own, found = self.alone.get(name), _headline(fit, horizon)
            bare = float(_headline(own, horizon).point) if own is not None else np.nan
            rows.append({"segment": name, "customers": fit.data.n, "repeaters": fit.data.repeaters, "no_pooling": bare,
                         "partial_pooling": float(found.point), "lower": float(found.lower), "upper": float(found.upper),
                         "complete_pooling": float(complete.point)})  # fmt: skip
        return pd.DataFrame(rows).assign(quantity=complete.description, unit=complete.unit, interval=str(complete.interval))

    def __repr__(self) -> str:
        each = ", ".join(f"{name} {fit.data.n:,} ({fit.diagnose().verdict})" for name, fit in self.fits.items())
        return f"<SegmentFits of {type(self.together.model).__name__}: {each}; .table() beside no and complete pooling>"


def pool_segments(
    model: BgNbd | ParetoNbd | GammaGamma, data: Customers, *, by: Sequence[Any], seed: int, spread: float = SPREAD,
    draws: int = 1000, chains: int = 4,
) -> SegmentFits:  # fmt: skip
    """Fit a model of customers in every segment, each drawn towards the others as far as its own data are few.

    Parameters
    ----------
    model : BgNbd, MbgNbd, ParetoNbd or GammaGamma
    data : Customers
    by : sequence, one label per row of ``data``
        Channel, region, cohort of the first purchase, or any other label known at the first purchase.
    seed, draws, chains
        See :class:`~funnelstats.models.model.Model`.
    spread : float
        Scale of the prior of the distance between segments; 0.5 has most segments within a factor of two of each other.

    Raises
    ------
    DataError
        Labels that do not fit the rows, fewer than two segments, a spread that is not positive.

    Examples
    --------
    >>> customers = Customers.of([0, 1, 4, 2] * 2, [0, 9, 30, 12] * 2, 39.0, unit="week", weight=[60, 20, 10, 10, 30, 20, 15, 15])
    >>> found = pool_segments(BgNbd(), customers, by=["web"] * 4 + ["fair"] * 4, seed=1)
    >>> table = found.table(horizon=52).set_index("segment")
    >>> bool(table.loc["web", "partial_pooling"] < table.loc["fair", "partial_pooling"])
    True
    """
    labels = _labels(data, by, spread)
    parts = {name: data.select(np.flatnonzero(labels == name)) for name in dict.fromkeys(labels)}
    request = {"seed": seed, "draws": draws, "chains": chains}
    spec: Any = model
    alone, known = {}, {}
    for name, part in parts.items():
        try:
            own = model.fit(part, method="mle", **request)
        except FitError:
            continue  # nobody came back: the segment is told by the others alone
        if part.repeaters >= FEW_REPEATERS and own.diagnose().verdict == "PASS":
            alone[name], known[name] = own, _free(own, model.parameters())
    rows, fits = [], {}
    for name, part in parts.items():
        others = [moments for other, moments in known.items() if other != name]
        priors = {}
        for place, one in enumerate(model.parameters() if others else ()):
            mean, sd = _expected(np.array([each[place] for each in others]), spread)
            rows.append({"segment": name, "parameter": one.name, "scale": one.scale, "mean": mean, "sd": sd})
            priors[one.name] = _prior(one, mean - np.log(_unit(one.name, part)), sd)
        fits[name] = replace(spec, **priors).fit(part, method="laplace", **request)
    together = model.fit(data, method="laplace", **request)
    columns = ["segment", "parameter", "scale", "mean", "sd"]
    return SegmentFits(fits=fits, alone=alone, together=together, expected=pd.DataFrame(rows, columns=columns))


def _labels(data: Customers, by: Sequence[Any], spread: float) -> np.ndarray:
    labels = np.asarray([str(one) for one in by], dtype=object)
    problems = []
    if len(labels) != len(data.frequency):
        problems.append(Problem("by", f"expected a label for each of {len(data.frequency):,} rows, found {len(labels):,}"))
    if len(set(labels)) < 2:
        problems.append(Problem("by", f"expected at least two segments, found {len(set(labels))}", "fit the model itself"))
    if not (np.isfinite(spread) and spread > 0):
        problems.append(Problem("spread", f"expected a positive number, found {spread!r}"))
    if problems:
        raise DataError("the segments", problems)
    return labels


def _free(fit: Any, parameters: Sequence[Parameter]) -> np.ndarray:
    """Mean and variance of each parameter on its free scale, shape (n, 2), in the data's units of time and money."""
    values = {str(name): part.values.ravel() for name, part in fit.parameters().data_vars.items()}
    if "a" in values:
        values |= {"dropout": values["a"] / (values["a"] + values["b"]), "concentration": values["a"] + values["b"]}
    if "q" in values:
        values["q_above_one"] = values["q"] - 1
    free = [np.log(values[one.name]) if one.scale == "log" else logit(values[one.name]) for one in parameters]
    return np.array([(part.mean(), part.var(ddof=1)) for part in free])


def _expected(moments: np.ndarray, spread: float) -> tuple[float, float]:
    """Mean and sd of one more segment, given others' estimates with their variances: normal about normal, the distance on a grid."""
    y, v = moments.T
    tau = np.linspace(0, 4 * spread, 401)[1:, None]
    weight = 1 / (v + tau**2)
    total = weight.sum(axis=1)
    centre = (weight @ y) / total
    log_density = 0.5 * (np.log(weight).sum(axis=1) - np.log(total) - (weight * (y - centre[:, None]) ** 2).sum(axis=1))
    log_density = log_density - 0.5 * (tau[:, 0] / spread) ** 2
    share = np.exp(log_density - log_density.max())
    share /= share.sum()
    mean = float(share @ centre)
    return mean, float(np.sqrt(share @ (tau[:, 0] ** 2 + 1 / total + (centre - mean) ** 2)))


def _prior(one: Parameter, mean: float, sd: float) -> Prior:
    """Log-normal, or the beta whose logit has this mean and variance."""
    if one.scale == "log":
        return Prior.of("lognormal", mean, sd)

    def off(logs: np.ndarray) -> np.ndarray:
        a, b = np.exp(logs)
        return np.array([digamma(a) - digamma(b) - mean, np.log((polygamma(1, a) + polygamma(1, b)) / sd**2)])

    size = np.log(4 / sd**2 + 1)
    found = root(off, [size + min(mean, 0.0) / 2, size - max(mean, 0.0) / 2])
    return Prior.of("beta", *np.exp(found.x))


def _unit(name: str, part: Customers) -> float:
    """Scale in which a model learns this parameter from these customers."""
    if name in _TIMES:
        return float(np.median(part.T)) / SPAN or 1.0
    if name in _MONEY:
        used = (part.frequency > 0) & (np.nan_to_num(part.monetary_value) > 0)
        return float(np.average(part.monetary_value[used], weights=part.weight[used])) if used.any() else 1.0
    return 1.0


def _headline(fit: Any, horizon: float | None) -> Estimate:
    if hasattr(fit, "population_mean"):
        return fit.population_mean()
    if horizon is None:
        raise DataError("the table", [Problem("horizon", "expected a length of time, found nothing", "table(horizon=52)")])
    return fit.expected_purchases_new(horizon=horizon)
