"""What must hold of repeat-buying models for any parameters: sums, second routes, limits, units, and both array libraries."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, gammaln
from scipy.stats import beta

from funnelstats.data.transactions import Transactions
from funnelstats.distributions import bgbb, bgnbd, coin, gammagamma, leaving, mbgnbd, paretonbd, sbg
from funnelstats.distributions.histories import Histories
from funnelstats.inference import parametric
from funnelstats.models import purchases
from funnelstats.models.purchases import BgNbd, ParetoNbd

COIN = {"r": 0.7, "alpha": 5.0, "a": 0.8, "b": 2.5}
PARETO = {"r": 0.7, "alpha": 5.0, "s": 1.4, "beta": 8.0}
OCCASIONS = {"alpha": 1.2, "beta": 0.75, "gamma": 0.66, "delta": 2.8}
X, T_X, T = np.array([0, 1, 3, 12]), np.array([0, 4.0, 20, 30]), np.array([38.0, 4.0, 35, 31])
CONTINUOUS = [(bgnbd, COIN), (mbgnbd, COIN), (paretonbd, PARETO)]
each = pytest.mark.parametrize(("model", "parameters"), CONTINUOUS, ids=["BG", "MBG", "Pareto"])


@each
def test_counts_sum_to_one_and_have_the_expected_mean(model, parameters):
    k = np.arange(400)
    new = model.pmf(k, 20.0, **parameters)
    assert new.sum() == pytest.approx(1, abs=1e-9)
    assert k @ new == pytest.approx(float(model.expected_purchases_new(20.0, **parameters)), rel=1e-7)
    for history in zip(X, T_X, T, strict=True):
        given = model.pmf_given(k, 20.0, *history, **parameters)
        assert given.sum() == pytest.approx(1, abs=1e-9)
        assert k @ given == pytest.approx(float(model.expected_purchases(20.0, *history, **parameters)), rel=1e-7)


@each
def test_density_integrates_to_the_pmf(model, parameters):
    """All ways to have bought twice by 20: the first of the two was at any time before the second."""

    ways = quad(lambda t: t * np.exp(float(model.log_likelihood(2, t, 20.0, **parameters))), 0.0, 20.0, epsabs=1e-12)[0]
    assert ways == pytest.approx(float(model.pmf(2, 20.0, **parameters)), rel=1e-8)


@each
def test_changing_weeks_to_days_changes_no_number(model, parameters):
    in_days = {name: 7 * value if name in ("alpha", "beta") else value for name, value in parameters.items()}
    for name in ("probability_alive", "expected_purchases"):
        weeks, days = ((), ()) if name == "probability_alive" else ((10.0,), (70.0,))
        one = getattr(model, name)(*weeks, X, T_X, T, **parameters)
        other = getattr(model, name)(*days, X, 7 * T_X, 7 * T, **in_days)
        np.testing.assert_allclose(other, one, rtol=1e-12)
    shift = model.log_likelihood(X, 7 * T_X, 7 * T, **in_days) - model.log_likelihood(X, T_X, T, **parameters)
    np.testing.assert_allclose(shift, -X * np.log(7), atol=1e-10)


@each
def test_the_future_continues_the_past(model, parameters):
    """A customer of age 0 is a new customer; increments of the expectation fall; P(alive) stays within 0 and 1."""
    new = model.expected_purchases_new(np.linspace(0, 60, 61), **parameters)
    assert new[0] == 0
    assert np.all(np.diff(new, 2) < 0)
    alive = model.probability_alive(*np.meshgrid([0, 1, 5, 50, 500], [0.5, 5, 39], [39.0], indexing="ij"), **parameters)
    assert np.all((alive >= 0) & (alive <= 1))
    more = np.array([1, 2, 4, 8, 16])
    assert np.all(np.diff(model.probability_alive(more, 20.0, 39.0, **parameters)) < 0)  # silence tells more of a frequent buyer


@pytest.mark.parametrize("a", [1.0, 1 + 1e-12, 1 - 1e-6, 0.3, 2.0, 40.0, 800.0])
@pytest.mark.parametrize(("horizon", "r", "b"), [(0.01, 0.3, 0.1), (52.0, 0.25, 2.4), (52.0, 200.25, 202.0), (5000.0, 0.25, 0.4)])
def test_expectation_is_the_integral_over_the_coin_on_both_sides_of_one(a, horizon, r, b):
    alpha = 4.4

    def inside(p):
        return -np.expm1(-r * np.log1p(p * horizon / alpha)) / p if p > 1e-12 else r * horizon / alpha

    if min(a, b) >= 1:
        whole = quad(lambda p: inside(p) * beta.pdf(p, a, b), 0, 1, limit=500, epsrel=1e-11, points=[0.01, a / (a + b)])[0]
    else:
        whole = quad(inside, 0, 1, weight="alg", wvar=(a - 1, b - 1), limit=500, epsabs=0, epsrel=1e-11)[0] / np.exp(betaln(a, b))
    assert float(coin.expected_while_alive(horizon, r=r, alpha=alpha, a=a, b=b)) == pytest.approx(whole, rel=1e-8)


@pytest.mark.parametrize("s", [1.0, 1 + 1e-13, 1 - 1e-7, 0.4, 3.0])
def test_pareto_expectation_on_both_sides_of_one(s):
    rate, horizon = 0.7 / 5.0, 30.0
    expected = rate * quad(lambda u: (1 + u / 8.0) ** -s, 0, horizon, epsabs=1e-13)[0]
    found = paretonbd.expected_purchases_new(horizon, r=0.7, alpha=5.0, s=s, beta=8.0)
    assert float(found) == pytest.approx(expected, rel=1e-10)


@each
def test_extremes_are_finite(model, parameters):
    x, t_x, age = np.array([0, 1, 5000, 300]), np.array([0, 1e-6, 38.0, 1.0]), np.array([39.0, 39.0, 38.0, 1000.0])
    for scale in (1e-3, 1.0, 1e3):
        values = {name: value * scale if name != "alpha" else value for name, value in parameters.items()}
        assert np.all(np.isfinite(model.log_likelihood(x, t_x, age, **values)))
        alive = model.probability_alive(x, t_x, age, **values)
        assert np.all((alive >= 0) & (alive <= 1))
        future = model.expected_purchases(52.0, x, t_x, age, **values)
        assert np.all(np.isfinite(future) & (future >= 0))


def test_bgnbd_without_differing_loyalty_is_a_geometric_life():
    """Limit a, b to infinity at a / (a+b) = 0.2: the coin is the same for all, and no digit is lost on the way."""
    near = bgnbd.log_likelihood(X, T_X, T, r=0.7, alpha=5.0, a=2e9, b=8e9)
    bought = gammaln(0.7 + X) - gammaln(0.7) + 0.7 * np.log(5.0)
    ways = 0.8**X * (5 + T) ** -(0.7 + X) + np.where(X > 0, 0.2 * 0.8 ** np.maximum(X - 1, 0) * (5 + T_X) ** -(0.7 + X), 0)
    np.testing.assert_allclose(near, bought + np.log(ways), rtol=1e-8)


def test_pareto_integral_against_adaptive_quadrature():
    r, alpha, s, later = PARETO.values()
    for x, t_x, age in zip(X, T_X, T, strict=True):
        left = s * quad(lambda y, x=x: (alpha + y) ** -(r + x) * (later + y) ** -(s + 1), t_x, age, epsabs=0)[0]
        alive = (alpha + age) ** -(r + x) * (later + age) ** -s
        front = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(later)
        assert float(paretonbd.log_likelihood(x, t_x, age, **PARETO)) == pytest.approx(front + np.log(alive + left), rel=1e-12)


def test_integral_over_leaving_is_right_for_all_scales():
    """Where alpha is beta it is a difference of powers; elsewhere adaptive quadrature in log(c+y), told where each factor falls."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        p, q, end = 1 + 10 ** rng.uniform(-1.5, 2.8), 10 ** rng.uniform(-1.5, 2.8), 10 ** rng.uniform(-1, 2.5)
        t, alpha, later = end * rng.uniform(0, 1), *10 ** rng.uniform(-2, 5, 2)
        for one, two in ((alpha, alpha), (alpha, later)):
            found = float(leaving.log_integral(p, q, t, end, alpha=one, beta=two))
            if one == two:
                within = np.log1p((end - t) / (one + t)) * (p + q - 1)
                exact = np.log(one + t) - np.log(p + q - 1) + np.log(-np.expm1(-within))
            else:
                least = min(one, two)
                falls = np.log1p(np.array([(one + t) / p, (two + t) / q]) * [[0.1], [1], [10]] / (least + t)).ravel()
                top = np.log1p((end - t) / (least + t))

                def inside(w, least=least, one=one, two=two, p=p, q=q, t=t):
                    y = (least + t) * np.expm1(w)
                    return np.exp(w - p * np.log1p(y / (one + t)) - q * np.log1p(y / (two + t)))

                whole = quad(inside, 0, top, points=falls[falls < top], epsabs=0, epsrel=1e-12, limit=400)[0]
                exact = np.log(whole) + np.log(least + t)
            assert found == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize(
    "values", [(0.05, 1e-2, 500.0, 30.0), (0.5, 1e4, 0.02, 1e5), (200.0, 1.0, 4.0, 1e-2), (5.0, 30.0, 0.6, 1e4)]
)
def test_sum_over_customers_watched_to_different_ages_is_that_of_the_rows(values):
    """The sum has two integrals to the greatest age of all where a row has one to its own."""
    rng = np.random.default_rng(6)
    T = rng.integers(1, 366, 200) / 7
    x = np.minimum(rng.poisson(rng.gamma(0.5, 6, 200)), 400)
    t_x = np.where(x > 0, np.ceil(T * 7 * rng.beta(np.maximum(x, 1), 1)) / 7, 0.0)
    h, shapes = Histories.of(x, t_x, T), dict(zip(PARETO, values, strict=True))
    by_row = h.weight @ paretonbd.log_likelihood(h.x, h.t_x, h.T, **shapes)
    assert float(paretonbd.total_log_likelihood(h, **shapes)) == pytest.approx(by_row, rel=1e-12)
    assert paretonbd.expansion(h, **shapes)[0] == pytest.approx(by_row, rel=1e-12)


def test_discounted_purchases_against_quadrature():
    older = 8.0 + 35.0
    tail = quad(lambda u: (older / (older + u)) ** 1.4 * np.exp(-0.003 * u), 0, np.inf, epsabs=1e-10)[0]
    alive = float(paretonbd.probability_alive(3, 20.0, 35.0, **PARETO))
    found = float(paretonbd.discounted_purchases(3, 20.0, 35.0, rate=0.003, **PARETO))
    assert found == pytest.approx(alive * 3.7 / 40.0 * tail, rel=1e-9)
    with pytest.raises(ValueError, match="above 0"):
        paretonbd.discounted_purchases(3, 20.0, 35.0, rate=0.0, **PARETO)


def test_bgbb_sums_and_second_routes():
    n = 5
    rows = [(x, t) for t in range(n + 1) for x in range(t + 1) if (x == 0) == (t == 0)]
    ways = [1 if x == 0 else np.exp(gammaln(t) - gammaln(x) - gammaln(t - x + 1)) for x, t in rows]
    x, t = np.array(rows).T
    density = np.exp(bgbb.log_likelihood(x, t, n, **OCCASIONS))
    assert ways @ density == pytest.approx(1, abs=1e-12)
    k = np.arange(n + 1)
    np.testing.assert_allclose(bgbb.pmf(k, n, **OCCASIONS), [(ways * density)[x == one].sum() for one in k], rtol=1e-11)
    assert k @ bgbb.pmf(k, n, **OCCASIONS) == pytest.approx(float(bgbb.expected_purchases_new(n, **OCCASIONS)), rel=1e-12)
    given = np.stack([bgbb.pmf_given(one, 4, x, t, n, **OCCASIONS) for one in range(5)])
    np.testing.assert_allclose(given.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(np.arange(5) @ given, bgbb.expected_purchases(4, x, t, n, **OCCASIONS), rtol=1e-11)


def test_bgbb_at_gamma_one_and_its_discounted_sum():
    """The paper's closed form divides by gamma - 1; DERT is the sum of the discounted expectations of all occasions."""
    on, off = ({**OCCASIONS, "gamma": gamma} for gamma in (1.0, 1 + 1e-9))
    np.testing.assert_allclose(bgbb.expected_purchases(5, 2, 4, 6, **on), bgbb.expected_purchases(5, 2, 4, 6, **off), rtol=1e-7)
    alpha, other, gamma, delta = OCCASIONS.values()
    front = np.exp(betaln(alpha + 3, other + 4) - betaln(alpha, other) - float(bgbb.log_likelihood(2, 4, 6, **OCCASIONS)))

    def ratio(n):
        return np.exp(gammaln(1 + delta + n) - gammaln(gamma + delta + n))

    closed = front * delta / (gamma - 1) * np.exp(gammaln(gamma + delta) - gammaln(1 + delta)) * (ratio(6) - ratio(11))
    assert float(bgbb.expected_purchases(5, 2, 4, 6, **OCCASIONS)) == pytest.approx(float(closed), rel=1e-10)
    steps = np.diff([0.0, *(float(bgbb.expected_purchases(k, 2, 4, 6, **OCCASIONS)) for k in range(1, 400))])
    total = steps @ 1.1 ** -np.arange(1.0, 400)
    assert float(bgbb.discounted_purchases(2, 4, 6, rate=0.1, **OCCASIONS)) == pytest.approx(total, rel=1e-10)


def test_sbg_sums():
    t = np.arange(1, 2001)
    leaves, stays = np.exp(sbg.log_pmf(t, alpha=2.0, beta=3.0)), np.exp(sbg.log_survival(t, alpha=2.0, beta=3.0))
    np.testing.assert_allclose(np.cumsum(leaves) + stays, 1, rtol=1e-11)
    np.testing.assert_allclose(np.cumprod(sbg.retention(t, alpha=2.0, beta=3.0)), stays, rtol=1e-10)
    whole = 1 + (stays / 1.1**t).sum()
    assert float(sbg.expected_lifetime(rate=0.1, alpha=2.0, beta=3.0)) == pytest.approx(whole, rel=1e-12)
    rest = (stays[3:] / stays[2] / 1.1 ** np.arange(len(t) - 3)).sum()
    assert float(sbg.residual_lifetime(4, rate=0.1, alpha=2.0, beta=3.0)) == pytest.approx(rest, rel=1e-10)
    with pytest.raises(ValueError, match="infinite"):
        sbg.expected_lifetime(rate=0.0, alpha=0.7, beta=3.0)


def test_gamma_gamma_density_and_mean():
    values = {"p": 6.0, "q": 4.0, "v": 15.0}
    whole = quad(lambda z: np.exp(float(gammagamma.log_likelihood(3, z, **values))), 0, np.inf)[0]
    mean = quad(lambda z: z * np.exp(float(gammagamma.log_likelihood(3, z, **values))), 0, np.inf)[0]
    assert [whole, mean] == pytest.approx([1, 6 * 15 / 3], rel=1e-8)

    def expected(z):
        return np.exp(float(gammagamma.log_likelihood(3, z, **values))) * float(gammagamma.expected_spend(3, z, **values))

    back = quad(expected, 0, np.inf)[0]
    assert back == pytest.approx(30, rel=1e-8)  # the mean of the expectations is the mean


HISTORIES = Histories.of([0, 0, 2, 5, 2], [0, 0, 20.0, 30.0, 20.0], [39.0, 30.0, 35.0, 38.0, 35.0])
SPENDING = gammagamma.Spending.of([1, 3, 3], [20.0, 35.0, 8.0], weight=[2, 1, 1])


OCCASION_ROWS = ([0, 1, 4], [0, 3, 5], [6, 6, 6], [3, 1, 2])
#: Total log likelihood, its data, its parameters.
TOTALS = {
    "BG": (bgnbd.total_log_likelihood, (HISTORIES,), COIN),
    "MBG": (mbgnbd.total_log_likelihood, (HISTORIES,), COIN),
    "Pareto": (paretonbd.total_log_likelihood, (HISTORIES,), PARETO),
    "Pareto of short lives": (paretonbd.total_log_likelihood, (HISTORIES,), {"r": 0.3, "alpha": 20.0, "s": 2.5, "beta": 0.7}),
    "BG/BB": (bgbb.total_log_likelihood, OCCASION_ROWS, OCCASIONS),
    "sBG": (sbg.total_log_likelihood, ([30, 20], [0, 50]), {"alpha": 0.7, "beta": 1.2}),
    "Gamma-Gamma": (gammagamma.total_log_likelihood, (SPENDING,), {"p": 6.0, "q": 4.0, "v": 15.0}),
}
EXPANSIONS = {
    "BG": bgnbd.expansion, "MBG": mbgnbd.expansion, "Pareto": paretonbd.expansion,
    "Pareto of short lives": paretonbd.expansion, "Gamma-Gamma": gammagamma.expansion,
}  # fmt: skip


@pytest.mark.parametrize("name", TOTALS)
def test_numpy_and_pytensor_agree_on_value_and_slope_and_the_curvature_is_that_of_the_slope(name):
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode

    from funnelstats.distributions import ops
    from funnelstats.inference import tensors

    density, data, values = TOTALS[name]

    def function(*p, xp=ops):
        return density(*data, **dict(zip(values, p, strict=True)), xp=xp)

    point = np.array(list(values.values()))
    one = float(np.squeeze(function(*point)))
    variables = [pt.dscalar(key) for key in values]
    total = function(*variables, xp=tensors)
    compiled = pytensor.function(
        variables, [total, *pytensor.grad(total.sum(), variables)], mode=Mode(linker="py", optimizer=None)
    )
    value, *slope = compiled(*point)
    assert float(np.squeeze(value)) == pytest.approx(one, rel=1e-12)
    steps = 1e-5 * np.eye(len(point)) * point
    differences = [float(np.squeeze(function(*(point + h)) - function(*(point - h)))) / (2 * h.sum()) for h in steps]
    np.testing.assert_allclose(slope, differences, rtol=1e-6, atol=1e-7)
    if name in EXPANSIONS:

        def expand(point):
            return EXPANSIONS[name](*data, **dict(zip(values, point, strict=True)))

        total, analytic, bend = expand(point)
        assert total == pytest.approx(one, rel=1e-12)
        np.testing.assert_allclose(analytic, slope, rtol=1e-9, atol=1e-10)
        differences = [(expand(point + h)[1] - expand(point - h)[1]) / (2 * h.sum()) for h in steps]
        np.testing.assert_allclose(bend, differences, rtol=1e-6, atol=1e-7)
    many = np.stack([point, 1.1 * point]).T
    np.testing.assert_allclose(function(*many)[0], one, rtol=1e-12)
    assert function(*many)[1] == pytest.approx(float(np.squeeze(function(*(1.1 * point)))), rel=1e-12)


def test_rows_of_histories_add_up():
    x, t_x, T = HISTORIES.x, HISTORIES.t_x, HISTORIES.T
    assert len(HISTORIES) == 4
    assert HISTORIES.weight.sum() == 5
    for model, parameters in CONTINUOUS:
        by_row = HISTORIES.weight @ model.log_likelihood(x, t_x, T, **parameters)
        assert float(np.squeeze(model.total_log_likelihood(HISTORIES, **parameters))) == pytest.approx(by_row, rel=1e-13)


@pytest.mark.parametrize("model", [BgNbd(), ParetoNbd()])
def test_terms_beyond_the_normal_are_the_posterior_where_rows_are_many(model, monkeypatch):
    """Forty times the customers of CDNOW, a sample of them climbed first: draws corrected by a few curvatures, and by the posterior itself."""
    cdnow = Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30")
    data = replace(cdnow, weight=40 * cdnow.weight)
    monkeypatch.setattr(purchases, "ROUGH", 200)
    monkeypatch.setattr(parametric, "EFFORT", 1.0)
    quick = model.fit(data, seed=1, draws=1000)
    refused = []
    monkeypatch.setattr(parametric, "bent_normal", lambda *given: refused.append(given))
    monkeypatch.setattr(parametric, "LEAST", 800)
    exact = model.fit(data, seed=2, draws=1000)
    assert refused
    one, other = quick.summary(), exact.summary()
    assert quick.diagnose()["importance ESS"] > 3_600  # by the terms: the other way looks at 800 points
    np.testing.assert_allclose((one["mean"] - other["mean"]) / other["sd"], 0, atol=0.12)
    np.testing.assert_allclose(one["sd"] / other["sd"], 1, atol=0.12)
