"""Which mean and concentration are likeliest for exchangeable groups, and how sure is that? Laplace draws without a prior."""

from typing import Any

import numpy as np
from scipy.special import expit, logit

from funnelstats.distributions.betabinomial import Tally, log_likelihood
from funnelstats.errors import FitError, Problem
from funnelstats.inference.diagnose import Check
from funnelstats.inference.likelihood import laplace_check, maximise
from funnelstats.models.trials import Trials

#: Free scale of maximum likelihood: a concentration of e^18 is a binomial to seven digits.
BOUNDS = ((-30.0, 30.0), (-12.0, 18.0))
#: Draws of mean and concentration, checks, settings.
Independent = tuple[tuple[np.ndarray, np.ndarray], tuple[Check, ...], dict[str, Any]]


def laplace(trials: Trials, rng: np.random.Generator, size: int) -> Independent:
    """Draws about the maximum of the likelihood, on the scales of logit and log."""
    wins, count = trials.wins.sum(), trials.trials.sum()
    if wins in (0, count):
        found = f"expected both wins and losses, found {wins} wins of {count}: the likelihood is highest at a rate of {wins / count:g}"
        raise FitError("BetaBinomial by mle", [Problem("wins", f"{found}, which has no error", 'use method="quadrature"')])
    tally = Tally.of(trials.wins, trials.trials)

    def log_density(point: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            return float(log_likelihood(tally, mean=expit(point[:1]), concentration=np.exp(point[1:]))[0])

    starts = [(float(logit(wins / count)), np.log(k)) for k in (1.0, 10.0, 300.0)]
    best = maximise(log_density, names=("logit mean", "log concentration"), bounds=BOUNDS, starts=starts)
    points = best.draw(rng, size)
    held = {"held at a bound": ", ".join(best.boundary)} if best.boundary else {}
    return (expit(points[:, 0]), np.exp(points[:, 1])), (*best.checks(), laplace_check(log_density, best, points)), held
