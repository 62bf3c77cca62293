"""Are eventual conversion and its interval right when the youngest cohorts are counted in, where the naive rate is not?"""

import warnings

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.stages import StageHazards
from funnelstats.errors import ImmatureWarning
from funnelstats.models.exits import CompetingExits
from funnelstats.models.model import load
from funnelstats.models.timing import incidence_curves
from funnelstats.window import ObservationWindow

TRUE = 0.35
DAYS, ENTRIES = {"advanced": 35.0, "lost": 55.0}, 420.0
RUNS = 120


def world(seed, *, size=700, entries=ENTRIES):
    """One stage: 35 % advance in the end, Weibull times with medians of 35 and 55 days; entries up to the last day watched."""
    rng = np.random.default_rng([seed, 17])
    advances = rng.random(size) < TRUE
    scale = np.where(advances, DAYS["advanced"], DAYS["lost"]) / np.log(2) ** (1 / 1.3)
    time, watched = scale * rng.weibull(1.3, size), rng.uniform(0, entries, size)
    open_now = time >= watched
    age = np.floor(np.minimum(time, watched)).astype(int) - open_now  # censored after the last complete day
    frame = pd.DataFrame({"age": age, "advanced": advances & ~open_now, "lost": ~advances & ~open_now, "censored": open_now})
    frame = frame[frame["age"] >= 0].groupby("age", as_index=False).sum()
    at_risk = frame[["advanced", "lost", "censored"]].sum(axis=1)[::-1].cumsum()[::-1]
    data = frame.assign(stage="Lead", at_risk=at_risk)
    return StageHazards(frame=data, stages=("Lead", "Won"), window=ObservationWindow.of("2026-06-30"))


@pytest.fixture(scope="module")
def runs():
    rows = []
    for seed in range(RUNS):
        data = world(seed)
        fit = CompetingExits().fit(data, seed=seed, draws=200, chains=2)
        found = fit.converted(within=60)
        curve = incidence_curves(data).query("state == 'advanced' and time <= 60").iloc[-1]
        row = {"curve": curve["share"], "curve_lower": curve["lower"], "curve_upper": curve["upper"]}
        for name, part in (("so_far", found.so_far), ("ever", found.eventually), ("within", found.within)):
            row |= {name: float(part.point[0]), f"{name}_lower": float(part.lower[0]), f"{name}_upper": float(part.upper[0])}
        rows.append(row)
    return pd.DataFrame(rows)


def covered(runs, name, truth):
    return float(((runs[f"{name}_lower"] <= truth) & (truth <= runs[f"{name}_upper"])).mean())


def test_eventual_conversion_is_covered_where_the_naive_rate_fails(runs):
    """120 worlds: the standard error of a coverage of 90 % is 2.7 points."""
    assert 0.82 <= covered(runs, "ever", TRUE) <= 0.98
    assert runs["ever"].mean() == pytest.approx(TRUE, abs=0.01)
    assert covered(runs, "so_far", TRUE) < 0.5
    assert runs["so_far"].mean() < TRUE - 0.03


def test_conversion_within_a_time_is_covered_by_both(runs):
    truth = TRUE * (1 - np.exp(-np.log(2) * (60 / DAYS["advanced"]) ** 1.3))
    for name in ("within", "curve"):
        assert 0.82 <= covered(runs, name, truth) <= 0.98
        assert runs[name].mean() == pytest.approx(truth, abs=0.01)


def test_a_follow_up_too_short_is_said():
    """Entries of the last 40 days only: nobody can know, and the fit says so."""
    fit = CompetingExits().fit(world(1, entries=40.0), seed=1)
    assert fit.diagnose().verdict == "REVIEW"
    with pytest.warns(ImmatureWarning, match="still open at the last age watched: .*% in Lead"):
        found = fit.converted()
    assert found.notes
    assert "if those open at the last age watched" in found.eventually.description


def test_consultants_are_recovered_by_partial_pooling(tmp_path):
    """Eight owners of two steps: intervals cover the true eventual rates, and their means beat the raw rates so far."""
    crm = simulate_crm(seed=11, n_leads=2500, owners=8, stages=["Lead", "Demo", "Won"], rates=[0.5, 0.4], owner_sd=0.5, channel_sd=0,
                       region_sd=0)  # fmt: skip
    log = read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of)
    fit = CompetingExits(group="owner").fit(log.hazards(by="owner"), seed=1, draws=150, chains=2, tune=300)
    assert fit.record.method == "mcmc"
    assert fit.diagnose()["divergences"] == 0
    assert load(fit.save(tmp_path / "fit.nc")).predict().draws.equals(fit.predict().draws)
    again = fit.simulate(seed=1)
    assert again.by == ("owner",)
    assert set(again.frame["owner"]) == set(fit.labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImmatureWarning)
        found = fit.converted()
    truth = crm.truth.expected(by=["owner"]).set_index(["owner", "stage"])["rate"].dropna()
    table = found.table().reindex(truth.index)
    inside = (table["eventually_lower"] <= truth) & (truth <= table["eventually_upper"])
    assert inside.mean() >= 11 / 16  # fewer than 11 of 16 would have a chance of 0.3 % at 90 %
    pooled, naive = ((table[name] - truth).pow(2).mean() for name in ("eventually", "so_far"))
    assert pooled < naive
    spread = fit.new_group()
    widest = fit.predict().sd.max("owner")
    assert (spread.sd > widest).all()  # a consultant never seen is less known than any other
