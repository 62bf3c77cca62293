"""Five laws and five verbs, asked of every model of conversion and every score: closure, one currency, purity, self-description, honest absence."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.cases import Cases
from funnelstats.data.stages import StageCounts
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate
from funnelstats.models.encode import text_of
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.hierarchical_scores import HierarchicalScore
from funnelstats.models.model import SUMMARY, load
from funnelstats.models.pooling import CompletePooling, NoPooling
from funnelstats.models.scores import LogisticScore
from funnelstats.models.situations import Situations
from funnelstats.models.trials import Trials

RNG = np.random.default_rng(11)
TRIALS = Trials.of([3, 0, 9, 14, 5], [20, 8, 30, 35, 5], labels=["Ann", "Bo", "Cy", "Dee", "Eli"])
SIZE = {"draws": 60, "chains": 2}


def funnel():
    """Two consultants' levels by three channels, two steps, some deals still open and half of these young."""
    rows = []
    for owner in ("Ann", "Bo", "Cy", "Dee"):
        for channel in ("fair", "web"):
            leads = int(RNG.integers(20, 60))
            deals = RNG.binomial(leads, 0.5)
            won = RNG.binomial(deals, 0.4)
            undecided = (deals - won) // 3
            labels = {"owner": owner, "channel": channel}
            rows += [{**labels, "stage": "Lead", "entered": leads, "advanced": deals, "lost": leads - deals, "open": 0, "maturing": 0},
                     {**labels, "stage": "Opportunity", "entered": deals, "advanced": won, "lost": deals - won - undecided,
                      "open": undecided, "maturing": undecided // 2},
                     {**labels, "stage": "Won", "entered": won, "advanced": 0, "lost": 0, "open": 0, "maturing": 0}]  # fmt: skip
    return StageCounts.of(pd.DataFrame(rows), by=["owner", "channel"], source="a made-up team")


def clients(n=600):
    """Clients of three trades, some of whom bought."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {"job": rng.choice(["clerk", "nurse", "smith"], n), "age": rng.integers(20, 70, n), "calls": rng.poisson(2, n)}
    )
    chance = 1 / (1 + np.exp(1 - 0.4 * frame["calls"] + 0.8 * (frame["job"] == "smith")))
    return Cases.of(frame.assign(bought=rng.random(n) < chance), outcome="bought", features=["job", "age", "calls"])


COUNTS, CLIENTS = funnel(), clients()
CASES = {
    "BetaBinomial-quadrature": (BetaBinomial(), TRIALS, {"method": "quadrature"}),
    "BetaBinomial-mle": (BetaBinomial(), TRIALS, {"method": "mle"}),
    "BetaBinomial-prior": (BetaBinomial(), TRIALS, {"method": "prior"}),
    "CompletePooling": (CompletePooling(), TRIALS, {"method": "exact"}),
    "CompletePooling-prior": (CompletePooling(), TRIALS, {"method": "prior"}),
    "NoPooling": (NoPooling(), TRIALS, {"method": "exact"}),
    "NoPooling-prior": (NoPooling(), TRIALS, {"method": "prior"}),
    "Hierarchical-mcmc": (HierarchicalConversion(groups=("owner", "channel")), COUNTS, {"method": "mcmc", "tune": 60}),
    "Hierarchical-prior": (HierarchicalConversion(groups=("owner", "channel")), COUNTS, {"method": "prior"}),
    "LogisticScore": (LogisticScore(banded=["age"]), CLIENTS, {"method": "mle"}),
    "HierarchicalScore": (HierarchicalScore(), CLIENTS, {"method": "laplace"}),
    "HierarchicalScore-prior": (HierarchicalScore(), CLIENTS, {"method": "prior"}),
}  # fmt: skip


def same(one, other):
    return all(np.array_equal(one["posterior"][name], other["posterior"][name]) for name in one["posterior"].data_vars)


def total(data):
    """Entities of the data: what a simulation must not change."""
    if isinstance(data, Trials | Situations):
        return data.trials.tolist()
    return data.frame.loc[data.frame["stage"] == data.stages[0], "entered"].tolist()


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def case(request):
    model, data, options = CASES[request.param]
    return model.fit(data, seed=3, **SIZE, **options), data, options


def test_closure(case):
    fit, _, options = case
    again = fit.simulate(seed=1)
    assert type(again) is type(fit.data)
    assert total(again) == total(fit.data)
    assert text_of(again) == text_of(fit.simulate(seed=1)) != text_of(fit.simulate(seed=2))
    if isinstance(fit.model, BetaBinomial) and options["method"] == "mle":
        options = {"method": "quadrature"}  # simulated wins may be none, where no likelihood has a maximum
    refit = fit.model.fit(again, seed=2, **SIZE, **options)
    assert refit.predict().draws.dims == fit.predict().draws.dims


def test_one_currency(case):
    fit, *_ = case
    rates = fit.predict()
    assert isinstance(rates, Estimate)
    assert rates.draws.dims[:2] == ("chain", "draw")
    assert np.all((rates.draws >= 0) & (rates.draws <= 1))
    np.testing.assert_array_equal(rates.draws, fit.predict().draws)  # asking twice is asking once


def test_purity(case):
    fit, data, options = case
    before = text_of(fit.data)
    again = fit.model.fit(data, seed=3, **SIZE, **options)
    other = fit.model.fit(data, seed=4, **SIZE, **options)
    assert same(again.tree, fit.tree)
    assert not same(other.tree, fit.tree)
    assert text_of(fit.data) == before
    assert again.record.id == fit.record.id != other.record.id


def test_self_description_and_keeping(case, tmp_path):
    fit, _, options = case
    text = repr(fit)
    assert all(part in text for part in (type(fit.model).__name__, options["method"], fit.record.id, fit.diagnose().verdict))
    back = load(fit.save(tmp_path / "fit.nc"))
    assert same(back.tree, fit.tree)
    assert text_of(back.data) == text_of(fit.data)
    assert (back.record, back.model) == (fit.record, fit.model)
    np.testing.assert_array_equal(back.predict().draws, fit.predict().draws)
    if isinstance(fit.data, Situations):
        new = pd.DataFrame({"job": ["smith", "of another trade"], "age": [33, 90], "calls": [4, 0]})
        pd.testing.assert_frame_equal(back.scores(new), fit.scores(new))


def test_summary_and_tree(case):
    fit, *_ = case
    table = fit.summary()
    assert tuple(table.columns) == SUMMARY
    assert np.all(table["lower"] <= table["upper"])
    tree = fit.to_datatree()
    tree["posterior"] = tree["posterior"].to_dataset() * 0
    assert not same(tree, fit.tree), "an edit of the copy reached the fit"
    assert {"/observed_data", "/log_likelihood"} <= set(tree.groups)
    assert np.all(tree["log_likelihood"]["wins"] <= 0)


MODELS = [(BetaBinomial(), TRIALS), (CompletePooling(), TRIALS), (NoPooling(), TRIALS), (HierarchicalConversion(groups="owner"), COUNTS),
          (LogisticScore(), CLIENTS), (HierarchicalScore(), CLIENTS)]  # fmt: skip


@pytest.mark.parametrize(("model", "data"), MODELS, ids=[type(model).__name__ for model, _ in MODELS])
def test_honest_absence(model, data):
    with pytest.raises(DataError, match="method: expected one of"):
        model.fit(data, seed=1, method="magic")
    with pytest.raises(DataError, match="draws: expected a whole number of at least 1, found 0\n  chains: expected"):
        model.fit(data, seed=1, draws=0, chains=0)
    with pytest.raises(DataError, match="found dict"):
        model.fit({"wins": 3}, seed=1)
