"""What customers will buy, by curves and by pairs: the same as each history by itself, and as an integral over all coins."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln

from funnelstats.data.customers import Customers
from funnelstats.decisions.lifetime_value import lifetime_value
from funnelstats.distributions import ahead, coin
from funnelstats.models import buying, purchases
from funnelstats.models.purchases import BgNbd, MbgNbd, ParetoNbd
from funnelstats.models.spend import GammaGamma

SPANS = np.arange(1, 13) * 30.4
FALLS = 0.99 ** np.arange(1, 13) * 0.01


@pytest.mark.parametrize(("shapes", "curves"), [((0.25, 30.0, 0.8, 2.4), True), ((5.0, 3e3, 0.05, 20.0), True), ((0.25, 3e3, 300.0, 900.0), True),
                                                ((50.0, 0.5, 5.0, 1.0), False), ((2e3, 30.0, 0.8, 2.4), False)])  # fmt: skip
def test_curve_of_each_frequency_is_the_expectation_of_each_customer(shapes, curves, monkeypatch):
    """Where every second point does not tell the others the expectation is evaluated itself, else never again."""
    r, alpha, a, b = (value * np.array([[1.0], [1.1]]) for value in shapes)
    x, T = (part.ravel() for part in np.meshgrid([0.0, 1, 5, 40], [3.0, 90, 364]))
    single = sum(
        w * coin.expected_while_alive(t, r=r + x, alpha=alpha + T, a=a, b=b + x) for t, w in zip(SPANS, FALLS, strict=True)
    )
    calls = []

    def counted(*place, **known):
        calls.append(place)
        return coin.expected_while_alive(*place, **known)

    monkeypatch.setattr(ahead, "expected_while_alive", counted)
    found = ahead.weighted_while_alive(SPANS, FALLS, x, T, r=r, alpha=alpha, a=a, b=b)
    np.testing.assert_allclose(found, single, rtol=1e-10)
    assert len(calls) == (1 if curves else 1 + len(SPANS))


@pytest.mark.parametrize("row", [(200.0, 100.0, 0.8, 2.4, 52.0), (500.0, 300.0, 1.8, 20.4, 100.0), (1e4, 5e3, 80.0, 2400.0, 52.0),
                                 (2e3, 0.5, 0.8, 2.4, 10.0), (50.0, 25.0, 0.3, 2.4, 52.0), (0.3, 3.0, 1e4, 1e4, 50.0)])  # fmt: skip
def test_expectation_of_customers_who_are_alike_and_buy_often(row):
    """The series in z alternates there and lost every digit; the mean over coins, by adaptive quadrature, has none to lose."""
    r, alpha, a, b, t = row

    def inside(logit):
        log_p, log_rest = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
        return np.exp(a * log_p + b * log_rest - betaln(a, b) - log_p) * -np.expm1(-r * np.log1p(np.exp(log_p) * t / alpha))

    middle = np.log(a / b)
    exact = quad(
        inside, -150, 150, points=[middle - 5, middle - 0.1, middle, middle + 0.1, middle + 5], epsabs=0, epsrel=1e-12, limit=1000
    )[0]
    assert float(coin.expected_while_alive(t, r=r, alpha=alpha, a=a, b=b)) == pytest.approx(exact, rel=1e-9)


@pytest.fixture(scope="module")
def customers():
    rng = np.random.default_rng(8)
    T = rng.integers(60, 200, 400).astype(float)
    x = rng.poisson(rng.gamma(0.6, 3, 400))
    t_x = np.where(x > 0, np.ceil(T * rng.beta(np.maximum(x, 1), 2)), 0.0)
    return Customers.of(x, t_x, T, unit="day", monetary_value=np.where(x > 0, rng.gamma(4, 10, 400), np.nan))


@pytest.mark.parametrize("model", [BgNbd(), MbgNbd(), ParetoNbd()], ids=lambda one: type(one).__name__)
def test_pairs_and_rows_say_the_same(model, customers, monkeypatch):
    fit, spend = model.fit(customers, seed=1, draws=50), GammaGamma().fit(customers, seed=1, draws=50)
    h, values = customers.histories(), fit.flat(20)
    np.testing.assert_allclose(fit.alive_by(h, values)(slice(3, 90)), fit.alive_once(h, values)[:, 3:90], rtol=1e-9)
    once = fit.bought_by(h, SPANS, FALLS, values)(slice(3, 90))
    each = sum(weight * fit.bought_once(h, end, values) for end, weight in zip(SPANS, FALLS, strict=True))
    np.testing.assert_allclose(once, each[:, 3:90], rtol=1e-9)
    value = lifetime_value(fit, spend, horizon=4, discount_rate=0.01, period="month").table()["mean"]
    for module in (buying, purchases):
        monkeypatch.setattr(module, "HELD", 0)
    again = lifetime_value(fit, spend, horizon=4, discount_rate=0.01, period="month").table()["mean"]
    np.testing.assert_allclose(again, value, rtol=1e-9)
