"""The chain by a second route: rational arithmetic, statsmodels, brute integration, simulation of a reference distribution, NUTS."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.integrate import quad
from statsmodels.stats.mediation import Mediation

from funnelstats.data.periods import Periods, read_periods
from funnelstats.decisions.planning import chain_levels
from funnelstats.distributions import product
from funnelstats.inference.priors import Prior
from funnelstats.models.chain import Chain
from funnelstats.models.chain_effects import delta, effect_table
from funnelstats.models.chain_equations import equations
from funnelstats.models.chain_estimate import bandwidth, fixed_b, least_squares
from funnelstats.models.chain_inverse import inverse_prediction, level_set
from funnelstats.models.chain_restrictions import added, influence, long_run_variance
from funnelstats.models.chain_system import SystemEquation, fit_system

PERIODS = read_periods("bundled:monthly_chain")

# -- eight periods, every number exact -----------------------------------------------------------------------------------------

EIGHT = pd.DataFrame({"M": [1, 2, 3, 4, 5, 6, 7, 8], "L": [2, 5, 5, 9, 10, 13, 13, 17], "S": [1, 3, 2, 5, 5, 7, 6, 9],
                      "R": [3, 5, 6, 9, 8, 13, 11, 16]})  # fmt: skip


def rational_line(x, y):
    """Slope, intercept, residual variance and Sxx by hand."""
    x, y = [Fraction(int(v)) for v in x], [Fraction(int(v)) for v in y]
    n, mx, my = len(x), sum(x) / len(x), sum(y) / len(y)
    sxx = sum((u - mx) ** 2 for u in x)
    slope = sum((u - mx) * (v - my) for u, v in zip(x, y, strict=True)) / sxx
    level = my - slope * mx
    variance = sum((v - level - slope * u) ** 2 for u, v in zip(x, y, strict=True)) / (n - 2)
    return slope, level, variance, sxx


@pytest.fixture(scope="module")
def eight():
    return Chain().fit(Periods.of(EIGHT, period=None), seed=1, errors="classical", draws=500)


def test_chain_oracle_exact_coefficients(eight):
    points = eight.points()
    expected = {"a": "85/42", "b": "1/7", "c": "37/71", "d": "-5/71", "e": "35/22", "f": "29/22"}
    for name, value in expected.items():
        assert points[name] == pytest.approx(float(Fraction(value)), rel=1e-12)
    for (slope, level), (x, y) in zip(("ab", "cd", "ef"), ("ML", "LS", "SR"), strict=True):
        found = rational_line(EIGHT[x], EIGHT[y])
        assert (found[0], found[1]) == (Fraction(expected[slope]), Fraction(expected[level]))


def test_chain_oracle_exact_variances_product_and_total(eight):
    group = eight.tree["estimate"].to_dataset()
    variance = dict(zip(group["coefficient"].values, np.diag(group["covariance"]), strict=True))
    for name, value in {"a": "115/5292", "c": "92/75615", "e": "41/2178"}.items():
        assert variance[name] == pytest.approx(float(Fraction(value)), rel=1e-12)
    assert eight.total_effect().point == pytest.approx(float(Fraction("15725/9372")), rel=1e-12)
    assert eight.intercept().point == pytest.approx(float(Fraction("2069/1562")), rel=1e-12)
    row = delta(eight, "total")
    assert row["se"] == pytest.approx(0.2202005699650992, rel=1e-12)
    slopes = [eight.points()[name] for name in "ace"]
    assert product.exact_sd(slopes, [variance[name] ** 0.5 for name in "ace"]) == pytest.approx(0.22081804901150173, rel=1e-12)
    reduced = eight.reduced_form()
    assert reduced.total_effect().point == pytest.approx(47 / 28, rel=1e-12)
    assert reduced.intercept().point == pytest.approx(37 / 28, rel=1e-12)
    assert delta(reduced, "total")["se"] == pytest.approx(0.22303564279994278, rel=1e-12)


def test_chain_oracle_exact_instruments():
    """With the source as only instrument, the product of instrumental slopes IS the slope of the last on the first."""
    fit = Chain().fit(Periods.of(EIGHT, period=None), seed=1, method="3sls", draws=50)
    points = fit.points()
    assert points["c"] == pytest.approx(43 / 85, rel=1e-10)
    assert points["e"] == pytest.approx(141 / 86, rel=1e-10)
    assert fit.total_effect().point == pytest.approx(47 / 28, rel=1e-10)


def test_chain_oracle_exact_levels(eight):
    assert chain_levels(eight, 20).point == pytest.approx(11.130429252782195, rel=1e-12)
    found = inverse_prediction(EIGHT["M"], EIGHT["R"], 20)
    assert found.point == pytest.approx(11.127659574468085, rel=1e-12)


SHARED = np.full((4, 4), 0.4) + np.diag([0.6] * 4)
SHARED[0, 1:] = SHARED[1:, 0] = 0.0


@pytest.mark.parametrize(
    ("noise", "direct", "error_L", "error_S", "c", "e", "product", "total"),
    [
        (np.eye(4), 0.0, 0.0, 0.0, 0.5, 0.8, 0.8, 0.8),
        (SHARED, 0.0, 0.0, 0.0, 0.58, 1.0264151, 1.19064, 0.8),
        (np.eye(4), 0.5, 0.0, 0.0, 0.5, 1.0222222, 1.0222222, 1.3),
        (np.eye(4), 0.0, 1.0, 0.0, 0.4166667, 0.8, 0.6666667, 0.8),
        (np.eye(4), 0.0, 1.0, 1.0, 0.4166667, None, None, 0.8),
    ],
    ids=["recursive", "errors correlated .4", "missing arrow .5", "error in L", "error in L and S"],
)
def test_chain_plims(noise, direct, error_L, error_S, c, e, product, total):
    """What least squares tends to where an assumption fails: fits to data whose sample moments are exactly those of the world."""
    white = np.linalg.qr(np.column_stack([np.ones(400), np.random.default_rng(5).standard_normal((400, 6))]))[0][:, 1:] * 20
    M, u1, u2, u3 = np.linalg.cholesky(noise) @ white.T[:4]
    L = 2 * M + u1
    S = 0.5 * L + u2
    R = 0.8 * S + direct * M + u3
    frame = pd.DataFrame({"M": M, "L": L + error_L * white[:, 4], "S": S + error_S * white[:, 5], "R": R})
    points = Chain().fit(Periods.of(frame + 50.0, period=None), seed=1, errors="classical", draws=50).points()
    if e is None:  # S = M + u1 / 2 + u2, recorded with an error of variance 1
        e = 0.8 * 2.25 / 3.25
        product = 2 * c * e
        assert product == pytest.approx(0.4611, abs=0.01)  # own simulation of 4,000 worlds
    assert (points["a"], points["c"], points["e"]) == (
        pytest.approx(2, rel=1e-9),
        pytest.approx(c, rel=1e-6),
        pytest.approx(e, rel=1e-6),
    )
    assert points["a"] * points["c"] * points["e"] == pytest.approx(product, rel=1e-5)
    reduced = Chain.of("M -> R").fit(Periods.of(frame + 50.0, period=None), seed=1, errors="classical", draws=50)
    assert next(iter(reduced.points().values())) == pytest.approx(total, rel=1e-9)


def test_instrumental_identity_holds_on_any_data_and_the_peer_agrees():
    """Three stages of linearmodels, coefficients and joint covariance, are the closed form of a just identified chain."""
    for seed in range(3):
        frame = pd.DataFrame(np.random.default_rng(seed).normal(size=(30, 4)).cumsum(axis=1), columns=list("MLSR"))
        fit = Chain().fit(Periods.of(frame, period=None), seed=1, method="3sls", draws=20)
        m, one = {"M": frame["M"].to_numpy()}, np.ones(30)
        system = [SystemEquation(name="L", y=frame["L"].to_numpy(), exogenous={"a": m["M"], "b": one})]
        system += [SystemEquation(name=y, y=frame[y].to_numpy(), exogenous={base: one}, endogenous={slope: frame[x].to_numpy()},
                                  instruments=m) for x, y, slope, base in (("L", "S", "c", "d"), ("S", "R", "e", "f"))]  # fmt: skip
        peer = fit_system(system, method="3sls")
        order = [peer.names.index(name) for name in ("L:a", "L:b", "S:c", "S:d", "R:e", "R:f")]
        np.testing.assert_allclose(list(fit.points().values()), peer.point[order], rtol=1e-8)
        ours = fit.tree["estimate"]["covariance"].values
        np.testing.assert_allclose(ours, peer.covariance[np.ix_(order, order)], rtol=1e-6, atol=1e-12)
        slope = np.polyfit(frame["M"], frame["R"], 1)[0]
        assert fit.total_effect().point == pytest.approx(slope, rel=1e-8)


# -- statsmodels ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("errors", ["hac", "hc3", "classical"])
def test_covariances_are_those_of_statsmodels(errors):
    table = PERIODS.frame
    links = equations(Chain.of(skip="M -> R").paths(), table, subject="test")
    joint = least_squares(links, errors=errors)
    lags = int(4 * (36 / 100) ** (2 / 9))
    assert bandwidth(36) == lags == 3
    options = {"hac": {"cov_type": "HAC", "cov_kwds": {"maxlags": lags, "use_correction": True}}, "hc3": {"cov_type": "HC3"},
               "classical": {}}[errors]  # fmt: skip
    at = 0
    for target, sources in (("L", ["M"]), ("S", ["L"]), ("R", ["S", "M"])):
        theirs = sm.OLS(table[target], sm.add_constant(table[sources])).fit(**options)
        size = len(sources) + 1
        order = [1, 0, *range(2, size)]
        np.testing.assert_allclose(joint.point[at : at + size], theirs.params.to_numpy()[order], rtol=1e-8)
        ours = joint.covariance[at : at + size, at : at + size]
        np.testing.assert_allclose(ours, theirs.cov_params().to_numpy()[np.ix_(order, order)], rtol=1e-6)
        at += size
    off = joint.covariance[:2, 2:]
    assert not off.any()


def test_long_run_variance_is_the_hac_variance():
    links = equations(Chain.of("M -> R").paths(), PERIODS.frame, subject="test")
    theirs = sm.OLS(PERIODS.frame["R"], sm.add_constant(PERIODS.frame["M"])).fit(cov_type="HAC", cov_kwds={"maxlags": 3})
    ours = long_run_variance(influence(links[0])[:, 0], ordered=True)
    assert ours == pytest.approx(theirs.cov_params().loc["M", "M"], rel=1e-9)
    column = PERIODS.frame["L"].to_numpy()
    tested = added(links[0], column, ordered=False)
    full = sm.OLS(PERIODS.frame["R"], sm.add_constant(PERIODS.frame[["M", "L"]])).fit(cov_type="HC3", use_t=True)
    assert (tested.estimate, tested.se) == pytest.approx((full.params["L"], full.bse["L"]), rel=1e-6)
    assert tested.p == pytest.approx(full.pvalues["L"], rel=1e-5)


def test_indirect_effect_is_that_of_the_mediation_peer():
    rng = np.random.default_rng(2)
    m = rng.normal(size=200)
    mediator = 0.7 * m + rng.normal(size=200)
    frame = pd.DataFrame({"M": m, "L": mediator, "R": 0.5 * mediator + 0.3 * m + rng.normal(size=200)})
    fit = Chain.of("M -> L -> R", skip="M -> R").fit(Periods.of(frame, period=None), seed=1, errors="classical", draws=2000)
    outcome = sm.OLS(frame["R"].to_numpy(), np.column_stack([np.ones(200), frame["L"], frame["M"]]))
    middle = sm.OLS(frame["L"].to_numpy(), np.column_stack([np.ones(200), frame["M"]]))
    peer = (
        Mediation(outcome, middle, [2, 1], 1).fit(n_rep=1000, rng=0).summary(alpha=0.1)
    )  # arrays: formulas take a hundred times as long
    for ours, theirs in (
        (fit.indirect_effect(), "ACME (average)"),
        (fit.direct_effect(), "ADE (average)"),
        (fit.total_effect(), "Total effect"),
    ):
        row = peer.loc[theirs]
        np.testing.assert_allclose((ours.point, ours.lower, ours.upper), row.to_numpy(float)[:3], atol=0.035)


def test_log_likelihood_is_scipys():
    for method in ("quadrature", "3sls"):
        fit = Chain().fit(PERIODS, seed=1, method=method, draws=20)
        found = fit.log_likelihood().isel(chain=1, draw=7)
        values = {name: float(draws.isel(chain=1, draw=7)) for name, draws in fit.values().items()}
        posterior = fit.tree["posterior"].to_dataset().isel(chain=1, draw=7)
        sigma = posterior["sigma"].values
        correlation = np.eye(3)
        if "correlation" in posterior:
            ls, lr, sr = posterior["correlation"].values
            correlation = np.array([[1, ls, lr], [ls, 1, sr], [lr, sr, 1]])
        frame = PERIODS.frame
        residuals = np.column_stack([frame["L"] - values["a"] * frame["M"] - values["b"], frame["S"] - values["c"] * frame["L"] - values["d"],
                                     frame["R"] - values["e"] * frame["S"] - values["f"]])  # fmt: skip
        expected = stats.multivariate_normal(cov=correlation * np.outer(sigma, sigma)).logpdf(residuals)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_predictive_noise_with_correlated_links_is_the_quadratic_form():
    fit = Chain().fit(PERIODS, seed=1, method="3sls", draws=20)
    values, posterior = fit.values(), fit.tree["posterior"].to_dataset()
    weights = (
        np.array([float(values["e"][0, 3] * values["c"][0, 3]), float(values["e"][0, 3]), 1.0]) * posterior["sigma"].values[0, 3]
    )
    ls, lr, sr = posterior["correlation"].values[0, 3]
    expected = weights @ np.array([[1, ls, lr], [ls, 1, sr], [lr, sr, 1]]) @ weights
    assert float(fit.noise_sd()[0, 3]) ** 2 == pytest.approx(expected, rel=1e-10)


# -- the posterior -------------------------------------------------------------------------------------------------------------


def test_quadrature_is_brute_integration():
    """Posterior mean and sd of a slope by two-dimensional integration, the intercept held by a centred design."""
    rng = np.random.default_rng(5)
    x = np.arange(12.0) - 5.5
    frame = pd.DataFrame({"M": x, "R": 0.4 * x + rng.normal(size=12)})
    chain = Chain.of("M -> R", scales=(("M", 0.0, 2.0), ("R", 0.0, 1.5)), slope=Prior.of("normal", 0.1, 0.5))
    fit = chain.fit(Periods.of(frame, period=None), seed=1, method="quadrature", draws=25_000)
    X, y = x / 2.0, frame["R"].to_numpy() / 1.5

    def density(slope, sigma):  # the intercept, N(0, 1), integrated out: y has covariance sigma^2 I + 11'
        residual, n = y - slope * X, len(y)
        total = residual.sum()
        form = (residual @ residual - total**2 / (sigma**2 + n)) / sigma**2
        return np.exp(
            -(n - 1) * np.log(sigma) - 0.5 * np.log(sigma**2 + n) - 0.5 * form - sigma**2 / 2 - 0.5 * ((slope - 0.1) / 0.5) ** 2
        )

    def over_sigma(slope):
        return quad(lambda sigma: density(slope, sigma), 0.05, 8, limit=200)[0]

    grid = np.linspace(-1.5, 2.5, 401)
    weights = np.array([over_sigma(slope) for slope in grid])
    mean = (weights @ grid) / weights.sum()
    sd = np.sqrt(weights @ (grid - mean) ** 2 / weights.sum())
    draws = np.asarray(fit.values()["a"]).ravel() * 2.0 / 1.5
    assert draws.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(100_000))
    assert draws.std() == pytest.approx(sd, rel=0.01)
    sigmas = np.linspace(0.05, 6, 400)
    over_slope = np.array([quad(lambda slope, s=s: density(slope, s), -3, 4, points=[0.5])[0] for s in sigmas])
    expected = (over_slope @ sigmas) / over_slope.sum()
    assert float(fit.tree["posterior"]["sigma"].mean()) / 1.5 == pytest.approx(expected, rel=0.005)


def test_nuts_and_quadrature_draw_from_one_posterior():
    exact = Chain().fit(PERIODS, seed=1, method="quadrature", draws=5000).summary()
    fit = Chain().fit(PERIODS, seed=2, method="mcmc", draws=700, tune=500, chains=4)
    assert fit.diagnose().passed, str(fit.diagnose())
    sampled = fit.summary()
    error = np.maximum(4 * sampled["sd"] / np.sqrt(sampled["ess"]), 0.05 * exact["sd"])
    assert (np.abs(sampled["mean"] - exact["mean"]) < error).all()
    assert (np.abs(sampled["lower"] - exact["lower"]) < 0.15 * exact["sd"]).all()
    assert (np.abs(sampled["upper"] - exact["upper"]) < 0.15 * exact["sd"]).all()
    np.testing.assert_allclose(sampled["sd"], exact["sd"], rtol=0.1)


def test_prior_draws_have_the_prior():
    chain = Chain(scales=(("M", 10, 4), ("L", 1000, 300), ("S", 500, 150), ("R", 400, 100)))
    fit = chain.fit(PERIODS, seed=1, method="prior", draws=5000)
    slope = np.asarray(fit.values()["c"]).ravel() * 300 / 150
    assert slope.mean() == pytest.approx(0, abs=0.03)
    assert slope.std() == pytest.approx(1, abs=0.02)
    at_centre = np.asarray(fit.values()["d"] + fit.values()["c"] * 1000).ravel()
    assert at_centre.mean() == pytest.approx(500, abs=5)
    assert at_centre.std() == pytest.approx(150, rel=0.02)
    spread = np.asarray(fit.tree["posterior"]["sigma"].sel(variable="R")).ravel() / 100
    assert spread.mean() == pytest.approx(np.sqrt(2 / np.pi), rel=0.02)


# -- reference distributions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_fixed_b_is_the_distribution_it_claims(share):
    """Simulate the t statistic of a mean with a Bartlett variance: Kiefer & Vogelsang (2005)."""
    rng, n, size = np.random.default_rng(1), 200, 8000
    lags = int(share * n) - 1
    y = rng.standard_normal((size, n))
    apart = y - y.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(apart, 2 * n, axis=1)
    covariances = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :n] / n
    weights = np.maximum(1 - np.arange(1, n) / (lags + 1), 0)
    variance = covariances[:, 0] + 2 * covariances[:, 1:] @ weights
    t = np.abs(y.mean(axis=1)) / np.sqrt(variance / n)
    assert np.mean(t > 1.6449 * fixed_b(share)) == pytest.approx(0.1, abs=0.02)


def test_fieller_set_is_an_inverted_test():
    """Endpoints are where the t test of `mean at x = target` just rejects."""
    rng = np.random.default_rng(1)
    x = np.arange(10.0)
    y = 2 * x + rng.normal(size=10)
    fit = sm.OLS(y, sm.add_constant(x)).fit()
    found = inverse_prediction(x, y, 9.0, prob=0.9)
    for level in (found.lower, found.upper):
        assert float(fit.t_test(([[1, level]], [9.0])).pvalue) == pytest.approx(0.1, abs=1e-8)
    again = level_set(
        9.0, intercept=fit.params[0], slope=fit.params[1], covariance=fit.cov_params(), critical=stats.t.ppf(0.95, 8)
    )
    assert (again.lower, again.upper) == pytest.approx((found.lower, found.upper), rel=1e-9)


def test_delta_and_monte_carlo_and_posterior_agree_where_links_are_precise():
    table = effect_table(Chain(), PERIODS, seed=1, errors="classical", ways=["delta", "monte carlo", "posterior"])
    total = table[table["effect"] == "total"].set_index("method")
    np.testing.assert_allclose(total["se"], total.loc["delta", "se"], rtol=0.1)
    np.testing.assert_allclose(total["lower"], total.loc["delta", "lower"], atol=0.3 * total.loc["delta", "se"])
    np.testing.assert_allclose(total["upper"], total.loc["delta", "upper"], atol=0.3 * total.loc["delta", "se"])
