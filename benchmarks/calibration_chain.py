"""Is the joint posterior of a chain right, with its product of slopes and its budget for a target? Repetitions for `calibration`.

The priors refer to fixed scales, so that they do not borrow from the data; slopes are N(0.8, 0.3) and baselines N(0, 0.3) on these.
"""

import warnings

import numpy as np
import pandas as pd
from scipy.stats import norm

from funnelstats.data.periods import Periods
from funnelstats.data.simulate_chain import simulate_chain
from funnelstats.decisions.planning import plan
from funnelstats.errors import ExtrapolationWarning
from funnelstats.inference.priors import Prior
from funnelstats.models.chain import Chain
from funnelstats.models.chain_fit import ChainFit

LEVELS = 99
MODEL = Chain(slope=Prior.of("normal", 0.8, 0.3), baseline=Prior.of("normal", 0, 0.3), spread=Prior.of("half_normal", 0.5),
              scales=(("M", 10, 4), ("L", 1000, 300), ("S", 500, 150), ("R", 400, 100)))  # fmt: skip
SHARED = Chain(noise="correlated", **{name: getattr(MODEL, name) for name in ("slope", "baseline", "spread", "scales")})
TARGET = 450.0


def independent(repetition: int) -> dict[str, int]:
    """Twenty-four months, three links with noise of their own, by quadrature; the budget M* is that at which the mean is 450."""
    return _ranks(MODEL, repetition, method="quadrature", draws=LEVELS, chains=1)


def correlated(repetition: int) -> dict[str, int]:
    """The same months, noise that the links may share, by NUTS."""
    return _ranks(SHARED, repetition, method="mcmc", draws=990, chains=2, tune=500)


def _ranks(model: Chain, repetition: int, **settings: object) -> dict[str, int]:
    rng = np.random.default_rng([2, repetition])
    months = pd.DataFrame({"month": pd.date_range("2024-01-01", periods=24, freq="MS"), "M": rng.normal(10, 4, 24)})
    filler = {name: centre + spread * rng.standard_normal(24) for name, centre, spread in model.scales[1:]}
    truth = model.fit(Periods.of(months.assign(**filler), period="month"), seed=repetition, method="prior", draws=1, chains=1)
    data = truth.simulate(seed=repetition)
    fit = model.fit(data, seed=repetition + 10_000, **settings)
    real, drawn = _quantities(truth, data), _quantities(fit, data)
    step = max(1, next(iter(drawn.values())).size // LEVELS)
    return {name: int((drawn[name][::step][:LEVELS] < real[name][0]).sum()) for name in real}


def _quantities(fit: ChainFit, data: Periods) -> dict[str, np.ndarray]:
    values, line, sigma = fit.values(), fit.affine(), fit.tree["posterior"]["sigma"]
    slope, intercept = (np.asarray(part).ravel() for part in (line.slope, line.intercept))
    found = {name: np.asarray(part).ravel() for name, part in {**values, "sigma of R": sigma.sel(variable="R")}.items()}
    density = np.zeros(len(slope))  # a quantity that depends on the data finds a posterior that ignores them
    for (x, y), (rise, base) in zip(("ML", "LS", "SR"), ("ab", "cd", "ef"), strict=True):
        mean = found[rise][:, None] * data.frame[x].to_numpy() + found[base][:, None]
        density += norm.logpdf(data.frame[y].to_numpy(), mean, np.asarray(sigma.sel(variable=y)).ravel()[:, None]).sum(axis=1)
    wanted = {name: found[name] for name in ("a", "d", "sigma of R")}
    return wanted | {"p = eca": slope, "intercept": intercept, "M* of 450": (TARGET - intercept) / slope, "log density": density}


def planned(worlds: int) -> pd.DataFrame:
    """Chance that a month reaches its target at the budget that was planned for it, over simulated worlds of 36 months."""
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        for seed in range(worlds):
            world = simulate_chain(seed=seed)
            fit = Chain().fit(Periods.of(world.periods, period="month"), seed=seed, draws=250)
            truth, noise = world.parameters, world.noise
            spread = np.sqrt((truth["e"] * truth["c"] * noise["L"]) ** 2 + (truth["e"] * noise["S"]) ** 2 + noise["R"] ** 2)
            intercept = truth["e"] * (truth["c"] * truth["b"] + truth["d"]) + truth["f"]
            for assurance in (0.5, 0.8, 0.95):
                level = plan(fit, target=600.0, assurance=assurance).level
                rows.append({"assurance": assurance, "chance": norm.cdf((world.slope * level + intercept - 600.0) / spread)})
    return pd.DataFrame(rows)
