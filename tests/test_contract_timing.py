"""Five laws and five verbs, asked of competing exits; NUTS beside exact draws; data at the edge."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.stages import StageHazards
from funnelstats.errors import DataError, ExtrapolationWarning
from funnelstats.estimate import Estimate
from funnelstats.inference.priors import Prior
from funnelstats.models.converted import Converted
from funnelstats.models.encode import text_of
from funnelstats.models.exits import CompetingExits
from funnelstats.models.model import SUMMARY, load
from funnelstats.window import ObservationWindow


def world(*, size=240, seed=5, owners=("Ann", "Bo", "Cy")):
    """Two stages by owner with geometric times, watched for 1 to 30 weeks."""
    rng, rows = np.random.default_rng(seed), []
    for owner in owners:
        for stage, leave in (("Lead", 0.2), ("Demo", 0.1)):
            time, watched = rng.geometric(leave, size) - 1, rng.integers(1, 30, size)
            left = time < watched
            advanced = left & (rng.random(size) < 0.4)
            rows.append(pd.DataFrame({"owner": owner, "stage": stage, "age": np.where(left, time, watched - 1), "advanced": advanced,
                                      "lost": left & ~advanced, "censored": ~left}))  # fmt: skip
    keys = ["owner", "stage", "age"]
    frame = pd.concat(rows).groupby(keys, as_index=False, sort=False).sum().sort_values(keys)
    gone = frame[["advanced", "lost", "censored"]].sum(axis=1)[::-1]
    frame["at_risk"] = gone.groupby([frame["owner"], frame["stage"]]).cumsum()
    window = ObservationWindow.of("2026-06-30", unit="week")
    return StageHazards(frame=frame.reset_index(drop=True), stages=("Lead", "Demo", "Won"), by=("owner",), window=window)


DATA = world()
CASES = {"exact": (CompetingExits(), "exact"), "prior": (CompetingExits(), "prior"), "prior of owners": (CompetingExits(group="owner"), "prior"),
         "exact within 8": (CompetingExits(horizon=8), "exact")}  # fmt: skip


def same(one, other):
    return all(np.array_equal(one["posterior"][name], other["posterior"][name]) for name in one["posterior"].data_vars)


@pytest.fixture(scope="module", params=CASES)
def fit(request):
    model, method = CASES[request.param]
    return model.fit(DATA, seed=3, method=method, draws=50, chains=2)


@pytest.fixture(scope="module")
def nuts():
    return CompetingExits().fit(DATA, seed=1, method="mcmc", draws=500, chains=2, tune=300)


def test_closure(fit):
    again = fit.simulate(seed=1)
    assert type(again) is type(fit.data)
    assert (again.stages, again.by, again.window) == (fit.data.stages, fit.data.by, fit.data.window)
    entered = [h.frame.groupby([*h.by, "stage"])["at_risk"].max() for h in (again, fit.data)]
    pd.testing.assert_series_equal(*entered)  # as many entrants everywhere
    refit = fit.model.fit(again, seed=2, method=fit.record.method, draws=20, chains=2)
    assert refit.predict().draws.sizes["draw"] == 20
    assert text_of(fit.simulate(seed=1).frame) == text_of(again.frame) != text_of(fit.simulate(seed=2).frame)


def test_one_currency(fit):
    predicted = fit.predict()
    assert isinstance(predicted, Estimate)
    assert predicted.draws.dims[:2] == ("chain", "draw")
    assert predicted.draws.dims[-1] == "stage"
    assert ("owner" in predicted.draws.dims) == (fit.model.group == "owner")
    assert bool(((predicted.draws >= 0) & (predicted.draws <= 1)).all())
    assert fit.predict(8).draws.equals(predicted.draws) == (fit.model.horizon == 8)


def test_purity(fit):
    before = text_of(DATA)
    again = fit.model.fit(DATA, seed=3, method=fit.record.method, draws=50, chains=2)
    other = fit.model.fit(DATA, seed=4, method=fit.record.method, draws=50, chains=2)
    assert same(again.tree, fit.tree)
    assert not same(other.tree, fit.tree)
    assert text_of(DATA) == before
    assert again.record.id == fit.record.id != other.record.id


def test_self_description_and_keeping(fit, tmp_path):
    text = repr(fit)
    assert all(part in text for part in (type(fit.model).__name__, fit.record.method, fit.record.id, fit.diagnose().verdict))
    assert "in weeks" in text
    back = load(fit.save(tmp_path / "fit.nc"))
    assert same(back.tree, fit.tree)
    assert text_of(back.data) == text_of(fit.data)
    assert (back.record, back.model) == (fit.record, fit.model)
    assert back.predict().draws.equals(fit.predict().draws)


def test_summary_and_tree(fit):
    table = fit.summary()
    assert tuple(table.columns) == SUMMARY
    assert np.all(table["lower"] <= table["upper"])
    assert {str(name).split("[")[0] for name in table.index} == set(fit.to_datatree()["posterior"].data_vars)


def test_a_prior_fit_has_not_looked_at_the_exits():
    frame = DATA.frame.assign(advanced=DATA.frame["lost"], lost=DATA.frame["advanced"])
    turned = StageHazards(frame=frame, stages=DATA.stages, by=DATA.by, window=DATA.window)
    one, other = (CompetingExits().fit(data, seed=1, method="prior", draws=100) for data in (DATA, turned))
    assert same(one.tree, other.tree)
    exact = [CompetingExits().fit(data, seed=1, draws=100).predict().point for data in (DATA, turned)]
    assert float(abs(exact[0] - exact[1]).max()) > 0.1


def test_nuts_agrees_with_exact_draws(nuts):
    """Means within four Monte Carlo errors, spreads within a fifth."""
    exact = CompetingExits().fit(DATA, seed=1)
    ours, theirs = nuts.summary(), exact.summary()
    assert list(ours.index) == list(theirs.index)
    assert nuts.diagnose()["divergences"] == 0
    assert nuts.diagnose()["largest R-hat"] < 1.05
    error = theirs["sd"] * np.sqrt(1 / ours["ess"] + 1 / theirs["ess"])
    assert (abs(ours["mean"] - theirs["mean"]) < 4 * error).all()
    np.testing.assert_allclose(ours["sd"], theirs["sd"], rtol=0.25)
    np.testing.assert_allclose(nuts.predict().point, exact.predict().point, atol=0.01)


def test_three_answers_side_by_side():
    fit = CompetingExits().fit(DATA, seed=1)
    found = fit.converted(within=8)
    assert isinstance(found, Converted)
    table = found.table()
    assert (table["within"] < table["eventually"]).all()
    counts = DATA.frame[DATA.frame["stage"] == "Lead"]
    assert table.loc["Lead", "so_far"] == pytest.approx(counts["advanced"].sum() / 720)
    assert found.so_far.shown.kind == "wilson"
    assert "within 8 weeks" in repr(found)
    assert "go on as in its last age band" in found.eventually.description
    with pytest.warns(ExtrapolationWarning, match="nobody was watched for 60 weeks in Lead, Demo"):
        fit.converted(within=60)
    owners = CompetingExits(group="owner").fit(DATA, seed=1, method="prior", draws=40)
    assert owners.incidence([4, 8]).draws.sizes == {"chain": 4, "draw": 40, "owner": 3, "stage": 2, "cause": 3, "age": 2}


def test_data_at_the_edge():
    frame = pd.DataFrame({"stage": ["Lead"], "age": [0], "at_risk": [9], "advanced": [0], "lost": [0], "censored": [9]})
    nobody = StageHazards(frame=frame, stages=("Lead", "Demo", "Won"))
    fit = CompetingExits().fit(nobody, seed=1)
    assert fit.diagnose().verdict == "REVIEW"
    assert float(fit.predict().sd.min()) > 0.3  # nothing was seen: an honest wide answer
    one = CompetingExits(group="owner").fit(world(owners=("Ann",)), seed=1, method="prior", draws=20)
    assert one.diagnose()["groups"] == 1
    assert one.diagnose().verdict == "REVIEW"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CompetingExits().fit(DATA.frame, seed=1), "expected StageHazards, found DataFrame"),
        (lambda: CompetingExits(group="region").fit(DATA, seed=1), r"region: expected one of \['owner'\]"),
        (lambda: CompetingExits(group="owner").fit(DATA, seed=1, method="exact"), 'use method="mcmc"'),
        (lambda: CompetingExits().fit(DATA, seed=1, method="laplace"), "expected one of exact, mcmc, prior"),
        (lambda: CompetingExits(leave=Prior.of("gamma", 1, 1)), "expected a beta prior"),
        (lambda: CompetingExits(horizon=0), "expected one unit of time or more"),
        (lambda: CompetingExits().fit(DATA, seed=1, draws=9).continue_from("Won", age=0), r"expected one of \['Lead', 'Demo'\]"),
        (lambda: CompetingExits().fit(DATA, seed=1, draws=9).continue_from("Lead", age=-1), "expected times of 0 or more"),
        (
            lambda: CompetingExits().fit(DATA, seed=1, draws=9).continue_from("Lead", age=0, horizon=3, to="won"),
            "without a horizon",
        ),
        (lambda: CompetingExits().fit(DATA, seed=1, draws=9).new_group(), "expected a model with groups"),
    ],
)
def test_a_wrong_request_is_refused_with_the_remedy(call, words):
    with pytest.raises(DataError, match=words):
        call()
