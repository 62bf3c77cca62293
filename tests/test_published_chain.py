"""The chain against printed numbers: Kmenta's market, products of normals, inverse prediction, and the source article itself."""

import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.periods import Periods
from funnelstats.distributions import product
from funnelstats.errors import DefinitionWarning, FitError
from funnelstats.interval import Interval
from funnelstats.models.affine import Affine
from funnelstats.models.article import (
    chapter5_line,
    chapters_table,
    design_of_chapter5,
    exact_line,
    extrapolation_table,
    implied_last_link,
    training_table,
    worked_example,
)
from funnelstats.models.article_listing import run_pieces, torch_available, train_with_torch
from funnelstats.models.article_training import QUANTILES, broadcast_trap, train
from funnelstats.models.chain import Chain
from funnelstats.models.chain_inverse import inverse_prediction
from funnelstats.models.chain_system import SystemEquation, fit_system

# -- Kmenta (1986), Elements of Econometrics, p. 687; as in the R package systemfit and in linearmodels ----------------------

KMENTA = np.array([
    [98.485, 100.323, 87.4, 98.0, 1], [99.187, 104.264, 97.6, 99.1, 2], [102.163, 103.435, 96.7, 99.1, 3],
    [101.504, 104.506, 98.2, 98.1, 4], [104.24, 98.001, 99.8, 110.8, 5], [103.243, 99.456, 100.5, 108.2, 6],
    [103.993, 101.066, 103.2, 105.6, 7], [99.9, 104.763, 107.8, 109.8, 8], [100.35, 96.446, 96.6, 108.7, 9],
    [102.82, 91.228, 88.9, 100.6, 10], [95.435, 93.085, 75.1, 81.0, 11], [92.424, 98.801, 76.9, 68.6, 12],
    [94.535, 102.908, 84.6, 70.9, 13], [98.757, 98.756, 90.6, 81.4, 14], [105.797, 95.119, 103.1, 102.3, 15],
    [100.225, 98.451, 105.1, 105.0, 16], [103.522, 86.498, 96.4, 110.5, 17], [99.929, 104.016, 104.4, 92.5, 18],
    [105.223, 105.769, 110.7, 89.3, 19], [106.232, 113.49, 127.1, 93.0, 20],
])  # fmt: skip
ORDER = ["demand:const", "demand:price", "demand:income", "supply:const", "supply:price", "supply:farmPrice", "supply:trend"]
PRINTED = {
    ("ols", "freedom"): ([99.895423, -0.316299, 0.334636, 58.275431, 0.160367, 0.248133, 0.248302],
                         [7.519362, 0.090677, 0.045422, 11.46291, 0.094884, 0.046188, 0.097518]),
    ("2sls", "freedom"): ([94.633304, -0.243557, 0.313992, 49.532442, 0.240076, 0.255606, 0.252924],
                          [7.920838, 0.096484, 0.046944, 12.010526, 0.099934, 0.04725, 0.099655]),
    ("sur", "freedom"): ([99.332894, -0.275486, 0.29855, 61.966166, 0.146884, 0.214004, 0.339304],
                         [7.514452, 0.088509, 0.041945, 11.08079, 0.094435, 0.039868, 0.067911]),
    ("sur", "n"): ([99.275662, -0.271333, 0.294879, 62.294214, 0.146147, 0.212143, 0.332212],
                   [6.927983, 0.081601, 0.038672, 9.91096, 0.084465, 0.035659, 0.060742]),
    ("3sls", "freedom"): ([94.633304, -0.243557, 0.313992, 52.197204, 0.228589, 0.228158, 0.361138],
                          [7.920838, 0.096484, 0.046944, 11.893372, 0.099673, 0.043994, 0.072889]),
    ("3sls", "n"): ([94.633304, -0.243557, 0.313992, 52.117641, 0.228932, 0.228978, 0.357907],
                    [7.302652, 0.088954, 0.04328, 10.637755, 0.08915, 0.039349, 0.065194]),
}  # fmt: skip
ITERATED = {
    "freedom": ([94.633304, -0.243557, 0.313992, 52.661855, 0.226586, 0.223372, 0.380008],
                [7.920838, 0.096484, 0.046944, 12.805242, 0.10746, 0.046774, 0.072011]),
    "n": ([94.633304, -0.243557, 0.313992, 52.552695, 0.227057, 0.224496, 0.375575], None),
}  # fmt: skip


def kmenta():
    quantity, price, income, farm, trend = KMENTA.T
    one = np.ones(20)
    return [
        SystemEquation(name="demand", y=quantity, exogenous={"const": one, "income": income}, endogenous={"price": price},
                       instruments={"farmPrice": farm, "trend": trend}),
        SystemEquation(name="supply", y=quantity, exogenous={"const": one, "farmPrice": farm, "trend": trend},
                       endogenous={"price": price}, instruments={"income": income}),
    ]  # fmt: skip


@pytest.mark.parametrize(("method", "divisor"), PRINTED, ids=[f"Kmenta {m}, divisor {d} (systemfit)" for m, d in PRINTED])
def test_kmenta(method, divisor):
    table = fit_system(kmenta(), method=method, divisor=divisor).table().loc[ORDER]
    estimate, se = PRINTED[method, divisor]
    np.testing.assert_allclose(table["estimate"], estimate, rtol=1e-5, atol=5e-7)
    np.testing.assert_allclose(table["se"], se, rtol=1e-5, atol=5e-7)


@pytest.mark.parametrize("divisor", ITERATED)
def test_kmenta_iterated_3sls(divisor):
    found = fit_system(kmenta(), method="3sls", divisor=divisor, iterate=True)
    estimate, se = ITERATED[divisor]
    np.testing.assert_allclose(found.table().loc[ORDER, "estimate"], estimate, rtol=1e-5, atol=5e-7)
    if se:
        np.testing.assert_allclose(found.table().loc[ORDER, "se"], se, rtol=1e-5, atol=5e-7)


def test_kmenta_iterated_sur_diverges_and_is_caught():
    """Both equations explain the same variable, so iteration drives the residual covariance to a singular matrix."""
    with pytest.raises(FitError, match="singular"):
        fit_system(kmenta(), method="sur", divisor="n", iterate=True)


# -- products of normals: inputs of the examples of the R package RMediation (Tofighi & MacKinnon 2011), own integration --------

TWO = [
    (0.2, 1.0, 0.4, 1.0, (-2.1881785, 2.5872223), 5e-8),
    (0.3, 0.1, 0.4, 0.1, (0.03414, 0.23246), 6e-6),
    (0.14, 0.05, 0.2, 0.1, (-3.0e-05, 0.069), 6e-6),
    (1.0, 0.3, 1.0, 0.3, (0.28196, 1.96541), 6e-6),
    (0.5, 0.08, 0.6, 0.04, (0.2010806, 0.405362), 6e-8),
]


@pytest.mark.parametrize(
    ("a", "sa", "b", "sb", "printed", "tolerance"), TWO, ids=[f"a={r[0]} b={r[2]} (RMediation)" for r in TWO]
)
def test_product_of_two_normals(a, sa, b, sb, printed, tolerance):
    found = [product.quantile(p, (a, b), (sa, sb)) for p in (0.025, 0.975)]
    np.testing.assert_allclose(found, printed, atol=tolerance)


def test_product_of_two_normals_is_not_sobels_interval():
    """MacKinnon et al. (2004): the symmetric interval misses the skew; RMediation's README prints .062 for a true 0.0521."""
    for a, sa, b, sb, sobel in ((0.3, 0.1, 0.4, 0.1, (0.022, 0.218)), (0.14, 0.05, 0.2, 0.1, (-0.00572, 0.06172)),
                                (1.0, 0.3, 1.0, 0.3, (0.16846, 1.83154))):  # fmt: skip
        reach = 1.959963985 * product.delta_sd((a, b), (sa, sb))
        np.testing.assert_allclose((a * b - reach, a * b + reach), sobel, atol=5e-4)
    assert product.delta_sd((0.5, 0.6), (0.08, 0.04)) == pytest.approx(0.052, abs=5e-4)
    assert product.exact_sd((0.5, 0.6), (0.08, 0.04)) == pytest.approx(0.0521, abs=5e-5)


def test_product_of_two_normals_probability_and_deciles():
    assert product.cdf(0.0, (0.5, 0.3), (1.0, 1.0)) == pytest.approx(0.4548487779, abs=1e-9)
    found = [product.quantile(p, (0.5, 0.3), (1.0, 1.0)) for p in (0.1, 0.9)]
    np.testing.assert_allclose(found, (-0.9898415397, 1.4337744386), atol=1e-8)


def test_product_of_three_and_four():
    """Delta, second-order and exact standard errors to ten digits."""
    three = ((0.3, 0.4, 0.3), np.sqrt((0.01, 0.01, 0.02)))
    four = ((1, 0.7, 0.6, 0.45), np.sqrt((0.05, 0.05, 0.03, 0.03)))
    assert product.delta_sd(*three) == pytest.approx(0.0226495033, rel=1e-8)
    assert product.second_order_sd(*three) == pytest.approx(0.0239165215, rel=1e-8)
    assert product.exact_sd(*three) == pytest.approx(0.0239582971, rel=1e-8)
    assert product.delta_sd(*four) == pytest.approx(0.1170461446, rel=1e-8)
    assert product.exact_sd(*four) == pytest.approx(0.1252666157, rel=1e-8)


@pytest.mark.parametrize(
    ("mean", "variance", "printed", "mcse"),
    [((0.3, 0.4, 0.3), (0.01, 0.01, 0.02), (0.0015364, 0.0319608, 0.0934974), 3.4e-05),
     ((1, 0.7, 0.6, 0.45), (0.05, 0.05, 0.03, 0.03), (0.0231803, 0.1634893, 0.5007387), 7.4e-05)],
    ids=["three slopes", "four slopes"],
)  # fmt: skip
def test_monte_carlo_quantiles_of_a_composed_chain(mean, variance, printed, mcse):
    rng = np.random.default_rng(1)
    n = 1_000_000
    links = [Affine(m + np.sqrt(v) * rng.standard_normal(n), 0) for m, v in zip(mean, variance, strict=True)]
    whole = links[0]
    for link in links[1:]:
        whole = link @ whole
    lower, upper = Interval(prob=0.95).of(whole.slope)
    # the printed Monte Carlo errors are those of 25 times as many draws
    np.testing.assert_allclose((lower, np.median(whole.slope), upper), printed, atol=4 * 5 * mcse)


# -- inverse prediction: thermostats of the R package investr (Greenwell & Schubert Kabban 2014) ---------------------------------

SET, READ = [96, 98, 100, 102, 104, 106, 108, 110], [95.71, 98.16, 99.52, 102.09, 103.79, 106.18, 108.14, 110.21]


@pytest.mark.parametrize(
    ("target", "prob", "own", "printed", "digits"),
    [(104, 0.95, (103.99491564594408, 103.40405114241237, 104.5894593846641), (103.995, 103.4, 104.6), (5e-4, 5e-2, 5e-2)),
     (100, 0.9, (100.1123180032355, 99.62940289531218, 100.58850313225432), (100.1, 99.63, 100.59), (5e-2, 5e-3, 5e-3))],
    ids=["104 at 95% (investr)", "100 at 90% (investr)"],
)  # fmt: skip
def test_inverse_prediction(target, prob, own, printed, digits):
    found = inverse_prediction(SET, READ, target, prob=prob, mean_response=False)
    values = (found.point, found.lower, found.upper)
    np.testing.assert_allclose(values, own, rtol=1e-10)
    assert all(abs(value - shown) <= half * 1.1 for value, shown, half in zip(values, printed, digits, strict=True))
    mean = inverse_prediction(SET, READ, target, prob=prob)
    assert found.lower < mean.lower < mean.upper < found.upper


# -- the source article --------------------------------------------------------------------------------------------------------


def test_article_chapter_4_to_the_digit():
    with pytest.warns(DefinitionWarning, match="b, d, f are zero"):
        example = worked_example()
    assert example.variables == {"M": 10, "L": 1000, "S": 500, "R": 400}
    assert example.coefficients == {"a": 100, "b": 0, "c": Fraction(1, 2), "d": 0, "e": Fraction(4, 5), "f": 0}
    assert (example.affine.slope, example.affine.intercept, example.affine(10)) == (40, 0, 400)
    assert example.affine.inverse()(400) == 10
    assert example.formula() == "R = 0.8 (0.5 (100 M + 0) + 0) + 0 = 40 M + 0"
    assert example.units["R"] == "10k CNY/month"
    assert set(example.silent["assumption"]) >= {"zero baselines", "unit of e", "one point"}


def test_article_chapter_5_is_a_line_exactly():
    line = chapter5_line()
    assert (line.slope, line.intercept) == (20, 200)
    assert [line(m) for m in (10, 15, 20, 25, 30, 35, 50)] == [400, 500, 600, 700, 800, 900, 1200]
    frame = training_table().frame
    on_leads, leads = exact_line(frame["L"], frame["R"]), exact_line(frame["M"], frame["L"])
    assert (on_leads.slope, on_leads.intercept) == (Fraction(1, 5), 200)
    assert (leads.slope, leads.intercept) == (100, 0)


def test_article_the_two_slopes_are_not_identified():
    found = design_of_chapter5().set_index("quantity")["value"]
    assert found["rank"] == 2
    assert found["smallest singular value"] < 1e-12
    assert found["identified: slope of M + 100 x slope of L"] == 20
    assert found["identified: intercept"] == 200
    assert found["shortest solution: slope of L"] == pytest.approx(0.1999800019998, rel=1e-9)
    assert found["shortest solution: slope of M"] == pytest.approx(0.001999800019998, rel=1e-9)
    assert found["residual sum of squares"] == 0


def test_article_through_the_origin():
    """What a hundred steps of the listing drift to: the line without its intercept, 28.9 M, whose mean squared error is 4444.4."""
    frame = training_table().frame
    M, R = frame["M"].to_numpy(dtype=float), frame["R"].to_numpy(dtype=float)
    slope = (M @ R) / (M @ M)
    assert (slope, np.mean((R - slope * M) ** 2)) == (pytest.approx(28.8888888889), pytest.approx(4444.4444444))
    table = train(range(100), steps=100).table  # the nearest start ends within a hundredth of that floor
    assert table["loss"].min() == pytest.approx(4444.4444444, rel=0.02)
    assert table["slope"].median() == pytest.approx(slope, abs=0.05)
    design = np.column_stack([frame["L"], M, np.ones(5)]).astype(float)
    np.testing.assert_allclose(np.linalg.svd(design, compute_uv=False), [4743.65412, 0.745355919, 0], atol=1e-5)


def test_article_no_number_comes_from_its_singular_matrix():
    frame = training_table().frame
    table = Periods.of(frame, period=None, columns=["M", "L", "R"])
    with pytest.raises(FitError, match="L is an exact linear function of M") as raised:
        Chain.of("M -> L -> R", skip="M -> R").fit(table, seed=1)
    assert "zero residual" in str(raised.value)
    with pytest.raises(FitError, match="zero residual"):
        Chain.of("M -> R").fit(table, seed=1)


def test_article_the_chapters_disagree():
    table = chapters_table().set_index("M")
    np.testing.assert_allclose(table["chapter4"], [200, 400, 600, 800, 1000, 1200, 1400, 2000], rtol=1e-14)
    np.testing.assert_allclose(table["chapter5"], [300, 400, 500, 600, 700, 800, 900, 1200], rtol=1e-14)
    np.testing.assert_allclose(table["ratio"], [0.6667, 1.0, 1.2, 1.3333, 1.4286, 1.5, 1.5556, 1.6667], atol=5e-5)
    np.testing.assert_allclose(table["per_lead5"], [0.6, 0.4, 0.3333, 0.3, 0.28, 0.2667, 0.2571, 0.24], atol=5e-5)
    np.testing.assert_allclose(table["elasticity5"], [0.3333, 0.5, 0.6, 0.6667, 0.7143, 0.75, 0.7778, 0.8333], atol=5e-5)
    np.testing.assert_allclose(table["elasticity4"], 1.0)
    last = implied_last_link()
    assert (last.slope, last.intercept) == (Fraction(2, 5), 200)


def test_article_predicts_outside_its_data():
    table = extrapolation_table()
    np.testing.assert_allclose(table["leverage"], [1.1, 1.8, 2.7, 3.8], rtol=1e-12)
    assert not table["inside"].any()
    np.testing.assert_allclose(table["leverage_max_of_data"], 0.6)


def test_article_hundred_steps_of_adam():
    """Quantiles over a hundred starts, recomputed independently: 5 % relative on losses and predictions."""
    found = train(range(100), steps=100)
    assert QUANTILES == (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    loss = (4378.72, 4403.783, 4433.117, 4452.11, 4524.466, 90943.842, 200352.939)
    np.testing.assert_allclose(found.quantiles("loss"), loss, rtol=0.01)
    start = (4486.853, 8070.516, 117432.276, 424110.769, 1257384.66, 3495539.499, 4372221.425)
    np.testing.assert_allclose(found.quantiles("start_loss"), start, rtol=1e-4)
    np.testing.assert_allclose(found.quantiles("bias"), (-0.893, -0.628, 0.025, 0.36, 0.709, 1.152, 1.484), atol=2e-3)
    np.testing.assert_allclose(found.quantiles("slope"), (8.005, 14.985, 28.7, 28.854, 28.962, 29.31, 29.369), atol=2e-3)
    np.testing.assert_allclose(found.quantiles("w_M"), (-0.9, -0.722, -0.059, 0.297, 0.654, 1.076, 1.295), atol=2e-3)
    predicted = (280.572, 525.628, 1004.329, 1010.643, 1013.929, 1026.329, 1027.853)
    np.testing.assert_allclose(np.quantile(found.predict(35), QUANTILES), predicted, rtol=1e-3)
    far = (400.642, 750.405, 1434.832, 1443.455, 1448.132, 1465.979, 1468.394)
    np.testing.assert_allclose(np.quantile(found.predict(50), QUANTILES), far, rtol=1e-3)
    assert (found.table["loss"] > 1e4).mean() == 0.14
    assert found.table["moved"].max() == pytest.approx(0.9697, abs=1e-3)
    assert (found.table["loss"].idxmin(), found.table["loss"].idxmax()) == (56, 34)


def test_article_more_steps():
    longer = train([0, 20, 40, 60, 80], steps=10_000, record=1000).losses.set_index("step")
    assert round(longer.loc[1000].min()) >= 4018
    assert longer.loc[1000].max() <= 4402
    assert longer.loc[5000].min() >= 2560
    assert longer.loc[5000].max() <= 3640
    assert longer.loc[10_000].min() >= 1230
    assert longer.loc[10_000].max() <= 2055
    scaled = train(range(100), steps=300, standardised=True)
    assert scaled.table["loss"].max() == pytest.approx(0.101, abs=2e-3)
    converged = train(range(100), steps=3000, standardised=True)
    assert converged.table["loss"].max() < 0.01
    np.testing.assert_allclose(converged.table["slope"], 20, atol=0.02)
    assert converged.table["w_L"].min() == pytest.approx(-0.023, abs=2e-3)
    assert converged.table["w_L"].max() == pytest.approx(0.22, abs=2e-3)
    assert converged.table["w_M"].min() == pytest.approx(-1.992, abs=0.05)
    assert converged.table["w_M"].max() == pytest.approx(22.277, abs=0.05)


def test_article_the_broadcast_trap():
    found = broadcast_trap().set_index("answer")
    assert found.loc["true line"].tolist() == [0, 40000]
    assert found.loc["mean of R everywhere"].tolist() == [20000, 20000]


def test_article_the_listing_cannot_run():
    outcome = run_pieces().set_index("code")["outcome"]
    assert outcome["[L_test, M_test]"] == "NameError: name 'L_test' is not defined"
    assert outcome["(np.zeros((5, 1)) - R.ravel()).shape"] == "no error: (5, 5)"
    joined = outcome["torch.cat([L, M], dim=1)"]
    if torch_available():
        assert joined.startswith("TypeError")
    else:
        assert outcome["import torch"] == "ModuleNotFoundError: No module named 'torch'"
        assert joined == "not run: PyTorch is not installed here"


def test_article_torch_and_numpy_take_the_same_steps():
    pytest.importorskip("torch")
    start = np.random.default_rng(3).uniform(-(2**-0.5), 2**-0.5, 3).astype(np.float32)
    theirs, ours = train_with_torch(0, start=start), train([3]).table.iloc[0]
    for name in ("w_L", "w_M", "bias"):
        assert theirs[name] == pytest.approx(ours[name], abs=1e-3)


def test_article_is_said_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(chapters_table(), pd.DataFrame)
