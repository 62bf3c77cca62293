"""What do crossed effects say of a consultant, of the team, and of somebody new? Rates on one common case mix, draw by draw.

Rates of a level are standardised (g-computation, Robins 1986, Mathematical Modelling 7:1393-1512): every level is given all entrants
of the first stage, with their mix of the other groups, and what the model expects of them is averaged. Step rates and the from-start
rate of a level then agree: their product is the from-start rate.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit, gammaln, ndtri
from scipy.stats.qmc import Sobol

from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, Estimate
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.cells import CellTable
from funnelstats.models.model import Fit
from funnelstats.models.repeated import repeat_counts, surprise

#: Quasi-random points, each with its mirror image, that stand for a population; they leave no error in the third digit.
POINTS = 64


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class HierarchicalFit(Fit[Any, StageCounts]):
    """Fit of :class:`~funnelstats.models.hierarchical.HierarchicalConversion`; parameters are on the logit scale."""

    # -- rates -----------------------------------------------------------------------------------------------------
    def predict(self, new: Any = None, *, new_group: bool = False) -> Estimate:
        """Rate of every step in the cells observed, or in new ones.

        Parameters
        ----------
        new : DataFrame, mapping or list of mappings, optional
            A column for each group of the model.
        new_group : bool
            Draw levels never seen from the population of levels, instead of raising an error. The same unseen label has the
            same effect wherever it stands.

        Returns
        -------
        Estimate, dims (chain, draw, cell, stage)
        """
        table = self.cells()
        level, labels = (table.level, table.labelled) if new is None else table.locate(new, unseen=new_group)
        logit = self._typical()[..., None, :]
        for name, row, called in zip(table.groups, level, labels, strict=True):
            effect = self._effect(name)[:, :, row]
            drawn = {called[at]: self._new_effect(name, f"{name} {called[at]}") for at in np.flatnonzero(row < 0)}
            for at in np.flatnonzero(row < 0):
                effect[:, :, at] = drawn[called[at]]
            logit = logit + effect
        names = [" | ".join(parts) for parts in zip(*labels, strict=True)]
        return self._estimate(expit(logit), "conversion rate of each step in each cell", cell=names, stage=list(table.steps))

    def stage_rates(self, group: str | None = None) -> Estimate:
        """Step rates of each level of a group on the common case mix; of the whole team where no group is given.

        Returns
        -------
        Estimate, dims (chain, draw, [group,] stage)
            Of those who would reach the stage, were the level given the first stage's entrants of everybody.
        """
        reach = self._reach(group)
        rates = reach[..., 1:] / reach[..., :-1]
        return self._of_group(rates, f"step rates{self._mixed(group)}", group, stage=list(self.cells().steps))

    def standardised_rates(self, group: str | None = None) -> Estimate:
        """From-start rate of each level of a group on the common case mix, dims (chain, draw, [group]); for ``league_table``."""
        return self._of_group(self._reach(group)[..., -1], f"from-start rate{self._mixed(group)}", group)

    def population_rate(self, group: str | None = None) -> Estimate:
        """Step rates that many new levels would have together, on the common case mix of the other groups, dims (..., stage).

        Parameters
        ----------
        group : str, optional
            Whose levels; the model's first group where not given.
        """
        group = self._known(self.model.groups[0] if group is None else group)
        points = ndtri(Sobol(len(self.cells().steps), rng=0).random(POINTS))  # one set for all draws, with its mirror image
        effect = np.einsum("...st,pt->...ps", self._root(group), np.concatenate([points, -points]))
        reach = self._reached(group, effect).mean(axis=2)
        rates = reach[..., 1:] / reach[..., :-1]
        return self._estimate(rates, f"mean step rates of the population of each {group}", stage=list(self.cells().steps))

    def new_group(self, group: str) -> Estimate:
        """Step rates of one level never seen, on the common case mix of the other groups, dims (chain, draw, stage).

        The spread between levels is in it, so it is wider than :meth:`population_rate`.
        """
        effect = self._new_effect(self._known(group), f"new level of {group}")[:, :, None]
        reach = self._reached(group, effect)[:, :, 0]
        return self._estimate(reach[..., 1:] / reach[..., :-1], f"step rates of a new {group}", stage=list(self.cells().steps))

    def shrinkage(self, group: str) -> Estimate:
        """Share of the way from a level's own counts to the population, dims (chain, draw, group, stage).

        ``1 / (1 + I sd^2)`` with ``I`` the information that the level's own trials carry, ``sum of n p (1 - p)``: near one where
        levels hardly differ or have hardly been tried.
        """
        table = self.cells()
        at = table.groups.index(self._known(group))
        rate = self.predict().draws.values
        own = np.eye(len(table.labels[group]))[table.level[at]]  # cell by level
        information = np.einsum("...ks,kl->...ls", table.trials * rate * (1 - rate), own)
        values = 1 / (1 + information * self._draws(f"sd_{group}")[..., None, :] ** 2)
        return self._of_group(values, f"shrinkage of each {group} towards the population", group, stage=list(table.steps))

    # -- data that could have been ----------------------------------------------------------------------------------
    def simulate(self, *, seed: int) -> StageCounts:
        """Same entrants of the first stage, new fates: one draw of the parameters, then counts step by step.

        The share of entrants who are too young to be counted, and of the undecided among those who did not advance, are the data's.
        """
        rng = self.rng("simulate", seed)
        whole = CellTable.of(self.data, groups=self.model.groups, denominator=self.model.denominator, whole=True)
        draw = self.one_draw(seed)
        logit = draw["typical"] + sum(draw[f"effect_{name}"][row] for name, row in zip(whole.groups, whole.level, strict=True))
        frame = repeat_counts(self.data, expit(logit), trials=whole.trials, rng=rng)
        return replace(self.data, frame=frame, source=f"simulated from {self.record.id}")

    def check(self, *, draws: int = 500, interval: Interval = DEFAULT) -> pd.DataFrame:
        """Would the model have seen such data? Posterior predictive p-values.

        Returns
        -------
        DataFrame
            For each step the overall rate, and for each group the spread of raw rates between its levels: ``observed``,
            ``expected`` with ``lower`` and ``upper`` over repeated data with the same trials, and ``p``, the share of repeated data
            with a larger value. Near 0 or 1: the model does not make such data.
        """
        table = self.cells()
        rate = self.predict().draws.values.reshape(-1, *table.trials.shape)
        rng = self.rng("check")
        kept = rate[rng.choice(len(rate), size=min(draws, len(rate)), replace=False)]
        return surprise(table, rng.binomial(table.trials, kept), interval=interval)

    # -- what others read --------------------------------------------------------------------------------------------
    def cells(self) -> CellTable:
        """Counts by the groups of the model."""
        return CellTable.of(self.data, groups=self.model.groups, denominator=self.model.denominator)

    def log_likelihood(self) -> xr.DataArray:
        """Log binomial probability of each cell's count at each step with a trial, dims (chain, draw, observation)."""
        whole, cell, step, names = self._observed()
        y, n = whole.wins[cell, step], whole.trials[cell, step]
        logit = self._typical()[:, :, step]
        for name, row in zip(whole.groups, whole.level, strict=True):
            logit = logit + self._effect(name)[:, :, row[cell], step]
        ways = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
        values = ways + y * logit - n * np.logaddexp(0, logit)
        return xr.DataArray(values, dims=(*SAMPLE_DIMS, "observation"), coords={"observation": names})

    def groups(self) -> dict[str, xr.Dataset]:
        """Observed wins and trials, and the log likelihood, for :meth:`to_datatree`."""
        whole, cell, step, names = self._observed()
        counts = {"wins": whole.wins[cell, step], "trials": whole.trials[cell, step]}
        observed = xr.Dataset({name: ("observation", part) for name, part in counts.items()}, coords={"observation": names})
        return {"observed_data": observed, "log_likelihood": self.log_likelihood().to_dataset(name="wins")}

    def _observed(self) -> tuple[CellTable, np.ndarray, np.ndarray, list[str]]:
        """Every cell of the data, however finer than the groups, so that models with other groups can be compared on it."""
        whole = CellTable.of(self.data, groups=self.model.groups, denominator=self.model.denominator, whole=True)
        cell, step = np.nonzero(whole.trials)
        labels = self.data.frame.iloc[:: len(self.data.stages)][list(self.data.by)].astype(str).agg(" | ".join, axis=1).tolist()
        return whole, cell, step, [f"{labels[c]} | {whole.steps[s]}" for c, s in zip(cell, step, strict=True)]

    # -- draws -----------------------------------------------------------------------------------------------------
    def _draws(self, name: str) -> np.ndarray:
        return np.asarray(self.tree["posterior"][name].values)

    def _typical(self) -> np.ndarray:
        return self._draws("typical")

    def _effect(self, group: str) -> np.ndarray:
        return self._draws(f"effect_{group}")

    def _known(self, group: str) -> str:
        if group not in self.model.groups:
            raise DataError("the fit", [Problem("group", f"expected one of {list(self.model.groups)}, found {group!r}")])
        return group

    def _new_effect(self, group: str, label: str) -> np.ndarray:
        """Effects of one level drawn from the population, shape (chain, draw, stage)."""
        raw = self.rng(label).standard_normal(self._draws(f"sd_{group}").shape)
        return np.einsum("...st,...t->...s", self._root(group), raw)

    def _root(self, group: str) -> np.ndarray:
        """Cholesky factor of the covariance of a level's effects over stages, shape (chain, draw, stage, stage)."""
        sd = self._draws(f"sd_{group}")
        factor = np.eye(sd.shape[-1])
        if f"corr_{group}" in self.tree["posterior"]:
            # rounding may leave a correlation matrix just short of positive
            factor = np.linalg.cholesky(self._draws(f"corr_{group}") + 1e-10 * np.eye(sd.shape[-1]))
        return sd[..., None] * factor

    def _reach(self, group: str | None) -> np.ndarray:
        """Share of the common mix that reaches each stage, shape (chain, draw, [level,] stage), the first stage being one."""
        if group is None:
            return self._reached(None, np.zeros((1, 1, 1, 1)))[:, :, 0]
        return self._reached(group, self._effect(self._known(group)))

    def _reached(self, group: str | None, own: np.ndarray) -> np.ndarray:
        """Average over situations of the other groups, one at a time so that memory is that of the result."""
        table = self.cells()
        situations, share = table.mix(group)
        total: Any = 0.0
        for column, part in zip(situations.T, share, strict=True):
            others = [self._effect(n)[:, :, i] for n, i in zip(table.groups, column, strict=True) if n != group]
            rate = expit((self._typical() + sum(others))[:, :, None] + own)
            total = total + part * np.cumprod(rate, axis=-1)
        return np.concatenate([np.ones_like(total[..., :1]), total], axis=-1)

    def _mixed(self, group: str | None) -> str:
        others = [name for name in self.model.groups if name != group]
        if group is None:
            return " of the team"
        return f" of each {group}" + (f", all with the same mix of {' and '.join(others)}" if others else "")

    def _of_group(self, values: np.ndarray, description: str, group: str | None, **labels: list[str]) -> Estimate:
        known = {} if group is None else {group: list(self.cells().labels[group])}
        return self._estimate(values, description, **known, **labels)

    def _estimate(self, values: np.ndarray, description: str, **labels: list[str]) -> Estimate:
        draws = xr.DataArray(values, dims=(*SAMPLE_DIMS, *labels), coords=labels)
        return Estimate(draws=draws, description=description)
