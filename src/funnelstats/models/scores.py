"""How likely is this client to say yes, this visit to end in a purchase, this loan not to be repaid? A score by logistic regression.

``logit p = intercept + sum over columns``, numbers in standard deviations from their mean, levels against the most frequent one; maximum
likelihood without regularisation, by statsmodels (GLM, binomial) on cases counted by situation.  Draws are those of the large-sample normal.
A column known only after the outcome is no feature; one that explains nearly everything by itself is warned about, because that is how a
leak looks (Kaufman, Rosset, Perlich & Stitelman 2012, ACM TKDD 6(4):15).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit, ndtri

from funnelstats.data.cases import Cases
from funnelstats.errors import DataError, FitError, LeakageWarning, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.diagnose import Check, Diagnosis
from funnelstats.inference.tree import tree_of
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.design import LEAST, Design
from funnelstats.models.model import Fit
from funnelstats.models.record import Record, check_request
from funnelstats.models.situations import Situations

Method = Literal["mle"]
#: A column with more than this share of the evidence of all (its Wald statistic) is looked at twice.
DOMINANT = 0.5
#: Among fewer columns than this, one that holds half of the evidence is nothing strange.
FEW = 5
#: And its Wald statistic must be this large for each outcome of the rarer kind: a weak column may well be the only one that tells anything.
STRONG = 0.3
#: No standardised coefficient has a larger error than this unless its likelihood goes on rising for ever.
_ERROR_MAX = 25.0
#: Numbers in one table of draws: half a gigabyte.
_MOST = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticScore:
    """Logistic regression of the outcome on what is known before it.

    Parameters
    ----------
    features : sequence of str
        Columns; those of the cases' roles where empty.
    exclude : sequence of str
        Columns known only after the outcome; they are left out wherever else they are named. The roles' own are left out anyhow.
    banded : sequence of str
        Columns of numbers to cut into fifths, where their effect is not expected to be a straight line on the logit.
    least : int
        Cases that a level needs for a coefficient of its own; rarer ones are read as the most frequent level.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"visits": rng.poisson(3, 2000)})
    >>> frame["bought"] = rng.random(2000) < expit(frame["visits"] - 4)
    >>> fit = LogisticScore().fit(Cases.of(frame, outcome="bought", features=["visits"]), seed=1)
    >>> fit.scores(pd.DataFrame({"visits": [0, 6]}))["probability"].round(2).tolist()
    [0.02, 0.89]
    """

    features: Sequence[str] = ()
    exclude: Sequence[str] = ()
    banded: Sequence[str] = ()
    least: int = LEAST

    def __post_init__(self) -> None:
        for name in ("features", "exclude", "banded"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    def fit(self, data: Cases, *, seed: int, method: Method = "mle", draws: int = 1000, chains: int = 4) -> "LogisticFit":
        """Condition on cases.

        Parameters
        ----------
        data : Cases or Situations
            To learn from.
        seed, method, draws, chains
            See :class:`~funnelstats.models.model.Model`; draws are independent.

        Raises
        ------
        FitError
            Levels or thresholds that tell the outcome without exception: the likelihood has no maximum.
        """
        check_request("LogisticScore.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        table = counted(self, data)
        table.refuse_if_separated("LogisticScore")
        mean, covariance, aliased = _likeliest(table)
        points = np.random.default_rng([seed, 1]).multivariate_normal(mean, covariance, size=draws * chains, method="eigh")
        best = xr.Dataset({"mean": ("term", mean), "covariance": (("term", "other"), covariance)})
        tree = tree_of({"coefficient": points.reshape(chains, draws, -1)}, dims={"coefficient": ["term"]},
                       coords={"term": table.design.names}, maximum=best)  # fmt: skip
        events = int(min(table.wins.sum(), (table.trials - table.wins).sum()))
        warn_of_leaks(evidence(table.design, mean, covariance), events=events)
        rarest = events / len(mean)
        check = Check(name="events per coefficient", value=rarest, bound="at least 10", verdict="PASS" if rarest >= 10 else "REVIEW",
                      where="with so few, the coefficients are too far from nought")  # fmt: skip
        follow = Check(name="coefficients that follow from others", value=len(aliased), bound="0", where=", ".join(aliased),
                       verdict="REVIEW" if aliased else "PASS")  # fmt: skip
        record = Record.of(model=self, data=table, method=method, seed=seed, draws=draws, chains=chains, n=int(table.trials.sum()),
                           counted=f"cases in {len(table.trials):,} situations", source=table.source)  # fmt: skip
        return LogisticFit(
            model=self, data=table, tree=tree, record=record, diagnosis=Diagnosis(checks=(check, follow), method=method)
        )


class ScoreFit[M](Fit[M, Situations]):
    """What the fits of scores have in common: a probability for each case, as a table or as joint draws."""

    __slots__ = ()

    def scores(self, new: Any = None, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """Probability of each case with its bounds; no draws are kept, so there may be millions of cases."""
        raise NotImplementedError

    def _rows(self, new: Any) -> pd.DataFrame:
        if new is None:
            return self.data.frame
        return new.frame if isinstance(new, Cases) else new if isinstance(new, pd.DataFrame) else pd.DataFrame(new)

    def simulate(self, *, seed: int) -> Situations:
        """Same situations and cases, new outcomes: one draw of the parameters, then one of the outcomes."""
        rng = self.rng("simulate", seed)
        at = rng.integers([self.record.chains, self.record.draws])
        chance = self.predict().draws.values[at[0], at[1]]
        return replace(self.data, wins=rng.binomial(self.data.trials, chance), source=f"simulated from {self.record.id}")

    def groups(self) -> dict[str, xr.Dataset]:
        """Observed wins and trials, and the log likelihood of each situation."""
        from scipy.stats import binom

        chance = self.predict().draws
        value = binom.logpmf(self.data.wins, self.data.trials, np.clip(chance.values, 1e-300, 1 - 1e-16))
        observed = xr.Dataset({"wins": ("case", self.data.wins), "trials": ("case", self.data.trials)})
        return {"observed_data": observed, "log_likelihood": chance.copy(data=value).to_dataset(name="wins")}

    def mean_probability(self, new: Any = None, *, by: str | None = None, description: str = "") -> Estimate:
        """Mean probability of the cases, or of those of each level of a column, draw by draw.

        Parameters
        ----------
        new : Cases or DataFrame
            The cases fitted where missing.
        by : str, optional
            A column of them.
        """
        frame = self._rows(new)
        weight = self.data.trials if new is None else np.ones(len(frame), dtype=int)
        keys = frame[by].astype(str).to_numpy() if by else np.full(len(frame), "all")
        names, place = np.unique(keys, return_inverse=True)
        share = np.eye(len(names))[place] * weight[:, None]
        parts = [self.predict(frame.iloc[part]).draws.values @ share[part] for part in _chunks(len(frame), self._size)]
        values = np.sum(parts, axis=0) / share.sum(axis=0)
        what = description or f"mean probability of {self.data.outcome}"
        dims = ("chain", "draw", by) if by else ("chain", "draw")
        array = xr.DataArray(values if by else values[..., 0], dims=dims, coords={by: names} if by else None)
        return Estimate(draws=array, description=what)

    @property
    def _size(self) -> int:
        return self.record.chains * self.record.draws


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class LogisticFit(ScoreFit[LogisticScore]):
    """Fit of :class:`LogisticScore`; coefficients are per standard deviation of a number, or against the most frequent level."""

    @property
    def mean(self) -> np.ndarray:
        """The maximum of the likelihood."""
        return np.asarray(self.tree["maximum"]["mean"].values)

    @property
    def covariance(self) -> np.ndarray:
        """The inverse information there."""
        return np.asarray(self.tree["maximum"]["covariance"].values)

    def scores(self, new: Any = None, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """Probability of each case with its bounds, straight from the normal of the logit.

        Returns
        -------
        DataFrame
            Columns ``probability``, ``lower``, ``upper``, ``interval``; the index of the cases given.
        """
        frame = self._rows(new)
        rows = self.data.design.rows(frame)
        logit = rows @ self.mean
        spread = ndtri((1 + interval.prob) / 2) * np.sqrt(np.einsum("ij,jk,ik->i", rows, self.covariance, rows, optimize=True))
        return pd.DataFrame({"probability": expit(logit), "lower": expit(logit - spread), "upper": expit(logit + spread),
                             "interval": str(Interval(prob=interval.prob))}, index=frame.index)  # fmt: skip

    def predict(self, new: Any = None) -> Estimate:
        """Probability of each case, joint draws of dims (chain, draw, case); of the situations fitted where ``new`` is missing.

        Raises
        ------
        DataError
            More numbers than fit into memory; :meth:`scores` needs none of them.
        """
        frame = self._rows(new)
        if len(frame) * self._size > _MOST:
            found = f"{len(frame):,} cases x {self._size:,} draws are too many numbers to hold"
            raise DataError("the prediction", [Problem("cases", found, "use .scores(...) or .mean_probability(...)")])
        values = expit(self.tree["posterior"]["coefficient"].values @ self.data.design.rows(frame).T)
        labels = {"case": frame.index.to_numpy()}
        draws = xr.DataArray(values, dims=("chain", "draw", "case"), coords=labels)
        return Estimate(draws=draws, description=f"probability of {self.data.outcome}")

    def odds_ratios(self) -> pd.DataFrame:
        """Odds ratio of each coefficient with its interval: per standard deviation, or against the most frequent level."""
        draws = np.exp(np.asarray(self.tree["posterior"]["coefficient"].values).reshape(-1, len(self.mean)))
        lower, upper = DEFAULT.of(draws, axis=0)
        against = {name: "per standard deviation" if not term.levels else f"against {term.levels[0]}"
                   for term in self.data.design.terms for name in term.names}  # fmt: skip
        table = pd.DataFrame({"odds_ratio": np.exp(self.mean), "lower": lower, "upper": upper, "interval": str(DEFAULT)},
                             index=pd.Index(self.data.design.names, name="term"))  # fmt: skip
        return table.iloc[1:].assign(compared=[against[name] for name in table.index[1:]])

    def evidence(self) -> pd.Series:
        """Share of each column in the evidence of all (Wald statistics), largest first."""
        wald = evidence(self.data.design, self.mean, self.covariance)
        return wald / wald.sum()


def counted(model: Any, data: Any) -> Situations:
    """Count cases for a score: features chosen, those known only after the outcome left out."""
    if isinstance(data, Situations):
        return data
    if not isinstance(data, Cases):
        raise DataError("the data", [Problem("data", f"expected Cases, found {type(data).__name__}", "use read_cases(...)")])
    after = {*data.roles.known_after, *model.exclude}
    named = [name for name in model.features if name in data.roles.known_after and name not in model.exclude]
    if named:
        fix = "name it in exclude=[...] or take it out of features; a forecast cannot use it"
        raise DataError(data.source, [Problem(name, "is known only after the outcome", fix) for name in named])
    features = [name for name in model.features or data.roles.features if name not in after]
    banded = [name for name in model.banded if name in features]
    return Situations.of(data, Design.of(data.frame, features, banded=banded, least=model.least))


def evidence(design: Design, mean: np.ndarray, covariance: np.ndarray) -> pd.Series:
    """Wald statistic ``b' V^-1 b`` of each column, largest first."""
    wald = {name: float(mean[at] @ np.linalg.pinv(covariance[np.ix_(at, at)]) @ mean[at]) for name, at in design.places().items()}
    return pd.Series(wald).sort_values(ascending=False)


def warn_of_leaks(wald: pd.Series, *, events: int) -> None:
    """Warn of a column that holds more than half of the evidence, and much of it for so many outcomes, while there are others."""
    column, strongest = str(wald.index[0]), float(wald.iloc[0])
    if len(wald) >= FEW and strongest > max(DOMINANT * wald.sum(), STRONG * events):
        text = (f"{column!r} alone holds {strongest / wald.sum():.0%} of the evidence of {len(wald)} columns: is it known only after the "
                f"outcome? If so, exclude it; if not, say so and ignore this warning")  # fmt: skip
        warnings.warn(text, LeakageWarning, stacklevel=3)


def _likeliest(table: Situations) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Maximum of the likelihood, the inverse information, and the coefficients that follow from others and are held at nought."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    design, names = table.design.rows(table.frame), np.asarray(table.design.names, dtype=object)
    free = np.abs(np.diag(np.linalg.qr(design, mode="r"))) > 1e-8 * np.linalg.norm(design, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # separation and non-convergence are judged below, by name
        model = GLM(np.column_stack([table.wins, table.trials - table.wins]), design[:, free], family=Binomial())
        found = model.fit(maxiter=100)
    errors = np.sqrt(np.diag(found.cov_params()))
    loose = [str(name) for name, error in zip(names[free], errors, strict=True) if not error < _ERROR_MAX]
    if loose or not found.converged:
        what = "together the columns tell the outcome without exception, so its coefficient has no finite value"
        fix = "exclude what is known only after the outcome, or use HierarchicalScore"
        raise FitError("LogisticScore", [Problem(name, what, fix) for name in loose[:5] or ["features"]])
    mean, covariance = np.zeros(len(names)), np.zeros((len(names), len(names)))
    mean[free], covariance[np.ix_(free, free)] = found.params, found.cov_params()
    return mean, covariance, tuple(map(str, names[~free]))


def _chunks(rows: int, size: int) -> list[slice]:
    step = max(1, _MOST // (4 * max(size, 1)))
    return [slice(start, start + step) for start in range(0, rows, step)]
