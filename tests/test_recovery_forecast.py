"""Worlds whose future is known: do forecasts hold it at the rate they say, and do the groups' shifts come back?"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.decisions.forecast_backtest import backtest_forecast
from funnelstats.inference.priors import Prior
from funnelstats.inference.shifts import shifts

WORLDS = 10


@pytest.fixture(scope="module")
def scored():
    """Each world is forecast once, from four months before its end: worlds, not origins, so that forecasts are independent."""
    tables = []
    for seed in range(WORLDS):
        crm = simulate_crm(seed=seed, n_leads=1000, owners=4)
        log = read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of)
        found = backtest_forecast(log, horizon=90, periods=2, origins=["2026-02-28"], seed=seed, draws=50)
        tables.append(found.table.assign(world=seed))
    return replace(found, table=pd.concat(tables, ignore_index=True))


def test_forecasts_hold_what_came_at_the_nominal_rate(scored):
    """Two periods of one world share its arrivals, so the worlds are counted: far fewer misses or far more would show."""
    for name, row in scored.scores().iterrows():
        misses = row["forecasts"] - row["inside"]
        assert stats.binom.sf(misses - 1, row["forecasts"], 0.10) > 0.005, (name, misses)
    single = scored.table[scored.table["period"] != "all"]
    above = (single["observed"] > single["upper"]).sum()
    below = (single["observed"] < single["lower"]).sum()
    assert max(above, below) <= 8


def test_forecasts_say_more_than_the_weighted_pipeline(scored):
    scores = scored.scores()
    assert (scores["skill_weighted"] > 0.3).all(), scores["skill_weighted"]
    assert (scores["bias"].abs() < 0.2).all(), scores["bias"]


def test_shifts_of_groups_come_back():
    """Coverage over 60 sets of 8 groups whose shifts are normal with a spread of 0.4."""
    rng, base, inside = np.random.default_rng(1), np.array([0.3, 0.15]), []
    for _ in range(60):
        truth = rng.normal(0, 0.4, size=(8, 1))
        trials = rng.integers(20, 200, size=(8, 2)).astype(float)
        wins = rng.binomial(trials.astype(int), expit(logit(base) + truth)).astype(float)
        found, _ = shifts(trials, wins, base, np.array([0, 0]), spread=Prior.of("half_normal", 0.5), rng=rng, size=(500,))
        low, high = np.quantile(found[..., 0], [0.05, 0.95], axis=0)
        inside += list((low <= truth[:, 0]) & (truth[:, 0] <= high))
    assert np.mean(inside) == pytest.approx(0.90, abs=3 * np.sqrt(0.09 / len(inside)))
