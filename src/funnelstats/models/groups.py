"""What do fits of one conversion rate by group have in common? Rates to predict, trials to simulate, groups to name."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.models.model import Fit
from funnelstats.models.trials import Trials


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class GroupsFit[M](Fit[M, Trials]):
    """Fit of one conversion rate for each group."""

    @abstractmethod
    def rates(self) -> Estimate:
        """Rate of each group, dims (chain, draw, group)."""

    @abstractmethod
    def rates_once(self, draw: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """One joint draw of the rates of all groups given one draw of the parameters, shape (n_groups,)."""

    @abstractmethod
    def log_likelihood(self) -> xr.DataArray:
        """Log predictive probability of each group's wins were the group left out, dims (chain, draw, group).

        A group's own rate is integrated out, so that :func:`~funnelstats.inference.compare.compare_fits` asks how well a model
        foretells a group it has not seen.
        """

    def predict(self, new: Sequence[str] | None = None) -> Estimate:
        """Conversion rates of the groups, or of those named in ``new``.

        Raises
        ------
        DataError
            A group never seen; ``new_group`` of a hierarchical fit is for those.
        """
        rates = self.rates()
        if new is None:
            return rates
        names = [new] if isinstance(new, str) else [str(name) for name in new]
        unseen = [name for name in names if name not in self.data.labels]
        if unseen:
            found = f"expected groups that were fitted, found {unseen}"
            raise DataError("the prediction", [Problem("new", found, "for a group never seen ask new_group()")])
        return replace(rates, draws=rates.draws.sel(group=names))

    def simulate(self, *, seed: int) -> Trials:
        """Same groups and trials, new wins: one draw of the rates, then one of the wins."""
        rng = self.rng("simulate", seed)
        rates = self.rates_once(self.one_draw(seed), rng)
        return replace(self.data, wins=rng.binomial(self.data.trials, rates), source=f"simulated from {self.record.id}")

    def parameters(self) -> xr.Dataset:
        """Parameters of the population, then the rate of each group."""
        return self.tree["posterior"].to_dataset().assign(rate=self.rates().draws)

    def groups(self) -> dict[str, xr.Dataset]:
        """Observed wins and trials, and the log likelihood by group, for :meth:`to_datatree`."""
        labels = {"group": list(self.data.labels)}
        observed = xr.Dataset({"wins": ("group", self.data.wins), "trials": ("group", self.data.trials)}, coords=labels)
        return {"observed_data": observed, "log_likelihood": self.log_likelihood().to_dataset(name="wins")}

    def labelled(self, values: Any, description: str) -> Estimate:
        """Wrap draws of shape (chain, draw, n_groups)."""
        draws = xr.DataArray(values, dims=("chain", "draw", "group"), coords={"group": list(self.data.labels)})
        return Estimate(draws=draws, description=description)
