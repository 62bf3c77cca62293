"""Five laws and five verbs, asked of the scores: closure, one currency, purity, self-description, and what was kept comes back."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.cases import Cases
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate
from funnelstats.models.encode import text_of
from funnelstats.models.hierarchical_scores import HierarchicalScore
from funnelstats.models.model import SUMMARY, load
from funnelstats.models.scores import LogisticScore
from funnelstats.models.situations import Situations

SIZE = {"draws": 60, "chains": 2}
CASES = {
    "Logistic": (LogisticScore(banded=["age"]), {"method": "mle"}),
    "Hierarchical": (HierarchicalScore(), {"method": "laplace"}),
    "Hierarchical-prior": (HierarchicalScore(), {"method": "prior"}),
}


def clients(n=600):
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(
        {"job": rng.choice(["clerk", "nurse", "smith"], n), "age": rng.integers(20, 70, n), "calls": rng.poisson(2, n)}
    )
    chance = 1 / (1 + np.exp(1 - 0.4 * frame["calls"] + 0.8 * (frame["job"] == "smith")))
    return Cases.of(frame.assign(bought=rng.random(n) < chance), outcome="bought", features=["job", "age", "calls"])


DATA = clients()


def same(one, other):
    return all(np.array_equal(one["posterior"][name], other["posterior"][name]) for name in one["posterior"].data_vars)


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def case(request):
    model, options = CASES[request.param]
    return model.fit(DATA, seed=3, **SIZE, **options), options


def test_closure(case):
    fit, options = case
    again = fit.simulate(seed=1)
    assert type(again) is type(fit.data) is Situations
    assert again.trials.tolist() == fit.data.trials.tolist()
    assert text_of(again) == text_of(fit.simulate(seed=1)) != text_of(fit.simulate(seed=2))
    refit = fit.model.fit(again, seed=2, **SIZE, **options)
    assert refit.predict().draws.shape == fit.predict().draws.shape


def test_one_currency(case):
    fit, _ = case
    rates = fit.predict()
    assert isinstance(rates, Estimate)
    assert rates.draws.dims == ("chain", "draw", "case")
    assert np.all((rates.draws >= 0) & (rates.draws <= 1))
    np.testing.assert_array_equal(rates.draws, fit.predict().draws)


def test_purity(case):
    fit, options = case
    before = text_of(fit.data)
    again, other = (fit.model.fit(DATA, seed=seed, **SIZE, **options) for seed in (3, 4))
    assert same(again.tree, fit.tree)
    assert not same(other.tree, fit.tree)
    assert text_of(fit.data) == before
    assert again.record.id == fit.record.id != other.record.id


def test_self_description_and_keeping(case, tmp_path):
    fit, options = case
    text = repr(fit)
    assert all(part in text for part in (type(fit.model).__name__, options["method"], fit.record.id, fit.diagnose().verdict))
    back = load(fit.save(tmp_path / "fit.nc"))
    assert type(back) is type(fit)
    assert same(back.tree, fit.tree)
    assert text_of(back.data) == text_of(fit.data)
    assert (back.record, back.model) == (fit.record, fit.model)
    np.testing.assert_array_equal(back.predict().draws, fit.predict().draws)
    new = pd.DataFrame({"job": ["smith", "of another trade"], "age": [33, 90], "calls": [4, 0]})
    pd.testing.assert_frame_equal(back.scores(new), fit.scores(new))


def test_summary_and_tree(case):
    fit, _ = case
    table = fit.summary()
    assert tuple(table.columns) == SUMMARY
    assert np.all(table["lower"] <= table["upper"])
    tree = fit.to_datatree()
    tree["posterior"] = tree["posterior"].to_dataset() * 0
    assert not same(tree, fit.tree), "an edit of the copy reached the fit"
    assert {"/observed_data", "/log_likelihood"} <= set(tree.groups)
    assert np.all(tree["log_likelihood"]["wins"] <= 0)


@pytest.mark.parametrize("model", [LogisticScore(), HierarchicalScore()], ids=lambda m: type(m).__name__)
def test_honest_absence(model):
    with pytest.raises(DataError, match="method: expected one of"):
        model.fit(DATA, seed=1, method="magic")
    with pytest.raises(DataError, match="draws: expected a whole number of at least 1, found 0\n  chains: expected"):
        model.fit(DATA, seed=1, draws=0, chains=0)
    with pytest.raises(DataError, match="found dict"):
        model.fit({"wins": 3}, seed=1)
