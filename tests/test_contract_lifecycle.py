"""Five laws and five verbs, asked of every model of the life cycle; NUTS beside the corrected normal; data at the edge."""

import numpy as np
import pytest

from funnelstats.data.customers import Customers
from funnelstats.errors import DataError, FitError
from funnelstats.estimate import Estimate
from funnelstats.models.encode import text_of
from funnelstats.models.model import SUMMARY, load
from funnelstats.models.occasions import BgBb
from funnelstats.models.purchases import BgNbd, MbgNbd, ParetoNbd
from funnelstats.models.retention import Renewals, ShiftedBetaGeometric
from funnelstats.models.spend import GammaGamma

RNG = np.random.default_rng(5)
X = np.minimum(RNG.geometric(0.4, 300) - 1, 20)
CUSTOMERS = Customers.of(X, np.where(X > 0, np.round(40 * RNG.beta(2, 1, 300), 2) + 0.01, 0), 45.0, unit="week",
                         monetary_value=np.round(RNG.gamma(6, 5, 300) + 1, 2), currency="EUR")  # fmt: skip
DONORS = Customers.of([0, 1, 1, 2, 3, 6], [0, 1, 4, 5, 6, 6], 6, unit="year", weight=[50, 20, 10, 20, 20, 10])
MEMBERS = Renewals.of_survival([1, 0.631, 0.468, 0.382, 0.326], customers=1000)
MODELS = {"BG": (BgNbd(), CUSTOMERS), "MBG": (MbgNbd(), CUSTOMERS), "Pareto": (ParetoNbd(), CUSTOMERS), "BG/BB": (BgBb(), DONORS),
          "sBG": (ShiftedBetaGeometric(), MEMBERS), "Gamma-Gamma": (GammaGamma(), CUSTOMERS)}  # fmt: skip
METHODS = ("laplace", "mle", "prior")
BUYING = ("BG", "MBG", "Pareto", "BG/BB")


def same(one, other):
    return all(np.array_equal(one["posterior"][name], other["posterior"][name]) for name in one["posterior"].data_vars)


@pytest.fixture(scope="module", params=[(name, method) for name in MODELS for method in METHODS], ids=lambda p: f"{p[0]}-{p[1]}")
def fit(request):
    name, method = request.param
    model, data = MODELS[name]
    return model.fit(data, seed=3, method=method, draws=50, chains=2)


def test_closure(fit):
    again = fit.simulate(seed=1)
    assert type(again) is type(fit.data)
    assert again.n == fit.data.n
    refit = fit.model.fit(
        again, seed=2, method="laplace" if fit.record.method == "mle" else fit.record.method, draws=20, chains=2
    )
    assert refit.predict().draws.sizes["draw"] == 20


def test_one_currency(fit):
    predicted = fit.predict()
    assert isinstance(predicted, Estimate)
    assert predicted.draws.dims[:2] == ("chain", "draw")
    assert np.all(predicted.draws >= 0)


def test_purity(fit):
    before = text_of(fit.data)
    again = fit.model.fit(fit.data, seed=3, method=fit.record.method, draws=50, chains=2)
    other = fit.model.fit(fit.data, seed=4, method=fit.record.method, draws=50, chains=2)
    assert same(again.tree, fit.tree)
    assert not same(other.tree, fit.tree)
    assert text_of(fit.data) == before
    assert again.record.id == fit.record.id != other.record.id


def test_self_description_and_keeping(fit, tmp_path):
    text = repr(fit)
    assert all(part in text for part in (type(fit.model).__name__, fit.record.method, fit.record.id, fit.diagnose().verdict))
    assert ("still open" in text) == (type(fit.model) is ShiftedBetaGeometric)  # elsewhere nobody says whether they have left
    assert "none open" not in text
    back = load(fit.save(tmp_path / "fit.nc"))
    assert same(back.tree, fit.tree)
    assert text_of(back.data) == text_of(fit.data)
    assert (back.record, back.model) == (fit.record, fit.model)


def test_summary_and_tree(fit):
    table = fit.summary()
    assert tuple(table.columns) == SUMMARY
    assert list(table.index) == list(fit.to_datatree()["posterior"].data_vars)
    assert np.all(table["lower"] <= table["upper"])
    assert np.all(table["ess"] <= 100)


def test_honest_absence():
    once = Customers.of([0] * 30, [0] * 30, 39.0, unit="week", monetary_value=[0.0] * 30)
    for model in (BgNbd(), ParetoNbd()):
        with pytest.raises(FitError, match="any small rate explains that"):
            model.fit(once, seed=1, method="mle")
        assert model.fit(once, seed=1).diagnose().verdict == "REVIEW"
    with pytest.raises(FitError, match="at least two customers"):
        GammaGamma().fit(once, seed=1)
    one = BgNbd().fit(Customers.of([3], [20.0], [39.0], unit="week"), seed=1, draws=50)
    assert one.diagnose().verdict == "REVIEW"
    assert 0 < one.probability_alive().point[0] < 1
    missing = Customers.of([1, 2], [3.0, 5.0], 39.0, unit="week")
    with pytest.raises(DataError, match="expected a value for every customer with repeat purchases, found 2 without"):
        GammaGamma().fit(missing, seed=1)
    with pytest.raises(DataError, match="expected whole numbers of occasions"):
        BgBb().fit(CUSTOMERS, seed=1)


@pytest.mark.parametrize("name", ["BG", "MBG"])
def test_a_maximum_at_infinity_is_said(name):
    """These customers hardly differ in loyalty: the likelihood rises with a and b for ever, and a / (a + b) is all it tells."""
    model, data = MODELS[name]
    fit = model.fit(data, seed=1, method="mle")
    assert "parameters at a bound 1 (concentration)" in str(fit.diagnose())
    assert fit.diagnose().verdict == "REVIEW"
    draws = fit.to_datatree()["posterior"].to_dataset()
    share = draws["a"] / (draws["a"] + draws["b"])
    assert 0 < float(share.quantile(0.05)) < float(share.quantile(0.95)) < 0.5
    h = data.histories()
    best = dict(fit.maximum()["estimate"])
    further = {**best, "a": 100 * best["a"], "b": 100 * best["b"]}
    gain = model.density.total_log_likelihood(h, **further) - model.density.total_log_likelihood(h, **best)
    assert abs(float(np.squeeze(gain))) < 1e-4  # nothing is lost by going on to infinity


@pytest.mark.parametrize("name", BUYING)
def test_quantities_by_customer(name):
    model, data = MODELS[name]
    fit = model.fit(data, seed=3, method="mle", draws=50, chains=2)
    alive, bought = fit.probability_alive(), fit.expected_purchases(horizon=4)
    assert alive.draws.dims == ("chain", "draw", "customer")
    assert np.all((alive.draws >= 0) & (alive.draws <= 1))
    table = fit.table(horizon=4)
    np.testing.assert_allclose(table["expected_purchases"], bought.point, rtol=1e-9)
    np.testing.assert_allclose(table["probability_alive_lower"], alive.lower, rtol=1e-9)
    some = fit.expected_purchases(horizon=4, customers=[data.names[2], data.names[0]])
    np.testing.assert_array_equal(some.draws, bought.draws.isel(customer=[2, 0]))
    new = fit.expected_purchases_new(horizon=[0, 4])
    counts = fit.pmf(horizon=4, most=200)
    np.testing.assert_allclose((counts.draws * counts.draws["count"]).sum("count"), new.draws.isel(horizon=1), rtol=1e-6)
    assert np.all(new.draws.isel(horizon=0) == 0)
    with pytest.raises(DataError, match="expected names of the data"):
        fit.probability_alive(["nobody"])
    with pytest.raises(DataError, match="horizon"):
        fit.expected_purchases(horizon=-1)
    with pytest.raises(DataError, match="expected times in"):
        fit.probability_alive(data.in_unit("month"))


def test_weeks_and_days_give_the_same_posterior():
    weeks, days = (BgNbd().fit(data, seed=3, draws=100) for data in (CUSTOMERS, CUSTOMERS.in_unit("day")))
    np.testing.assert_allclose(weeks.probability_alive().draws, days.probability_alive().draws, rtol=1e-6)
    one, other = weeks.expected_purchases(horizon=13), days.expected_purchases(horizon=91)
    np.testing.assert_allclose(one.draws, other.draws, rtol=1e-6)


def test_nuts_agrees_with_the_corrected_normal():
    """Means within four Monte Carlo errors, spreads within a fifth; CDNOW is in ``docs/calibration.md``."""
    quick = ShiftedBetaGeometric().fit(MEMBERS, seed=1)
    nuts = ShiftedBetaGeometric().fit(MEMBERS, seed=1, method="mcmc", draws=500, chains=2, tune=500)
    assert quick.diagnose()["k-hat of Laplace"] < 0.7
    one, other = (np.log(fit.to_datatree()["posterior"].to_dataset()) for fit in (quick, nuts))
    sizes = quick.summary()["ess"], nuts.summary()["ess"]
    for name in one.data_vars:
        sd = float(one[name].std())
        error = sd * np.sqrt(1 / sizes[0][name] + 1 / sizes[1][name])
        assert abs(float(one[name].mean() - other[name].mean())) < 4 * error
        assert float(other[name].std()) == pytest.approx(sd, rel=0.2)
