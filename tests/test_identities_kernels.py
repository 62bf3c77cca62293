"""Parts that other tests see only from afar, where a wrong weight would be lost in their tolerance: each against an identity of its own."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.special import comb
from scipy.stats import chisquare

from funnelstats.data.customers import Customers
from funnelstats.distributions import bgbb
from funnelstats.distributions.gammagamma import Spending, _log1p
from funnelstats.distributions.histories import Histories
from funnelstats.inference.bent import bent_normal
from funnelstats.inference.likelihood import Maximum
from funnelstats.models.intake import Intake
from funnelstats.models.occasions import BgBb
from funnelstats.models.price import Prices

FIELDS = ("xs", "of_x", "begin", "total", "weight", "constant", "log_total")


# -- the top of a posterior ----------------------------------------------------------------------------------------
def polynomial(rng, n, *, size=0.05):
    """A density of degree four about a mode, its expansion there and the mode: cubic and quartic terms along up to three axes at once."""
    vectors, _ = np.linalg.qr(rng.standard_normal((n, n)))
    root = vectors * np.array([0.5, 1.0, 2.0, 3.0, 0.2])[:n]  # from z, where the normal part is standard, to the point
    mode, back = rng.standard_normal(n), np.linalg.inv(root)
    cubic, quartic = size * rng.standard_normal((n,) * 3), size * rng.standard_normal((n,) * 4)
    cubic = sum(cubic.transpose(order) for order in orders(3))
    quartic = sum(quartic.transpose(order) for order in orders(4))
    for place in np.ndindex(quartic.shape):
        if len(set(place)) == 4:
            quartic[place] = 0.0  # what two expansions along each axis cannot see

    def log_density(points):
        z = (points - mode) @ back.T
        third = np.einsum("ijk,di,dj,dk->d", cubic, z, z, z) / 6
        return third + np.einsum("ijkl,di,dj,dk,dl->d", quartic, z, z, z, z) / 24 - (z**2).sum(axis=1) / 2 + 7.0

    def expansion(point):
        z = back @ (point - mode)
        curvature = np.einsum("ijk,k->ij", cubic, z) + np.einsum("ijkl,k,l->ij", quartic, z, z) / 2 - np.eye(n)
        return float(log_density(point[None])[0]), np.zeros(n), back.T @ curvature @ back

    top = Maximum(
        names=tuple("abcde"[:n]), point=mode, log_likelihood=7.0, covariance=root @ root.T, gradient=0.0, boundary=(), flat=()
    )
    return log_density, expansion, top, back


def orders(n):
    """All orders of n axes, each weighted so that the sum over them is a symmetric tensor."""
    return list(permutations(range(n)))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_terms_beyond_the_normal_are_exact_for_a_polynomial_of_degree_four(n):
    log_density, expansion, top, back = polynomial(np.random.default_rng(n), n, size=1e-3)
    points, ratios = bent_normal(expansion, log_density, top, np.random.default_rng(9), 500)
    z = (points - top.point) @ back.T
    np.testing.assert_allclose(np.cov(z.T).reshape(n, n), np.eye(n), atol=0.3)
    found = log_density(points) - 7.0 + (z**2).sum(axis=1) / 2
    assert np.abs(found).max() > 1e-3  # there is something to be exact about
    np.testing.assert_allclose(ratios, found, rtol=1e-8, atol=1e-9)


def test_a_posterior_that_four_degrees_do_not_describe_is_refused():
    log_density, expansion, top, back = polynomial(np.random.default_rng(2), 2, size=1e-3)

    def heavier(points):
        return log_density(points) - ((points - top.point) @ back.T)[:, 0] ** 6

    assert bent_normal(expansion, log_density, top, np.random.default_rng(9), 50) is not None
    assert bent_normal(expansion, heavier, top, np.random.default_rng(9), 50) is None


# -- spending ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", [1, 2, 3, 7, 40])
def test_a_part_of_the_spending_is_every_nth_row_standing_for_as_many(step):
    rng = np.random.default_rng(step)
    x, mean, weight = rng.integers(1, 9, 60), rng.gamma(4, 10, 60), rng.integers(1, 4, 60)
    x[x == 5] = 30  # frequencies with a gap, some of one row
    order = np.argsort(x, kind="stable")
    part = Spending.of(x, mean, weight=weight).part(step)
    same = Spending.of(x[order][::step], mean[order][::step], weight=step * weight[order][::step])
    for name in FIELDS:
        np.testing.assert_allclose(getattr(part, name), getattr(same, name), rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(part.x, x[order][::step])


def test_the_quick_logarithm_has_every_digit_of_the_slow_one():
    y = np.concatenate([[0.0], np.geomspace(1e-18, 1e8, 4001)])
    np.testing.assert_allclose(_log1p(y), np.log1p(y), rtol=4e-16, atol=0)


# -- occasions -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def donors():
    data = Customers.of([0, 1, 1, 2, 3, 6], [0, 1, 4, 5, 6, 6], 6, unit="year", weight=[8000, 3000, 2000, 3000, 2500, 1500])
    return BgBb().fit(data, seed=3, method="mle", draws=20, chains=2)


def test_means_and_concentrations_are_shapes_of_two_betas():
    shapes = BgBb().to_shapes(purchase=0.3, purchase_concentration=10.0, dropout=0.2, dropout_concentration=5.0)
    assert shapes == pytest.approx({"alpha": 3.0, "beta": 7.0, "gamma": 1.0, "delta": 4.0})


def test_simulated_occasions_follow_the_law_of_histories(donors):
    """Every history of six occasions, 20,000 customers: a chance to leave that is used once too often would show by a hundred errors."""
    made, values = donors.simulate(seed=5), donors.one_draw(5)
    cells = [(0, 0), *((x, last) for last in range(1, 7) for x in range(1, last + 1))]
    one = [np.exp(float(np.squeeze(bgbb.log_likelihood(x, last, 6, **values)))) for x, last in cells]
    chance = np.array([each * (comb(last - 1, x - 1) if x else 1) for each, (x, last) in zip(one, cells, strict=True)])
    assert chance.sum() == pytest.approx(1)
    found = dict(
        zip(zip(made.frequency.tolist(), made.recency.astype(int).tolist(), strict=True), made.weight.tolist(), strict=True)
    )
    seen = np.array([found.get(cell, 0) for cell in cells])
    assert seen.sum() == made.n == donors.data.n
    assert chisquare(seen, chance * made.n).pvalue > 1e-3


def test_discounted_occasions_are_the_sum_of_what_each_is_expected_to_bring(donors):
    rate = 0.5  # of an occasion 70 ahead 5e-13 is left
    bought = np.stack([donors.expected_purchases(horizon=ahead).draws.values for ahead in range(71)])
    total = (np.diff(bought, axis=0) / (1 + rate) ** np.arange(1, 71)[:, None, None, None]).sum(axis=0)
    np.testing.assert_allclose(donors.discounted_purchases(discount_rate=rate).draws.values, total, rtol=1e-9)


def test_chances_of_counts_to_come_have_the_expected_number_as_their_mean(donors):
    h, values, count = donors.data.histories(), donors.flat(), np.arange(5)
    expected = donors.bought_once(h, 4, values) * donors.alive_once(h, values)
    for row in range(len(h)):
        of_one = Histories.of([h.x[row]], [h.t_x[row]], [h.T[row]])
        chances = donors.counts_once(count, 4, of_one, values)
        np.testing.assert_allclose(chances.sum(axis=-1), 1, rtol=1e-9)
        np.testing.assert_allclose(chances @ count, expected[:, row], rtol=1e-8)


# -- what a forecast rests on --------------------------------------------------------------------------------------
def test_credibility_by_hand():
    """Buehlmann and Straub for 4, 10 and 2 deals: overall 115, within 34.5 squared, between (7200 - 2 * 1190.25) / (16 - 7.5) = 567."""
    frame = pd.DataFrame({"owner": list("abc"), "n": [4, 10, 2], "mean": [100.0, 130.0, 70.0]}).assign(
        sd=lambda f: 0.3 * f["mean"]
    )
    prices = Prices.of(frame, labels=("a", "b", "c"), by="owner")
    assert (prices.overall, prices.cv, prices.between) == pytest.approx((115, 0.3, 567))
    np.testing.assert_allclose(prices.credibility, [n / (n + 1190.25 / 567) for n in (4, 10, 2)])


def test_one_deal_of_each_segment_has_the_spread_of_their_amounts():
    frame = pd.DataFrame({"owner": list("abc"), "n": 1, "mean": [80.0, 100.0, 120.0], "sd": np.nan})
    assert Prices.of(frame, labels=("a", "b", "c"), by="owner").cv == pytest.approx(0.2)


def test_the_mean_of_all_is_as_unsure_as_its_standard_error():
    prices = Prices.of(pd.DataFrame({"n": [25], "mean": [100.0], "sd": [40.0]}), labels=(None,), by=None)
    means = prices.draw(np.random.default_rng(1), draws=20_000)
    assert (means.mean(), means.std()) == pytest.approx((100, 40 / 5), rel=0.03)


def test_half_a_span_counts_as_half_a_span():
    rates = Intake(counts=np.array([[1000]]), exposure=0.5).draw(np.random.default_rng(1), draws=4000, periods=1)
    assert np.median(rates) == pytest.approx(2000, rel=0.03)
