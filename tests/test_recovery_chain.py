"""Worlds with known truth: do the intervals hold it, do the checks see what is broken, does a plan keep its promise?

The world is M ~ N(5, 1), L = 2M + u1, S = L/2 + u2, R = 0.8 S + u3 with unit variances, so that the total effect is 0.8. Where an
arrow M -> R of 0.5 is missing, least squares tends to e = 1.0222 and the product to 1.0222 against a total of 1.3; where L is recorded
with noise of variance 1 the product tends to 5/6 of the truth (both from the moments of the world, derived in the tests).
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

from funnelstats.data.periods import Periods
from funnelstats.decisions.planning import plan
from funnelstats.errors import ExtrapolationWarning
from funnelstats.models.chain import Chain
from funnelstats.models.chain_checks import _product_against_reduced, check_chain
from funnelstats.models.chain_effects import effect_table
from funnelstats.models.chain_equations import equations

TOTAL = 0.8
NOISE = np.sqrt(0.8**2 * 0.5**2 + 0.8**2 + 1)  # of R given M


def world(seed, n, *, direct=0.0, error=0.0, shared=0.0):
    """Months with a missing arrow M -> R, an error in what was recorded as L, or noise that the links share."""
    rng = np.random.default_rng([20261123, seed])
    M, common = rng.normal(5, 1, n), np.sqrt(shared) * rng.standard_normal(n)
    u = np.sqrt(1 - shared) * rng.standard_normal((3, n)) + common
    L = 2 * M + u[0]
    S = 0.5 * L + u[1]
    R = 0.8 * S + direct * M + u[2]
    L = L + error * rng.standard_normal(n)
    start = pd.date_range("2000-01-01", periods=n, freq="MS")
    return Periods.of(pd.DataFrame({"month": start, "M": M, "L": L, "S": S, "R": R}), period="month")


def test_under_the_assumptions_all_five_intervals_agree():
    table = effect_table(Chain(), world(1, 1500), seed=1).query("effect == 'total'").set_index("method")
    links = table.drop(index="reduced form")
    width = links["upper"] - links["lower"]
    assert links["estimate"].max() - links["estimate"].min() < 0.05 * width.mean()
    assert width.max() / width.min() < 1.15
    # Var(product) / Var(reduced form) = 1.116 / 1.800 for this world, so the reduced form is the wider one by 1.27
    reduced = table.loc["reduced form"]
    assert (reduced["upper"] - reduced["lower"]) / width["delta"] == pytest.approx(np.sqrt(1.8 / 1.116), rel=0.1)
    assert reduced["lower"] < links["estimate"].mean() < reduced["upper"]


@pytest.mark.parametrize("method", ["ols", "bootstrap", "quadrature"])
def test_intervals_of_the_total_effect_hold_the_truth_as_often_as_they_say(method):
    size = 120
    fits = [Chain().fit(world(seed, 60), seed=seed, method=method, draws=250).total_effect() for seed in range(size)]
    held = sum(fit.lower <= TOTAL <= fit.upper for fit in fits)
    assert binom.cdf(held, size, 0.9) > 0.005
    assert binom.sf(held - 1, size, 0.9) > 0.005


GAP = "product of links less reduced form"


def gap(periods):
    """That one row of :func:`check_chain`, at a tenth of the cost of all of them."""
    chain = Chain()
    paths, table = chain.paths(), periods.aligned(chain.delays())
    (row, *_), _, _ = _product_against_reduced(chain, table, equations(paths, table, subject="a world"), True)
    return row


def test_the_gap_of_these_tests_is_that_of_the_check():
    periods = world(7, 60)
    shown = check_chain(Chain(), periods).table.set_index("check").loc[GAP]
    assert (gap(periods)["check"], gap(periods)["value"], gap(periods)["p"]) == (GAP, shown["value"], shown["p"])


def test_a_true_chain_trips_the_check_in_one_of_twenty_worlds():
    size = 240
    tripped = sum(gap(world(seed, 60))["p"] < 0.05 for seed in range(size))
    assert 0.005 < binom.cdf(tripped, size, 0.05) < 0.995


@pytest.mark.parametrize(
    ("broken", "product", "reduced"),
    [
        # e tends to 0.8 + 0.5 cov(S, M) / var(S) = 0.8 + 0.5 * 1 / 2.25, the product to that; the reduced form to 0.8 + 0.5
        ({"direct": 0.5}, 0.8 + 0.5 / 2.25, 1.3),
        # c tends to 0.5 var(L) / (var(L) + 1) = 0.5 * 5 / 6
        ({"error": 1.0}, 0.8 * 5 / 6, 0.8),
        # with correlation 0.5 c tends to 0.5 + 0.5 / 5 = 0.6 and e to 0.8 + cov(S, u3) / var(S) = 0.8 + 0.75 / 2.75
        ({"shared": 0.5}, 2 * 0.6 * (0.8 + 0.75 / 2.75), 0.8),
    ],
    ids=["missing arrow", "error in L", "shared noise"],
)
def test_what_is_broken_trips_the_check_at_the_rate_theory_states(broken, product, reduced):
    size, n = 80, 240
    found = pd.DataFrame([gap(world(seed, n, **broken)) for seed in range(size)])
    assert found["value"].mean() == pytest.approx(product - reduced, abs=4 * found["value"].std() / np.sqrt(size) + 0.01)
    # a normal test of a gap that is so many standard errors wide rejects with this probability
    power = norm.sf(norm.isf(0.025) - abs(product - reduced) / found["value"].std())
    tripped = int((found["p"] < 0.05).sum())
    assert binom.cdf(tripped, size, power - 0.06) > 0.005
    assert binom.sf(tripped - 1, size, min(power + 0.06, 1.0)) > 0.005
    assert power > 0.6


def test_a_planned_budget_keeps_its_assurance():
    """Sixty worlds: the mean chance is known to about two points, and a plan without the noise of a month would be off by thirty."""
    target, assurance, size = 5.0, 0.8, 60
    chances = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        for seed in range(size):
            level = plan(Chain().fit(world(seed, 36), seed=seed, draws=200), target=target, assurance=assurance).level
            chances.append(norm.cdf((TOTAL * level - target) / NOISE))  # the chance that a month at that level has, in truth
    assert np.mean(chances) == pytest.approx(assurance, abs=4 * np.std(chances) / np.sqrt(size) + 0.005)
