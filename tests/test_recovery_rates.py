"""Rates against worlds whose truth is known: do 90 % intervals hold the truth nine times in ten, and where do naive rates fail?

Two hundred independent worlds are read as one log with the world's number as a segment, so that one pass counts them all.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.errors import ImmatureWarning
from funnelstats.interval import Interval
from funnelstats.models.rates import overall_rate, step_rates

WORLDS = 200
STAGES = ("Lead", "Opportunity", "Won")
RATES = (0.45, 0.3)
MAPPING = {
    "stages": list(STAGES),
    "lost": ["Lost"],
    "entity": "entity",
    "stage": "stage",
    "at": "at",
    "columns": {"world": "world"},
}
#: Simultaneous 99 % band for the share of 200 intervals of nominal coverage 0.9 that hold the truth.
BAND = stats.binom(WORLDS, 0.9).ppf([0.005, 0.995]) / WORLDS


@pytest.fixture(scope="module")
def log():
    same = {"owner_sd": 0.0, "channel_sd": 0.0, "region_sd": 0.0}  # leads are alike and independent, so any of them make a world
    crm = simulate_crm(seed=1, n_leads=600 * WORLDS, start="2025-07-01", as_of="2026-06-30", stages=STAGES, rates=RATES, **same)
    worlds = pd.factorize(crm.events["entity"])[0] % WORLDS
    return read_crm(crm.events.assign(world=[f"{k:03d}" for k in worlds]), mapping=MAPPING, as_of="2026-06-30")


def cohort(log, quarter):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImmatureWarning)
        return log.stages(("world", "entry_quarter")).select(entry_quarter=quarter).stages_by("world")


def covered(estimate, truth):
    return float(((estimate.lower <= truth) & (truth <= estimate.upper)).mean())


@pytest.mark.filterwarnings("ignore::funnelstats.errors.ImmatureWarning")
@pytest.mark.parametrize("kind", ["wilson", "jeffreys", "agresti-coull"])
def test_intervals_of_a_mature_cohort_hold_the_truth_nine_times_in_ten(log, kind):
    counts = cohort(log, "2025-Q3")
    rule = Interval(kind=kind)
    steps, overall = step_rates(counts, interval=rule), overall_rate(counts, interval=rule)
    for stage, rate in zip(STAGES, RATES, strict=False):
        assert BAND[0] <= covered(steps.sel(stage=stage), rate) <= BAND[1]
    assert BAND[0] - 0.03 <= covered(overall, np.prod(RATES)) <= BAND[1] + 0.03


@pytest.mark.filterwarnings("ignore::funnelstats.errors.ImmatureWarning")
def test_draws_of_the_overall_rate_hold_the_truth_as_well(log):
    overall = overall_rate(cohort(log, "2025-Q3"), draws=2000).with_interval(prob=0.9, kind="equal-tailed")
    assert BAND[0] <= covered(overall, np.prod(RATES)) <= BAND[1]


def test_the_naive_rate_of_the_youngest_cohort_is_biased_low_and_flagged(log):
    young = cohort(log, "2026-Q2")
    assert young.immature[young.frame["stage"] != "Won"].mean() > 0.95
    with pytest.warns(ImmatureWarning):
        overall = overall_rate(young)
    assert covered(overall, np.prod(RATES)) < 0.5
    assert float(overall.point.mean()) < 0.8 * np.prod(RATES)
    assert not cohort(log, "2025-Q3").immature.any()


def test_a_window_gives_the_youngest_their_due(log):
    """Among entrants whose window has passed, the share converted within it is the same for early and for late cohorts."""
    counts = log.stages(("world", "entry_quarter"), window=60).stages_by("entry_quarter")
    won = counts.frame[counts.frame["stage"] == "Won"].set_index("entry_quarter")["entered"]
    entered = counts.frame[counts.frame["stage"] == "Lead"].set_index("entry_quarter")["entered"]
    old, new = ((won[quarter], entered[quarter]) for quarter in ("2025-Q3", "2026-Q2"))
    z = (old[0] / old[1] - new[0] / new[1]) / np.sqrt(old[0] / old[1] ** 2 + new[0] / new[1] ** 2)
    assert abs(z) < 3.5
