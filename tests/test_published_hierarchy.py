"""Partial pooling against books, papers and the case study of another package; the source stands at each number."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, gammaln, logit

from funnelstats.data.datasets import load_dataset
from funnelstats.data.stages import StageCounts
from funnelstats.distributions.betabinomial import Tally, log_likelihood
from funnelstats.inference.diagnose import convergence
from funnelstats.inference.priors import Prior
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.trials import Trials

# Tarone (1982), Biometrics 38:215-220, as in Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., table 5.1; current experiment last.
RATS_Y = [0] * 14 + [1] * 8 + [2] * 9 + [1, 5, 2, 5, 3, 2, 7, 7, 3, 3, 2, 9, 10] + [4] * 7 + [10, 4, 4, 4, 5, 11, 12, 5, 5, 6, 5, 6, 6, 6, 6, 16, 15, 15, 9, 4]  # fmt: skip
RATS_N = [20, 20, 20, 20, 20, 20, 20, 19, 19, 19, 19, 18, 18, 17, 20, 20, 20, 20, 19, 19, 18, 18, 25, 24, 23, 20, 20, 20, 20, 20, 20, 10, 49, 19,
          46, 27, 17, 49, 47, 20, 20, 13, 48, 50, 20, 20, 20, 20, 20, 20, 20, 48, 19, 19, 19, 22, 46, 49, 20, 20, 23, 19, 22, 20, 20, 20, 52, 46, 47,
          24, 14]  # fmt: skip
RATS = Trials.of(RATS_Y, RATS_N)

# Efron & Morris (1975), JASA 70:311-319, table 1: hits in the first 45 at bats of 1970, and the average of the rest of the season.
HITS = [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7]
REST = [0.346, 0.298, 0.276, 0.222, 0.273, 0.27, 0.263, 0.21, 0.269, 0.23, 0.264, 0.256, 0.303, 0.264, 0.226, 0.285, 0.316, 0.2]
BASEBALL = Trials.of(HITS, 45)

# Bickel, Hammel & O'Connell (1975), Science 187:398-404; data set UCBAdmissions of R: admitted and rejected by department A to F.
MEN = [(512, 313), (353, 207), (120, 205), (138, 279), (53, 138), (22, 351)]
WOMEN = [(89, 19), (17, 8), (202, 391), (131, 244), (94, 299), (24, 317)]


@pytest.fixture(scope="module")
def rats():
    return BetaBinomial.bda3().fit(RATS, seed=1)


@pytest.fixture(scope="module")
def baseball():
    return BetaBinomial(concentration=Prior.of("pareto", 1, 1.5)).fit(BASEBALL, seed=1)


def test_rats_data():
    assert (len(RATS_Y), sum(RATS_Y), sum(RATS_N)) == (71, 267, 1739)


def test_rats_shapes(rats):
    """E[alpha] = 2.4 and E[beta] = 14.3 in BDA3 section 5.3; further digits and quantiles by an integration apart from this package."""
    exact = rats.exact(probs=(0.025, 0.5, 0.975), labels=[])
    assert exact.loc["alpha", "mean"] == pytest.approx(2.4027, rel=1e-3)
    assert exact.loc["beta", "mean"] == pytest.approx(14.320, rel=1e-3)
    assert round(exact.loc["alpha", "mean"], 1) == 2.4
    assert round(exact.loc["beta", "mean"], 1) == 14.3
    # no sd: under this prior the second moments are infinite, and any finite one tells where an integration was cut off
    np.testing.assert_allclose(exact.loc["alpha", [0.025, 0.5, 0.975]].astype(float), [1.2056, 2.2247, 4.6426], rtol=1e-3)
    np.testing.assert_allclose(exact.loc["beta", [0.025, 0.5, 0.975]].astype(float), [7.0357, 13.303, 27.5509], rtol=1e-3)


@pytest.mark.parametrize(
    ("label", "counts", "mean", "sd", "quantiles"),
    [
        ("1", (0, 20), 0.06357, 0.0416, (0.00693, 0.05579, 0.16394)),
        ("14", (0, 17), 0.06923, 0.04497, (0.00768, 0.06093, 0.17749)),
        ("32", (1, 10), 0.12677, 0.06497, (0.02885, 0.11736, 0.27824)),
        ("67", (16, 52), 0.26874, 0.05446, (0.17008, 0.26605, 0.38258)),
        ("70", (9, 24), 0.28289, 0.07332, (0.1541, 0.27796, 0.43932)),
        ("71", (4, 14), 0.21086, 0.07526, (0.08653, 0.20316, 0.37841)),
    ],
)
def test_rats_groups(rats, label, counts, mean, sd, quantiles):
    """The same integration, apart from this package."""
    at = RATS.labels.index(label)
    assert (RATS.wins[at], RATS.trials[at]) == counts
    row = rats.exact(probs=(0.025, 0.5, 0.975), labels=[label]).loc[f"rate[{label}]"].astype(float)
    np.testing.assert_allclose(row, [mean, sd, *quantiles], rtol=1e-3)


def test_rats_maximum_likelihood():
    """R package BayesGOF, vignette, gMLE.bb on the 70 earlier experiments: 2.304768, 14.079707; 2e-5 as printed there."""
    fit = BetaBinomial().fit(Trials.of(RATS_Y[:-1], RATS_N[:-1]), seed=1, method="mle", draws=4000)
    median = fit.to_datatree()["posterior"].to_dataset().median(("chain", "draw"))
    alpha = float(median["mean"] * median["concentration"])
    # Laplace draws are about the maximum; the median of (mean, concentration) is the maximum up to Monte Carlo error
    assert float(median["mean"]) == pytest.approx(2.304768 / (2.304768 + 14.079707), rel=0.01)
    assert alpha == pytest.approx(2.304768, rel=0.03)


@pytest.mark.parametrize(
    ("held_out", "own", "log_density"),
    [(1, (2.30479768, 14.07989166), -721.00102), (0, (2.34161843, 14.11482342), -730.338455)],
    ids=["70 groups (BayesGOF: 2.304768, 14.079707)", "71 groups"],
)
def test_rats_likelihood_is_highest_where_bayesgof_has_it(held_out, own, log_density):
    """Shapes at the maximum of the beta-binomial likelihood, climbed to apart from this package."""
    trials = Trials.of(RATS_Y[: 71 - held_out], RATS_N[: 71 - held_out])
    tally = Tally.of(trials.wins, trials.trials)

    def less(point):
        alpha, beta = np.exp(point)
        return -float(
            np.squeeze(log_likelihood(tally, mean=np.array([alpha / (alpha + beta)]), concentration=np.array([alpha + beta])))
        )

    best = minimize(less, [0.5, 2.5], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-11, "maxiter": 4000})
    np.testing.assert_allclose(np.exp(best.x), own, rtol=2e-5)
    ways = (gammaln(trials.trials + 1) - gammaln(trials.wins + 1) - gammaln(trials.trials - trials.wins + 1)).sum()
    assert -best.fun in (pytest.approx(log_density, abs=2e-4), pytest.approx(log_density + ways, abs=2e-4))
    if held_out:
        np.testing.assert_allclose(np.exp(best.x), (2.304768, 14.079707), rtol=2e-5)


def test_rats_mode_moves_with_the_scale(rats):
    """The mode on (log(alpha / beta), log(alpha + beta)) is (2.227, 13.284), that on (alpha, beta) is (1.825, 10.840)."""
    tally, model = Tally.of(RATS.wins, RATS.trials), rats.model

    def less(point, on_logs):
        mean, size = expit(point[:1]), np.exp(point[1:])
        value = (
            log_likelihood(tally, mean=mean, concentration=size)
            + model.mean.log_density(mean)
            + model.concentration.log_density(size)
        )
        # d(mean, size) is mean (1 - mean) size d(logit, log), and d(alpha, beta) / size
        value = value + (np.log(mean * (1 - mean) * size) if on_logs else -np.log(size))
        return -float(np.squeeze(value))

    for on_logs, expected in ((True, (2.227229, 13.283749)), (False, (1.824852, 10.839943))):
        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
        x, y = minimize(less, [-1.8, 2.7], args=(on_logs,), method="Nelder-Mead", options=options).x
        np.testing.assert_allclose((expit(x) * np.exp(y), (1 - expit(x)) * np.exp(y)), expected, rtol=2e-6)
        if on_logs:
            assert (x, y) == pytest.approx((-1.785783, 2.741548), abs=2e-6)


def test_rats_crude_moments_of_the_70_earlier_experiments():
    """BDA3, section 5.1: mean .136, sd .103 of the raw rates, hence the shapes 1.4 and 8.6."""
    rates = np.array(RATS_Y[:-1]) / np.array(RATS_N[:-1])
    mean, variance = rates.mean(), rates.var(ddof=1)
    size = mean * (1 - mean) / variance - 1
    assert (mean, np.sqrt(variance)) == (pytest.approx(0.13600654, abs=1e-8), pytest.approx(0.10349227, abs=1e-8))
    assert (mean * size, (1 - mean) * size) == (pytest.approx(1.356149, abs=1e-6), pytest.approx(8.615058, abs=1e-6))


@pytest.fixture(scope="module")
def sampled():
    return BetaBinomial.bda3().fit(RATS, seed=4, method="mcmc", draws=1000, chains=2)


def test_nuts_within_three_errors_of_quadrature(rats, sampled):
    exact = rats.exact(labels=["1", "71"])
    draws = sampled.to_datatree()["posterior"].to_dataset()
    draws = draws.assign(alpha=draws["mean"] * draws["concentration"], beta=(1 - draws["mean"]) * draws["concentration"])
    draws = draws.assign({f"rate[{g}]": draws["rate"].sel(group=g, drop=True) for g in ("1", "71")}).drop_vars(["rate", "group"])
    sizes = convergence(draws)["ess_bulk"]
    for name in exact.index:
        error = float(draws[name].std()) / np.sqrt(sizes[name])
        assert abs(float(draws[name].mean()) - exact.loc[name, "mean"]) < 3 * error, name
        if name in {"mean", "rate[1]", "rate[71]"}:
            assert float(draws[name].std()) == pytest.approx(exact.loc[name, "sd"], rel=0.1)


#: First player with so many hits; mean, sd, quantiles 2.5, 10, 50, 90 and 97.5 % of his rate.
BASEBALL_RATES = [
    ("1", 0.32169, 0.052, 0.23493, 0.25982, 0.31631, 0.39149, 0.4369), ("2", 0.31263, 0.04999, 0.22804, 0.25327, 0.30761, 0.37942, 0.42332),
    ("3", 0.30357, 0.0482, 0.22052, 0.24629, 0.29904, 0.36757, 0.40992), ("4", 0.29452, 0.04663, 0.2124, 0.23883, 0.29059, 0.35595, 0.39673),
    ("5", 0.28546, 0.04532, 0.20374, 0.23087, 0.28226, 0.34461, 0.38379), ("7", 0.27641, 0.04428, 0.1946, 0.22242, 0.27402, 0.3336, 0.37114),
    ("8", 0.26735, 0.04354, 0.18503, 0.2135, 0.26582, 0.32297, 0.35886), ("9", 0.25829, 0.04311, 0.17509, 0.20417, 0.25761, 0.31279, 0.34701),
    ("11", 0.24924, 0.043, 0.16481, 0.19445, 0.24932, 0.30313, 0.33568), ("16", 0.24018, 0.04321, 0.15424, 0.18438, 0.2409, 0.29405, 0.32497),
    ("17", 0.23112, 0.04374, 0.14341, 0.174, 0.23231, 0.28558, 0.31501), ("18", 0.22207, 0.04458, 0.13236, 0.16333, 0.22356, 0.27773, 0.30588),
]  # fmt: skip


def test_baseball_posterior(baseball):
    """Carpenter (2016), Hierarchical partial pooling for repeated binary trials (Stan case study); exact by another quadrature."""
    exact = baseball.exact(probs=(0.025, 0.1, 0.5, 0.9, 0.975), labels=[row[0] for row in BASEBALL_RATES])
    assert exact.loc["mean", "mean"] == pytest.approx(0.2685, abs=1e-4)
    np.testing.assert_allclose(exact.loc["mean", [0.1, 0.5, 0.9]].astype(float), [0.24245, 0.26791, 0.29539], rtol=2e-4)
    np.testing.assert_allclose(
        exact.loc["mean", [0.1, 0.5, 0.9]].astype(float), [0.2427, 0.2678, 0.295], atol=5e-4
    )  # a coarser grid
    kappa = exact.loc["concentration", [0.025, 0.1, 0.5, 0.9, 0.975]].astype(float)
    np.testing.assert_allclose(kappa, [16.5497, 25.6692, 64.3859, 221.681, 555.129], rtol=1e-3)  # trapezium of 400 x 4,500 points
    np.testing.assert_allclose(kappa, [16.61, 25.79, 64.716, 221.41, 555.57], rtol=6e-3)  # a coarser grid
    for label, *values in BASEBALL_RATES:
        np.testing.assert_allclose(exact.loc[f"rate[{label}]"].astype(float), values, rtol=1e-3)


def test_baseball_james_stein(baseball):
    """Efron & Morris (1977), Scientific American 236(5):119-127: shrinkage factor .212, Clemente .294 to Alvis .242."""
    y = np.array(HITS) / 45
    c = 1 - 15 * y.mean() * (1 - y.mean()) / 45 / ((y - y.mean()) ** 2).sum()
    assert c == pytest.approx(0.2116534, abs=1e-6)
    stein = y.mean() + c * (y - y.mean())
    printed = [0.294, 0.289, 0.285, 0.28, 0.275, 0.275, 0.27, 0.266, 0.261, 0.261, *[0.256] * 5, 0.252, 0.247, 0.242]
    np.testing.assert_allclose(stein, printed, atol=6e-4)
    assert y.mean() == pytest.approx(0.2654321, abs=1e-7)
    assert ((y - REST) ** 2).sum() == pytest.approx(0.0753, abs=5e-5)
    assert ((stein - REST) ** 2).sum() == pytest.approx(0.0213, abs=5e-5)
    error = ((y - REST) ** 2).sum()
    assert error / ((stein - REST) ** 2).sum() == pytest.approx(3.535, abs=0.01)
    # partial pooling foretells the rest of the season as well: about three times better than the raw averages
    pooled = baseball.predict().point.values
    assert error / ((pooled - REST) ** 2).sum() > 2.8


def test_baseball_on_the_arcsine_scale(baseball):
    """Efron & Morris (1975), table 1: transformed averages, S = 18.96, shrinkage .209, total squared errors 17.56 and 5.01."""
    bundled = load_dataset("batting_1970").sort_values("hits", ascending=False, kind="stable")
    x = np.sqrt(45) * np.arcsin(2 * bundled["hits"].to_numpy() / 45 - 1)
    rest = np.sqrt(45) * np.arcsin(2 * np.array(REST) - 1)
    printed = [-1.35, -1.66, -1.97, -2.28, -2.6, -2.6, -2.92, -3.26, -3.6, -3.6, *[-3.95] * 5, -4.32, -4.7, -5.1]
    np.testing.assert_allclose(x, printed, atol=1.1e-2)
    S = ((x - x.mean()) ** 2).sum()
    keep = 1 - (len(x) - 3) / S
    assert (S, keep) == (pytest.approx(18.96272, abs=1e-5), pytest.approx(0.20897, abs=1e-5))
    stein = x.mean() + keep * (x - x.mean())
    back = [0.29, 0.286, 0.281, 0.277, 0.273, 0.273, 0.268, 0.264, 0.259, 0.259, *[0.254] * 5, 0.249, 0.244, 0.239]
    np.testing.assert_allclose((np.sin(stein / np.sqrt(45)) + 1) / 2, back, atol=6e-4)
    errors = ((x - rest) ** 2).sum(), ((stein - rest) ** 2).sum()
    assert errors == (pytest.approx(17.57, abs=0.01), pytest.approx(5.0, abs=0.01))
    pooled = np.sqrt(45) * np.arcsin(
        2 * baseball.predict().point.values - 1
    )  # the model does about as well as the estimator of 1975
    assert ((pooled - rest) ** 2).sum() < 6


@pytest.fixture(scope="module")
def berkeley():
    rows = []
    for sex, counts in (("men", MEN), ("women", WOMEN)):
        for department, (admitted, rejected) in zip("ABCDEF", counts, strict=True):
            rows += [{"sex": sex, "department": department, "stage": "Applied", "entered": admitted + rejected},
                     {"sex": sex, "department": department, "stage": "Admitted", "entered": admitted}]  # fmt: skip
    return StageCounts.of(pd.DataFrame(rows), by=["sex", "department"], source="UCBAdmissions")


def test_berkeley_by_a_plain_logit(berkeley):
    """R, glm(Admit ~ Gender) and glm(Admit ~ Gender + Dept) on UCBAdmissions: -0.61035 and 0.09987, deviance 20.20428 on 5 df."""
    admitted = berkeley.stages_by("sex").frame
    rate = admitted["advanced"][admitted["stage"] == "Applied"].to_numpy() / admitted["entered"][admitted["stage"] == "Applied"]
    assert logit(rate).tolist() == pytest.approx([-0.220134, -0.8304864], abs=1e-6)
    assert float(np.diff(logit(rate))[0]) == pytest.approx(-0.61035, abs=1e-4)
    assert -float(np.diff(rate)[0]) == pytest.approx(0.1416454, abs=1e-7)
    import statsmodels.genmod.generalized_linear_model as glm
    from statsmodels.genmod.families import Binomial

    counts = np.array([*MEN, *WOMEN])
    women = np.repeat([0.0, 1.0], 6)
    departments = np.tile(np.eye(6), (2, 1))
    fit = glm.GLM(counts, np.column_stack([women, departments]), family=Binomial()).fit()
    assert (fit.params[0], fit.bse[0]) == (pytest.approx(0.09987, abs=1e-4), pytest.approx(0.08085, abs=1e-4))
    # here every department has its own level; R's table has that of A, and the others less it
    shown = np.array([fit.params[1], *(fit.params[2:] - fit.params[1])])
    np.testing.assert_allclose(shown, [0.58205, -0.0434, -1.2626, -1.29461, -1.73931, -3.30648], atol=1e-4)
    covariance = fit.cov_params()
    against = [np.sqrt(covariance[k, k] + covariance[1, 1] - 2 * covariance[1, k]) for k in range(2, 7)]
    np.testing.assert_allclose([fit.bse[1], *against], [0.06899, 0.10984, 0.10663, 0.10582, 0.12611, 0.16998], atol=1e-4)
    alone = glm.GLM(counts, np.column_stack([np.ones(12), women]), family=Binomial()).fit()
    np.testing.assert_allclose(alone.params, [-0.22013, -0.61035], atol=1e-4)
    np.testing.assert_allclose(alone.bse, [0.03879, 0.06389], atol=1e-4)
    assert alone.deviance == pytest.approx(783.607, abs=1e-3)
    assert fit.deviance == pytest.approx(20.20428, abs=1e-4)


def test_berkeley_with_departments_pooled(berkeley):
    """Overall men are admitted more often, at the same departments women are: the effect of the mix is taken off, Simpson's paradox."""
    fit = HierarchicalConversion(groups=("sex", "department")).fit(berkeley, seed=1, draws=700, chains=2, tune=500)
    effect = fit.to_datatree()["posterior"].to_dataset()["effect_sex"].isel(stage=0)
    gap = effect.sel(sex="women") - effect.sel(sex="men")
    # two sexes tell little of their own spread, so the gap is drawn towards zero: below the unpooled .0999, within its error
    assert 0 < float(gap.mean()) < 0.09987 + 0.02
    assert float(gap.std()) == pytest.approx(0.08085, rel=0.25)
    rates = fit.stage_rates("department").point.values[:, 0]
    raw = [(m[0] + w[0]) / (sum(m) + sum(w)) for m, w in zip(MEN, WOMEN, strict=True)]
    np.testing.assert_allclose(rates, raw, atol=0.02)
    same_mix = fit.standardised_rates("sex").point
    assert float(same_mix.sel(sex="women")) > float(same_mix.sel(sex="men"))
    names = "ABCDEF"
    unpooled = np.array(
        [0.58205, -0.0434, -1.2626, -1.29461, -1.73931, -3.30648]
    )  # R, as above: intercept and departments B to F
    men = expit(unpooled[0] + np.array([0, *unpooled[1:]]))
    pooled = fit.predict([{"sex": "men", "department": name} for name in names]).point.values[:, 0]
    np.testing.assert_allclose(pooled, men, atol=0.02)
