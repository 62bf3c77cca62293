"""What must hold of lifetime value: increments discounted, units that do not matter, parts that add up, and named refusals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from funnelstats.data.crm import read_crm
from funnelstats.data.customers import Customers
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.lead_value import lead_value
from funnelstats.decisions.lifetime_value import lifetime_value
from funnelstats.decisions.tiers import value_tiers
from funnelstats.decisions.tracking import tracking_table
from funnelstats.distributions import paretonbd
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate
from funnelstats.models.purchases import BgNbd, ParetoNbd
from funnelstats.models.rates import overall_rate
from funnelstats.models.spend import GammaGamma


@pytest.fixture(scope="module")
def cdnow():
    data = Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30")
    return [model.fit(data, seed=1, method="mle", draws=60, chains=2) for model in (BgNbd(), GammaGamma())]


def at(fit, **values):
    """Give the fit with every draw at these values."""
    tree = fit.tree.copy(deep=True)
    for name, value in values.items():
        tree["posterior"][name][:] = value
    return replace(fit, tree=tree)


@pytest.fixture(scope="module")
def published(cdnow):
    """CDNOW at the maximum: Fader, Hardie & Lee (2005), and Gamma-Gamma of note 025."""
    data = Customers.of([2, 0, 3], [30.43, 0.0, 20.0], 38.86, unit="week", monetary_value=[22.35, 0, 30.0], currency="USD",
                        label=["0001", "none", "more"])  # fmt: skip
    fits = [model.fit(data, seed=1, method="prior", draws=5, chains=2) for model in (BgNbd(), GammaGamma())]
    return (at(fits[0], r=0.242595, alpha=4.413602, a=0.792922, b=2.425907), at(fits[1], p=6.2488, q=3.7446, v=15.4477))


def test_the_unit_trap_of_the_peer(published):
    """lifetimes' quickstart has 140.10 for this customer, having read weeks as days (issue 180); in 30-day months it is 35.8709."""
    bought, spent = published
    total = [bought.expected_purchases(horizon=30 * k / 7).point.values[0] for k in range(13)]
    by_hand = sum((total[k] - total[k - 1]) / 1.01**k for k in range(1, 13)) * spent.expected_spend().point.values[0]
    assert by_hand == pytest.approx(35.8709, rel=3e-4)
    worth = lifetime_value(*published, horizon=12, period="month", discount_rate=0.01)
    assert worth.draws("0001").point.item() == pytest.approx(36.2783, rel=1e-3)  # months of 365 / 12 days; ours are 0.07 % longer
    assert worth.table().loc["0001", "mean"] == pytest.approx(worth.draws("0001").point.item(), rel=1e-12)


def test_discounting_by_hand(published):
    worth = lifetime_value(*published, horizon=3, period="month", discount_rate=0.02, margin=0.4)
    month = 365.2425 / 12 / 7
    bought = [published[0].expected_purchases(horizon=k * month).point.values[0] for k in range(4)]
    spend = published[1].expected_spend().point.values[0]
    by_hand = sum(0.4 * spend * (bought[k] - bought[k - 1]) / 1.02**k for k in (1, 2, 3))
    assert worth.draws("0001").point.item() == pytest.approx(by_hand, rel=1e-10)


def test_short_periods_and_a_long_horizon_are_the_closed_form():
    """Pareto/NBD parameters and DERT 1.86418332807 of FHL 2005 (JMR), continuous compounding at 0.0027 a week."""
    values = {"r": 0.5629966, "alpha": 12.559037, "s": 0.4081095, "beta": 10.5148048}
    data = Customers.of([7, 2], [35.0, 3.0], 77.86, unit="week", monetary_value=[10.0, 9.0], currency="USD", label=["one", "two"])
    bought = at(ParetoNbd().fit(data, seed=1, method="prior", draws=1, chains=1), **values)
    spent = at(GammaGamma().fit(data, seed=1, method="prior", draws=1, chains=1), p=6.25, q=3.74, v=15.44)
    worth = lifetime_value(bought, spent, horizon=3000, period="week", discount_rate=float(np.expm1(0.0027)))
    ratio = worth.draws("one").point.item() / spent.expected_spend().point.values[0]
    # paying at the end of each week rather than at once costs about half a week's discount
    assert ratio == pytest.approx(1.86418332807, rel=3e-3)

    def rate(t):
        ends = (paretonbd.expected_purchases(t + side, 7, 35.0, 77.86, **values) for side in (1e-3, -1e-3))
        return float(np.squeeze(next(ends) - next(ends))) / 2e-3

    at_once = quad(lambda t: rate(t) * np.exp(-0.0027 * t), 0.01, 3000, limit=200)[0]
    assert ratio == pytest.approx(at_once * np.exp(-0.0027 / 2), rel=1e-3)


def test_weeks_or_days_are_worth_the_same(published):
    bought, spent = published
    days = bought.data.in_unit("day")
    in_days = at(replace(bought, data=days), alpha=4.413602 * 7)
    other = replace(spent, data=spent.data.in_unit("day"))
    one, two = (
        lifetime_value(*pair, horizon=12, period="month", discount_rate=0.01).table()["mean"]
        for pair in (published, (in_days, other))
    )
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_parts_add_up(cdnow):
    worth = lifetime_value(*cdnow, horizon=12, period="month", discount_rate=0.01)
    table = worth.table()
    total = worth.total()
    assert total.point == pytest.approx((table["mean"] * table["weight"]).sum(), rel=1e-10)
    assert (table["lower"] < table["mean"]).all()
    some = worth.draws(["0001", "0002"])
    np.testing.assert_allclose(some.point, table.loc[["0001", "0002"], "mean"], rtol=1e-12)
    np.testing.assert_allclose(some.sd, table.loc[["0001", "0002"], "sd"], rtol=1e-6)
    twice = lifetime_value(*cdnow, horizon=12, period="month", discount_rate=0.01, margin=0.5).total()
    assert twice.point == pytest.approx(total.point / 2)
    later = lifetime_value(*cdnow, horizon=13, period="month", discount_rate=0.01).table()["mean"]
    assert (later > table["mean"]).all()


def test_a_newcomer_buys_once_and_then_as_expected(cdnow):
    worth = lifetime_value(*cdnow, horizon=1, period="year", discount_rate=0.0)
    bought, spent = cdnow
    again = bought.expected_purchases_new(horizon=365.2425 / 7).draws.values.ravel()
    mean = spent.population_mean().draws.values.ravel()
    assert worth.newcomer().point == pytest.approx(np.mean(mean * (1 + again)), rel=1e-9)


def test_value_per_lead_and_its_cost():
    rng = np.random.default_rng(1)
    rate = Estimate.of(rng.beta([20, 60], [980, 940], (4000, 2)), description="won", coords={"channel": ["ads", "fair"]})
    value = Estimate.of(rng.normal(5000, 200, 4000), description="value of a customer", unit="EUR")
    found = lead_value(rate, value, cost={"ads": 40.0, "fair": 400.0})
    assert found.loc["ads", "value_per_lead"] == pytest.approx(100, rel=0.02)
    assert found.loc["ads", "ltv_to_cac"] == pytest.approx(2.5, rel=0.05)
    assert found.loc["fair", "cost_per_win"] == pytest.approx(400 / 0.06, rel=0.05)
    assert found.loc["ads", "p_pays"] > 0.99
    assert found.loc["fair", "p_pays"] < 0.01
    held = found["value_per_lead"].between(found["value_per_lead_lower"], found["value_per_lead_upper"])
    assert held.all()
    with pytest.raises(DataError, match=r"cost: expected one for each channel, found none for \['fair'\]"):
        lead_value(rate, value, cost={"ads": 40.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon: expected a whole number of months, 1 or more, found 0"),
        ({"horizon": 1.5}, "horizon: expected a whole number of months"),
        ({"discount_rate": -0.1}, "discount_rate: expected a share from 0 to 1 for each month"),
        ({"discount_rate": 10}, "discount_rate: expected a share from 0 to 1 for each month .* found 10"),
        ({"margin": 0}, "margin: expected a share above 0, 1 at the most"),
        ({"margin": 30}, "margin: expected a share above 0, 1 at the most .* found 30"),
        ({"period": "quarter"}, "period: expected one of day, week, month, year, found 'quarter'"),
    ],
)
def test_bad_requests_are_named(published, change, message):
    with pytest.raises(DataError, match=message):
        lifetime_value(*published, **{"horizon": 12, "period": "month", "discount_rate": 0.01} | change)


def test_a_rate_has_a_period_and_both_fits_the_same_customers(published, cdnow):
    with pytest.raises(DataError, match=r'period: expected one of .*, found none; .*write period="month"'):
        lifetime_value(*published, horizon=12, discount_rate=0.01)
    with pytest.raises(DataError, match="found none; write discount_rate=0 for none"):
        lifetime_value(*published, horizon=12, period="month")
    with pytest.raises(DataError) as caught:
        lifetime_value(*published)
    assert [problem.where for problem in caught.value.problems] == ["horizon", "discount_rate", "period"]
    with pytest.raises(
        DataError, match=r"purchases: expected a fit of BgNbd, .* found SpendFit\n  spend: expected a fit of GammaGamma, found"
    ):
        lifetime_value(*reversed(published), horizon=12, period="month", discount_rate=0.01)
    with pytest.raises(
        DataError, match=r"spend: expected the customers of the purchases \(3, in weeks\), found others \(2,357, in weeks\)"
    ):
        lifetime_value(published[0], cdnow[1], horizon=12, period="month", discount_rate=0.01)


@pytest.mark.filterwarnings("ignore::funnelstats.errors.ImmatureWarning")
def test_where_nobody_was_won_a_lead_is_within_its_bounds():
    """Draws of a share are above nought, the share itself is not: the lower bound is then the share, as for any interval of none."""
    rate = overall_rate(read_crm("bundled:crm_salesforce").stages("owner"), seed=1)
    value = Estimate.of(np.full(4000, 300.0), description="value of a customer", unit="CNY")
    found = lead_value(rate, value, cost=12.0)
    none = found["rate"] == 0
    assert none.sum() == 1
    assert found.loc[none, ["value_per_lead", "value_per_lead_lower", "ltv_to_cac_lower"]].to_numpy().tolist() == [[0, 0, 0]]
    assert np.isinf(found.loc[none, "cost_per_win"]).all()
    assert found["value_per_lead"].between(found["value_per_lead_lower"], found["value_per_lead_upper"]).all()
    np.testing.assert_allclose(found["ltv_to_cac"], 300 / found["cost_per_win"], rtol=1e-12)


def test_endless_residual_purchases_are_those_of_a_long_horizon():
    """DERT discounts from the moment of a purchase, a table of weeks from its end: the two differ by less than a week's rate."""
    data = Customers.of([2, 0, 9], [30.43, 0.0, 20.0], 38.86, unit="week", monetary_value=[22.35, 0, 30.0])
    fit, spend = (model.fit(data, seed=1, method="prior", draws=5, chains=2) for model in (ParetoNbd(), GammaGamma()))
    fit = at(fit, r=0.5533, alpha=10.578, s=0.6061, beta=11.669)  # CDNOW, Fader, Hardie & Lee (2005)
    weekly = 1.15 ** (7 / 365.2425) - 1
    found = fit.discounted_purchases(discount_rate=0.15, period="year")
    np.testing.assert_allclose(fit.discounted_purchases(discount_rate=weekly, period="week").draws, found.draws, rtol=1e-12)
    worth = lifetime_value(fit, spend, horizon=52 * 120, period="week", discount_rate=weekly)
    ends = worth.table()["mean"].to_numpy() / spend.expected_spend().draws.mean(("chain", "draw")).to_numpy()
    exact = found.draws.mean(("chain", "draw")).to_numpy()
    assert np.all(ends < exact)
    assert np.all(exact < ends * (1 + weekly))


def test_residual_purchases_name_what_they_need(cdnow):
    with pytest.raises(DataError, match="3 problems in DERT") as caught:
        cdnow[0].discounted_purchases(discount_rate=0.0, period="months")
    assert "expected a fit of ParetoNbd, found BgNbd; use lifetime_value with a horizon" in str(caught.value)


def test_bounds_of_many_are_seen_on_a_narrow_screen(cdnow):
    shown = repr(cdnow[0].expected_purchases(horizon=39)).splitlines()
    assert "90% equal-tailed interval" in shown[0]
    assert shown[1].split() == ["mean", "sd", "lower", "upper", "unit"]


def test_tiers_know_the_money_of_a_table(cdnow):
    worth = lifetime_value(*cdnow, horizon=12, period="month", discount_rate=0.01)
    assert value_tiers(worth.table()).unit == "USD"


def test_customers_are_asked_for_by_name_in_both_models(cdnow):
    bought, spent = cdnow
    for ask in (bought.probability_alive, spent.expected_spend):
        two = ask(["0009", "0001"])
        assert two.draws["customer"].values.tolist() == ["0009", "0001"]
        np.testing.assert_array_equal(two.draws, ask().draws.sel(customer=["0009", "0001"]))
        with pytest.raises(DataError, match=r"expected names of the data, found \['nobody'\]"):
            ask(["nobody"])


def test_no_tracking_before_the_first_week_is_over(cdnow):
    with pytest.raises(
        DataError, match="until: expected a day at least one week after the first purchase on 1997-01-01, found 1996-01-01"
    ):
        tracking_table(cdnow[0], Transactions.of("bundled:cdnow"), until="1996-01-01")
