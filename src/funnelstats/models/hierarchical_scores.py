"""What is the score of a case whose kind has hardly been met? The same columns as a logistic score, but every level pooled partially.

``logit p = typical + sum over columns of effect[level]``; the effects of one column are normal around nought with an sd that is learned, so a
column that says nothing is shrunk to nothing, a rare level is pulled to the others, and an outcome that a level tells without exception has a
finite score all the same.  Numbers are cut into fifths.  By default the likelihood is taken as normal about its best point and the spreads are integrated
over (:mod:`~funnelstats.inference.pooled_logit`); ``mcmc`` samples the same model without that step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit

from funnelstats.data.cases import Cases
from funnelstats.estimate import Estimate
from funnelstats.inference.diagnose import Diagnosis, diagnose_chains
from funnelstats.inference.multilevel import Cells, Hyperpriors, draw_crossed, sample_crossed
from funnelstats.inference.pooled_logit import pooled_effects
from funnelstats.inference.priors import Prior
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.design import Design, is_number
from funnelstats.models.record import Record, check_request
from funnelstats.models.scores import ScoreFit, counted
from funnelstats.models.situations import Situations

Method = Literal["laplace", "mcmc", "prior"]
_STEP = "outcome"
#: Draws used for the score of a case; its error from them is a hundredth of its interval.
_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchicalScore:
    """Partially pooled levels of every column.

    Parameters
    ----------
    features, exclude
        As for :class:`~funnelstats.models.scores.LogisticScore`; numbers are cut into fifths.
    least : int
        Cases that a level needs to be one of its own; pooling makes few enough.
    average, spread : Prior
        Normal, of the average logit; half-normal, of the sd of effects.

    Examples
    --------
    >>> frame = pd.DataFrame({"job": ["a"] * 60 + ["b"] * 60 + ["c"] * 60, "bought": [0, 1] * 30 + [0, 0, 1] * 20 + [0] * 60})
    >>> fit = HierarchicalScore().fit(Cases.of(frame, outcome="bought", features=["job"]), seed=1, draws=200)
    >>> bool(0 < fit.scores(pd.DataFrame({"job": ["c"]}))["probability"].item() < 0.1)
    True
    """

    features: Sequence[str] = ()
    exclude: Sequence[str] = ()
    least: int = 5
    average: Prior = field(default_factory=lambda: Prior.of("normal", 0, 2))
    spread: Prior = field(default_factory=lambda: Prior.of("half_normal", 1))
    banded: Sequence[str] = field(default=(), init=False)

    def __post_init__(self) -> None:
        for name in ("features", "exclude"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    def fit(
        self, data: Any, *, seed: int, method: Method = "laplace", draws: int = 500, chains: int = 4, tune: int = 500, cores: int = 1,
        target_accept: float = 0.9, progress: bool = False,
    ) -> "HierarchicalScoreFit":  # fmt: skip
        """Condition on cases.

        Parameters
        ----------
        data : Cases or Situations
            To learn from.
        seed, draws, chains, method
            See :class:`~funnelstats.models.model.Model`.
        tune, cores, target_accept, progress
            Of :func:`~funnelstats.inference.mcmc.sample`; for ``mcmc`` only.
        """
        check_request("HierarchicalScore.fit", method=method, methods=Method, seed=seed, draws=draws, chains=chains)
        table = _levels(self, data)
        priors = Hyperpriors(average=self.average, spread=self.spread, correlation=2.0)
        settings: dict[str, Any] = {}
        if method == "prior":
            tree = draw_crossed(_cells(table), priors, rng=np.random.default_rng([seed, 1]), draws=draws, chains=chains)
            diagnosis = Diagnosis(checks=(), method=method)
        elif method == "laplace":
            tree, diagnosis = pooled_effects(_cells(table), priors, seed=seed, draws=draws, chains=chains)
        else:
            settings = {"tune": tune, "target_accept": target_accept}
            tree = sample_crossed(_cells(table), priors, seed=seed, draws=draws, chains=chains, cores=cores, progress=progress,
                                  sampler="nutpie", **settings)  # fmt: skip
            diagnosis = diagnose_chains(tree, sampler="nutpie")
        record = Record.of(model=self, data=table, method=method, seed=seed, draws=draws, chains=chains, n=int(table.trials.sum()),
                           settings=tuple(settings.items()), counted=f"cases in {len(table.trials):,} situations", source=table.source)  # fmt: skip
        return HierarchicalScoreFit(model=self, data=table, tree=tree, record=record, diagnosis=diagnosis)


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class HierarchicalScoreFit(ScoreFit[HierarchicalScore]):
    """Fit of :class:`HierarchicalScore`; parameters are on the logit scale."""

    def predict(self, new: Any = None) -> Estimate:
        """Probability of each case, joint draws of dims (chain, draw, case); of the situations fitted where ``new`` is missing."""
        frame = self._rows(new)
        draws = xr.DataArray(expit(self._logit(self.data.design.codes(frame), slice(None))), dims=("chain", "draw", "case"),
                             coords={"case": frame.index.to_numpy()})  # fmt: skip
        return Estimate(draws=draws, description=f"probability of {self.data.outcome}")

    def scores(self, new: Any = None, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """Mean probability of each case with the bounds of its draws; cases alike are worked out once.

        Returns
        -------
        DataFrame
            Columns ``probability``, ``lower``, ``upper``, ``interval``; the index of the cases given.
        """
        frame = self._rows(new)
        codes, place = np.unique(self.data.design.codes(frame), axis=0, return_inverse=True)
        thin = max(1, self._size // _KEPT)
        parts = []
        for start in range(0, len(codes), 2000):
            chance = expit(self._logit(codes[start : start + 2000], slice(None, None, thin)))
            flat = chance.reshape(-1, chance.shape[-1])
            parts.append(np.stack([flat.mean(axis=0), *interval.of(flat, axis=0)], axis=1))
        table = np.concatenate(parts)[place.ravel()]
        return pd.DataFrame(table, columns=["probability", "lower", "upper"], index=frame.index).assign(interval=str(interval))

    def spreads(self) -> Estimate:
        """Standard deviation of the effects of each column on the logit: near nought where it tells nothing, dims (..., column)."""
        names = list(self.data.design.columns)
        values = np.stack([self._draws(f"sd_{name}")[..., 0] for name in names], axis=-1)
        draws = xr.DataArray(values, dims=("chain", "draw", "column"), coords={"column": names})
        return Estimate(draws=draws, description="sd of the effects of each column on the logit")

    def _logit(self, codes: np.ndarray, kept: slice) -> np.ndarray:
        """Draws of the logit of rows of levels, one matrix product; shape (chain, draw, row)."""
        terms = self.data.design.terms
        rows = np.concatenate([np.eye(len(term.levels))[codes[:, at]] for at, term in enumerate(terms)], axis=1)
        effects = np.concatenate([self._draws(f"effect_{term.column}")[:, kept, :, 0] for term in terms], axis=-1)
        return self._draws("typical")[:, kept] + effects @ rows.T

    def _draws(self, name: str) -> np.ndarray:
        return np.asarray(self.tree["posterior"][name].values)


def _levels(model: HierarchicalScore, data: Any) -> Situations:
    """Count cases with every number cut into bands."""
    if not isinstance(data, Cases):
        return counted(model, data)
    after = {*data.roles.known_after, *model.exclude}
    named = [name for name in model.features or data.roles.features if name not in model.exclude]
    counted_names = [name for name in named if name not in after]
    if any(name in data.roles.known_after for name in named):
        counted(model, data)  # says what is wrong with it
    banded = [name for name in counted_names if name in data.frame and is_number(data.frame[name])]
    return Situations.of(data, Design.of(data.frame, counted_names, banded=banded, least=model.least))


def _cells(table: Situations) -> Cells:
    codes = table.design.codes(table.frame)
    return Cells(
        wins=table.wins, trials=table.trials, stage=np.zeros(len(table.trials), dtype=np.int64), stages=(_STEP,),
        level={term.column: codes[:, at] for at, term in enumerate(table.design.terms)},
        labels={term.column: term.levels for term in table.design.terms},
    )  # fmt: skip
