"""What does the fitted chain say? Coefficients, total, direct and indirect effects, and revenue at a level of marketing.

The mean of an outcome and the outcome of one period are two things: ``predict`` is the first, ``predictive`` adds the noise of
every link, ``Var(R | M) = (ec)^2 s1^2 + e^2 s2^2 + s3^2`` beside the uncertainty of the coefficients.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats import units
from funnelstats.data.periods import Periods
from funnelstats.errors import DataError, Problem
from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate, NotIdentified
from funnelstats.interval import DEFAULT
from funnelstats.models.affine import Affine
from funnelstats.models.chain_formula import formula
from funnelstats.models.chain_noise import log_likelihood, made_anew, outcome_sd
from funnelstats.models.chain_paths import Paths
from funnelstats.models.chain_support import Support, warn_outside
from funnelstats.models.model import Fit

Values = Mapping[str, Any]


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class ChainFit(Fit[Any, Periods]):
    """A chain, its periods, and joint draws of its coefficients and noise."""

    # -- coefficients and effects --------------------------------------------------------------------------------
    @property
    def paths(self) -> Paths:
        """Arrows between the variables that were recorded."""
        return self.model.paths()

    def values(self) -> dict[str, xr.DataArray]:
        """Joint draws of every coefficient by name, dims (chain, draw)."""
        posterior = self.tree["posterior"].to_dataset()
        return {name: posterior[name] for name in self.paths.names}

    def points(self) -> dict[str, float]:
        """Point of every coefficient: the estimate of a formula, else the mean of the draws."""
        if "/estimate" in self.tree.groups:
            point = self.tree["estimate"].to_dataset()["point"]
            return {str(name): float(value) for name, value in zip(point["coefficient"].values, point.values, strict=True)}
        return {name: float(draws.mean()) for name, draws in self.values().items()}

    def quantity(self, of: Callable[[Values], Any], *, description: str, unit: str = "") -> Estimate:
        """Any function of the coefficients as an Estimate; where a formula gave them, its point is the function of theirs.

        Parameters
        ----------
        of : callable
            Takes coefficients by name, draws or numbers.
        description, unit : str
        """
        draws = xr.DataArray(of(self.values())).transpose(*SAMPLE_DIMS, ...)
        found = Estimate(draws=draws, description=description, unit=unit)
        if "/estimate" not in self.tree.groups:
            return found
        point = xr.DataArray(of(self.points()))
        return replace(found, closed_form=ClosedForm(point, xr.DataArray(found.lower), xr.DataArray(found.upper), DEFAULT))

    def coefficient(self, name: str) -> Estimate | NotIdentified:
        """One coefficient by its letter; NotIdentified where variables that were not recorded leave only a product of several."""
        status: dict[str, Any] = self.model.identified()
        if name in self.paths.names:
            return self.quantity(lambda values: values[name], description=self._meaning(name), unit=self._unit_of(name))
        if isinstance(status.get(name), NotIdentified):
            return status[name]
        known = [key for key in status if key in self.paths.names or isinstance(status[key], NotIdentified)]
        raise DataError("a coefficient", [Problem("name", f"expected one of {known}, found {name!r}")])

    def coefficients(self) -> pd.DataFrame:
        """One row per letter, identified or not: meaning, estimate, bounds, unit, and the reason where there is none."""
        rows = []
        names = [*self.model.letters(), *(name for name in self.paths.names if name not in self.model.letters())]
        for name in names:
            found = self.coefficient(name)
            row = {"coefficient": name, "meaning": self._meaning(name)}
            if isinstance(found, NotIdentified):
                rows.append(row | {"note": str(found)})
            else:
                rows.append(row | {"estimate": found.point, "sd": found.sd, "lower": found.lower, "upper": found.upper,
                                   "interval": str(found.shown), "unit": found.unit})  # fmt: skip
        columns = ["coefficient", "meaning", "estimate", "sd", "lower", "upper", "interval", "unit", "note"]
        frame = pd.DataFrame(rows).reindex(columns=columns)
        return frame.astype(dict.fromkeys(columns[2:6], "Float64")).fillna({"interval": "", "unit": "", "note": ""})

    def total_effect(self) -> Estimate:
        """Sum over all paths from the first variable to the last: ``eca`` in a chain without skip arrows."""
        return self.quantity(lambda values: self.paths.totals(values)[self.paths.source], description=self.words("total"),
                             unit=self._effect_unit())  # fmt: skip

    def direct_effect(self) -> Estimate:
        """Slope of the arrow from the first variable straight to the last; zero by assumption where there is none."""
        zero = {name: 0.0 * draws for name, draws in self.values().items()}
        if self.paths.direct(zero) is None:
            first = next(iter(zero.values()))
            return Estimate(draws=first, description=f"{self.words('direct')}: zero by assumption, the chain has no such arrow",
                            unit=self._effect_unit())  # fmt: skip
        return self.quantity(self.paths.direct, description=self.words("direct"), unit=self._effect_unit())

    def indirect_effect(self) -> Estimate:
        """Total less direct effect: what passes through the variables between."""

        def through(values: Values) -> Any:
            direct = self.paths.direct(values)
            return self.paths.totals(values)[self.paths.source] - (0.0 if direct is None else direct)

        return self.quantity(through, description=self.words("indirect"), unit=self._effect_unit())

    def intercept(self) -> Estimate:
        """Mean of the last variable where the first is zero: ``e(cb + d) + f``."""
        return self.quantity(
            lambda values: self.paths.means(values, 0.0)[self.paths.outcome],
            unit=self.data.unit(self.paths.outcome),
            description=f"mean of {self.paths.outcome} at {self.paths.source} = 0",
        )

    def affine(self) -> Affine:
        """The chain as one map from the first variable to the last, with its draws."""
        values = self.values()
        return Affine(self.paths.totals(values)[self.paths.source], self.paths.means(values, 0.0)[self.paths.outcome])

    def formula(self, *, digits: int = 4) -> str:
        """Write the derived formula with the points in it."""
        return formula(self.paths, self.points(), digits=digits)

    def reduced_form(self, **options: Any) -> Self:
        """Fit the last variable on the first alone, by the same method; right for the total whatever lies between."""
        between = self.paths.variables[1:-1]
        model = replace(self.model, skips=(), hidden=tuple(dict.fromkeys((*self.model.hidden, *between))))
        options = {"method": self.record.method, "draws": self.record.draws, "chains": self.record.chains, **options}
        if options["method"] in ("sur", "3sls") or (options["method"] == "mcmc" and model.noise == "correlated"):
            options["method"] = "ols"
        return model.fit(self.data, seed=self.record.seed, **options)

    # -- the outcome at a level ----------------------------------------------------------------------------------
    def predict(self, new: Any = None) -> Estimate:
        """Mean of the last variable, without the noise of a period.

        Parameters
        ----------
        new : float or sequence of float, optional
            Levels of the first variable; those observed where not given.

        Returns
        -------
        Estimate
            Dims (chain, draw), and ``period`` or the name of the first variable.

        Warns
        -----
        ExtrapolationWarning
            A level outside the observed range, with the density of the data.
        """
        level = self.level(new)
        what = f"mean of {self.paths.outcome}{self._given(level)}"
        return self.quantity(lambda values: self.paths.means(values, level)[self.paths.outcome] + 0.0 * level, description=what,
                             unit=self.data.unit(self.paths.outcome))  # fmt: skip

    def predictive(self, new: Any = None) -> Estimate:
        """Last variable in one period to come, noise of every link included."""
        level = self.level(new)
        mean = self.paths.means(self.values(), level)[self.paths.outcome] + 0.0 * level
        mean = mean.transpose(*SAMPLE_DIMS, ...)
        noise = self.noise_sd() * mean.copy(data=self.rng("predictive").standard_normal(mean.shape))
        return Estimate(draws=(mean + noise).transpose(*SAMPLE_DIMS, ...), unit=self.data.unit(self.paths.outcome),
                        description=f"{self.paths.outcome} of one period{self._given(level)}")  # fmt: skip

    def noise_sd(self) -> xr.DataArray:
        """Standard deviation of the last variable given the first, dims (chain, draw)."""
        return outcome_sd(self.paths, self.values(), self.tree["posterior"].to_dataset())

    def observed(self) -> pd.DataFrame:
        """Rows that the links were fitted to, lags taken."""
        return self.data.aligned(self.model.delays())

    def level(self, new: Any) -> xr.DataArray:
        """Levels of the first variable as an array with a label; warns of those outside the observed range."""
        seen = self.observed()[self.paths.source].to_numpy()
        if new is None:
            return xr.DataArray(seen, dims=("period",), coords={"period": self.data.labels[: len(seen)]})
        values = np.asarray(new, dtype=float)
        if values.ndim > 1 or not np.all(np.isfinite(values)):
            raise DataError(
                "the prediction", [Problem(self.paths.source, f"expected a number or a sequence of them, found {new!r}")]
            )
        unit = self.data.unit(self.paths.source)
        warn_outside([Support.of(value, seen, variable=self.paths.source, unit=unit) for value in np.atleast_1d(values)])
        return (
            xr.DataArray(values, dims=(self.paths.source,), coords={self.paths.source: values})
            if values.ndim
            else xr.DataArray(values)
        )

    # -- what could have been observed ---------------------------------------------------------------------------
    def simulate(self, *, seed: int) -> Periods:
        """Same levels of the first variable, everything after it new; values that no link uses, for a lag, stay as observed."""
        table, delays = self.observed(), self.model.delays()
        made = made_anew(self.paths, table[self.paths.source].to_numpy(), self.one_draw(seed), self.rng("simulate", seed))
        columns = {}
        for target, values in made.items():
            columns[target] = self.data.frame[target].to_numpy(copy=True)
            columns[target][delays[target] : delays[target] + len(table)] = values
        return self.data.with_values(columns, source=f"simulated from {self.record.id}")

    def log_likelihood(self) -> xr.DataArray:
        """Log density of each period, all links together, dims (chain, draw, period)."""
        table = self.observed()
        return log_likelihood(self.paths, table, self.data.labels[: len(table)], self.tree["posterior"].to_dataset())

    def groups(self) -> dict[str, xr.Dataset]:
        """Observed rows and the log likelihood of each period."""
        table = self.observed()
        labels = {"period": self.data.labels[: len(table)]}
        observed = xr.Dataset({name: ("period", table[name].to_numpy()) for name in self.paths.variables}, coords=labels)
        return {"observed_data": observed, "log_likelihood": self.log_likelihood().to_dataset(name="links")}

    # -- words ---------------------------------------------------------------------------------------------------
    def words(self, kind: str) -> str:
        """An effect in words: an association, unless the chain was declared causal."""
        source, outcome = self.paths.source, self.paths.outcome
        one = f"one more {self.data.unit(source) or 'unit'} of {source}"
        through = {"total": "", "direct": ", not through what lies between", "indirect": ", through what lies between"}[kind]
        if self.model.causal:
            return f"{kind} effect on {outcome} of {one}{through}"
        return f"{kind} change in {outcome} that goes with {one}{through} (an association)"

    def _given(self, level: xr.DataArray) -> str:
        return f" at {self.paths.source} = {float(level):.6g}" if level.ndim == 0 else f" at each {self.paths.source}"

    def _effect_unit(self) -> str:
        return slope_unit(self.data.unit(self.paths.outcome), self.data.unit(self.paths.source))

    def _meaning(self, name: str) -> str:
        letters = self.model.letters()
        if name in letters:
            return str(letters[name])
        arrow = next((arrow for arrow in self.paths.arrows if arrow.name == name), None)
        return f"{arrow.source} -> {arrow.target}" if arrow else dict(self.paths.written)[name]

    def _unit_of(self, name: str) -> str:
        for arrow in self.paths.arrows:
            if arrow.name == name:
                return slope_unit(self.data.unit(arrow.target), self.data.unit(arrow.source))
        return self.data.unit(next(target for target, baseline in self.paths.baselines if baseline == name))


def slope_unit(of: str, by: str) -> str:
    """Unit of a slope; where both units are the same it is spelled out, less the factor, so that it is not read as a rate.

    Examples
    --------
    >>> slope_unit("leads", "10k CNY"), slope_unit("10k CNY", "10k CNY"), slope_unit("", "")
    ('leads/10k CNY', 'CNY per CNY', '')
    """
    base = of.split(" ", 1)[1] if of[:1].isdigit() and " " in of else of
    return units.divide(of, by) or (f"{base} per {base}" if of else "")
