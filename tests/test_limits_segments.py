"""Partial pooling of customer models over segments: its limits, its units, and worlds whose truth is known."""

import numpy as np
import pytest
from scipy.special import digamma, polygamma

from funnelstats.data.customers import Customers
from funnelstats.distributions import bgnbd
from funnelstats.errors import DataError
from funnelstats.inference.parametric import Parameter
from funnelstats.inference.priors import Prior
from funnelstats.models.purchases import BgNbd
from funnelstats.models.segments import _expected, _prior, pool_segments
from funnelstats.models.spend import GammaGamma

SIZES = (40, 60, 80, 120, 200, 400)
QUICK = {"seed": 1, "draws": 250}


def buyers(rng, alphas, *, r=0.6, a=0.8, b=2.5, sizes=SIZES):
    """Histories and spending by the processes of the two models, one alpha for each segment; means of spending follow it."""
    columns = [[], [], [], [], []]
    for name, (alpha, size) in enumerate(zip(alphas, sizes, strict=True)):
        for _ in range(size):
            T, rate, leave = rng.uniform(30, 52), rng.gamma(r, 1 / alpha), rng.beta(a, b)
            x, last = 0, 0.0
            while (then := last + rng.exponential(1 / rate)) < T:
                x, last = x + 1, then
                if rng.random() < leave:
                    break
            mean = rng.gamma(6 * x, 1 / rng.gamma(4, 1 / (150 / alpha))) / x if x else np.nan
            for column, value in zip(columns, (str(name), x, last, T, mean), strict=True):
                column.append(value)
    label, x, last, T, mean = columns
    return Customers.of(x, last, T, unit="week", monetary_value=mean), label


@pytest.fixture(scope="module")
def unequal():
    rng = np.random.default_rng(11)
    alphas = 6.0 * np.exp(rng.normal(0, 0.4, len(SIZES)))
    return *buyers(rng, alphas), alphas


@pytest.fixture(scope="module")
def pooled(unequal):
    data, by, _ = unequal
    return pool_segments(BgNbd(), data, by=by, **QUICK)


def test_segments_lie_between_their_own_estimate_and_the_others(unequal, pooled):
    _, _, alphas = unequal
    table = pooled.table(horizon=52)
    truth = [float(bgnbd.expected_purchases_new(52.0, r=0.6, alpha=alpha, a=0.8, b=2.5)) for alpha in alphas]
    error = {name: np.sqrt(np.mean((table[name] - truth) ** 2)) for name in ("partial_pooling", "no_pooling", "complete_pooling")}
    assert error["partial_pooling"] < min(error["no_pooling"], error["complete_pooling"])
    assert np.sum((table["lower"] <= truth) & (truth <= table["upper"])) >= len(SIZES) - 1
    moved = (table["partial_pooling"] - table["no_pooling"]).abs() / table["no_pooling"]
    assert moved[:2].mean() > moved[-2:].mean()  # the small ones move more


def test_segments_are_summed_up_in_a_line(pooled):
    sizes = ", ".join(f"{name} {fit.data.n:,} ({fit.diagnose().verdict})" for name, fit in pooled.fits.items())
    assert repr(pooled) == f"<SegmentFits of BgNbd: {sizes}; .table() beside no and complete pooling>"


def test_segments_that_do_not_differ_become_one():
    data, by = buyers(np.random.default_rng(3), [6.0] * len(SIZES))
    table = pool_segments(BgNbd(), data, by=by, **QUICK).table(horizon=52)
    assert table["partial_pooling"].std() < 0.85 * table["no_pooling"].std()  # so few and so small cannot say that they are equal
    assert np.all((table["lower"] < table["complete_pooling"]) & (table["complete_pooling"] < table["upper"]))


def test_a_tiny_spread_is_complete_pooling_and_a_wide_one_none(unequal, pooled):
    data, by, _ = unequal
    one = pool_segments(BgNbd(), data, by=by, spread=1e-3, **QUICK).table(horizon=52)
    apart = pool_segments(BgNbd(), data, by=by, spread=20.0, **QUICK).table(horizon=52)
    some = pooled.table(horizon=52)
    assert one["partial_pooling"].std() < 0.5 * some["partial_pooling"].std()
    width = some["upper"] - some["lower"]
    # the two largest segments say for themselves what they are
    assert np.all((apart["partial_pooling"] - apart["no_pooling"]).abs()[-2:] < 0.25 * width[-2:])


def test_neither_weeks_nor_pence_matter(unequal, pooled):
    data, by, _ = unequal
    days = pool_segments(BgNbd(), data.in_unit("day"), by=by, **QUICK).table(horizon=364)
    np.testing.assert_allclose(days["partial_pooling"], pooled.table(horizon=52)["partial_pooling"], rtol=1e-5)
    pence = Customers.of(data.frequency, data.recency, data.T, unit="week", monetary_value=100 * data.monetary_value)
    spent, in_pence = (pool_segments(GammaGamma(), one, by=by, **QUICK).table() for one in (data, pence))
    np.testing.assert_allclose(in_pence["partial_pooling"], 100 * spent["partial_pooling"], rtol=1e-5)
    truth = 6 * 150 / unequal[2] / 3
    assert np.sum((spent["lower"] <= truth) & (truth <= spent["upper"])) >= len(SIZES) - 1


def test_nobody_came_back_in_one_segment_and_the_others_speak(unequal):
    data, by, _ = unequal
    quiet = np.asarray(by) == "5"
    frequency, recency = np.where(quiet, 0, data.frequency), np.where(quiet, 0.0, data.recency)
    silent = Customers.of(frequency, recency, data.T, unit="week")
    found = pool_segments(BgNbd(), silent, by=by, **QUICK)
    row = found.table(horizon=52).set_index("segment").loc["5"]
    assert "5" not in found.alone
    assert np.isnan(row["no_pooling"])
    assert 0 < row["partial_pooling"] < row["complete_pooling"]


def test_one_other_segment_tells_its_own_place_and_the_spread_its_prior():
    mean, sd = _expected(np.array([[0.7, 0.04]]), 0.5)
    tau = np.abs(np.random.default_rng(1).normal(0, 0.5, 400_000))
    assert mean == pytest.approx(0.7)
    assert sd == pytest.approx(np.sqrt(0.04 + 2 * np.mean(tau**2)), rel=0.01)  # both lie apart from the centre


def test_the_beta_prior_has_the_mean_and_spread_asked_for_on_the_logit_scale():
    one = Parameter(name="dropout", scale="logit", prior=Prior.of("beta", 1, 1))
    for mean, sd in ((-1.2, 0.3), (0.4, 1.5), (-3.0, 0.8), (2.0, 0.1)):
        a, b = _prior(one, mean, sd).values
        assert digamma(a) - digamma(b) == pytest.approx(mean, abs=1e-6)
        assert np.sqrt(polygamma(1, a) + polygamma(1, b)) == pytest.approx(sd, rel=1e-6)


def test_what_segments_must_be(unequal):
    data, _, _ = unequal
    with pytest.raises(DataError) as caught:
        pool_segments(BgNbd(), data, by=["web"], seed=1, spread=0.0)
    assert "3 problems in the segments" in str(caught.value)
    assert "expected at least two segments, found 1" in str(caught.value)
