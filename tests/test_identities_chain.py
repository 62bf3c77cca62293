"""Laws of the chain: the algebra of affine maps, sums over paths, and what any fit must agree with itself on."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funnelstats.data.periods import Periods, read_periods
from funnelstats.decisions.levers import lever_values, parse_change, what_if
from funnelstats.decisions.planning import break_even, plan
from funnelstats.decisions.returns import returns
from funnelstats.errors import DataError
from funnelstats.models.affine import IDENTITY, Affine
from funnelstats.models.article import exact_line
from funnelstats.models.chain import Chain
from funnelstats.models.chain_effects import effect_table
from funnelstats.models.chain_equations import equations
from funnelstats.models.chain_inverse import level_set
from funnelstats.models.chain_restrictions import holm, leave_one_out
from funnelstats.models.model import load

PERIODS = read_periods("bundled:monthly_chain")
number = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 6))
away = number.filter(lambda x: abs(x) > 1e-3)
affine = st.builds(Affine, number, number)
steep = st.builds(Affine, away, number)
quick = settings(max_examples=60, deadline=None)


def same(left, right, x=(-7.0, 0.0, 3.5)):
    points = np.array(x)
    scale = 1 + np.abs(left(points)).max()
    np.testing.assert_allclose(left(points) / scale, right(points) / scale, atol=1e-9)


# -- the algebra ---------------------------------------------------------------------------------------------------------------


@quick
@given(affine, affine, number)
def test_composition_is_application_twice(g, f, x):
    assert (g @ f)(x) == pytest.approx(g(f(x)), rel=1e-9, abs=1e-6)


@quick
@given(affine, affine, affine)
def test_composition_is_associative(h, g, f):
    same((h @ g) @ f, h @ (g @ f))


@quick
@given(affine)
def test_identity(f):
    same(f @ IDENTITY, f)
    same(IDENTITY @ f, f)


@quick
@given(steep, number)
def test_inverse_maps_a_target_back(f, target):
    assert f(f.inverse()(target)) == pytest.approx(target, rel=1e-6, abs=1e-6)
    same(f.inverse().inverse(), f)


@quick
@given(steep, steep)
def test_inverse_of_a_composition_is_the_composition_of_inverses(g, f):
    left, right = (g @ f).inverse(), f.inverse() @ g.inverse()
    assert left.slope == pytest.approx(right.slope, rel=1e-9)
    assert left.intercept == pytest.approx(right.intercept, rel=1e-6, abs=1e-6)


@quick
@given(*[number] * 6)
def test_slope_and_intercept_of_the_chain(a, b, c, d, e, f):
    whole = Affine(e, f) @ Affine(c, d) @ Affine(a, b)
    assert whole.slope == pytest.approx(e * c * a, rel=1e-9, abs=1e-9)
    assert whole.intercept == pytest.approx(e * (c * b + d) + f, rel=1e-9, abs=1e-6)
    again = Chain().at(a=a, b=b, c=c, d=d, e=e, f=f)
    assert (again.slope, again.intercept) == pytest.approx((whole.slope, whole.intercept), rel=1e-12, abs=1e-12)
    values = dict(zip("abcdef", (a, b, c, d, e, f), strict=True))
    assert Chain().paths().means(values, 2.0)["R"] == pytest.approx(whole(2.0), rel=1e-9, abs=1e-6)


@quick
@given(affine, affine, affine)
def test_parallel_paths_add_and_a_common_first_link_factors_out(g, h, f):
    same((g + h) @ f, g @ f + h @ f)


def test_batches_of_draws_compose_draw_by_draw():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(6, 50))
    whole = Affine(draws[4], draws[5]) @ Affine(draws[2], draws[3]) @ Affine(draws[0], draws[1])
    for at in range(50):
        a, b, c, d, e, f = draws[:, at]
        assert whole.slope[at] == pytest.approx(e * c * a)
        assert whole.intercept[at] == pytest.approx(e * (c * b + d) + f)
    assert np.mean(whole.slope) != pytest.approx(np.mean(draws[4]) * np.mean(draws[2]) * np.mean(draws[0]), rel=1e-3)


def test_a_slope_of_zero_has_no_inverse_and_nan_is_no_map():
    with pytest.raises(DataError, match="expected other than zero"):
        Affine(np.array([1.0, 0.0]), 2).inverse()
    with pytest.raises(DataError, match="slope: expected finite"):
        Affine(np.nan, 2)


# -- paths ---------------------------------------------------------------------------------------------------------------------

GRAPHS = [Chain(), Chain.of(skip="M -> R"), Chain.of(skip=["M -> S", "L -> R", "M -> R"]), Chain.of("M -> L"),
          Chain.of("A -> B -> C -> D -> E", skip=["A -> C", "B -> E"]), Chain(hidden=("L",)), Chain(hidden=("L", "S"))]  # fmt: skip


@pytest.mark.parametrize("chain", GRAPHS, ids=str)
def test_total_effect_is_the_change_of_the_mean_and_the_sum_of_routes(chain):
    paths, rng = chain.paths(), np.random.default_rng(3)
    values = {name: float(rng.normal()) for name in paths.names}
    moved = paths.means(values, 3.0)[paths.outcome] - paths.means(values, 2.0)[paths.outcome]
    total = paths.totals(values)[paths.source]
    assert total == pytest.approx(moved)
    assert total == pytest.approx(sum(np.prod([values[arrow.name] for arrow in route]) for route in paths.routes()))


@pytest.mark.parametrize("chain", GRAPHS, ids=str)
def test_gradients_are_slopes(chain):
    paths, rng = chain.paths(), np.random.default_rng(4)
    values = {name: float(rng.normal()) for name in paths.names}
    total, intercept = paths.gradient(values)
    for name in paths.names:
        up, down = ({**values, name: values[name] + sign * 1e-5} for sign in (1, -1))
        slope = (paths.totals(up)[paths.source] - paths.totals(down)[paths.source]) / 2e-5
        base = (paths.means(up, 0.0)[paths.outcome] - paths.means(down, 0.0)[paths.outcome]) / 2e-5
        assert total[name] == pytest.approx(slope, abs=1e-8)
        assert intercept[name] == pytest.approx(base, abs=1e-8)


def test_the_formula_is_the_articles():
    assert str(Chain()) == "R = e(c(aM + b) + d) + f = ecaM + e(cb + d) + f"
    assert str(Chain(hidden=("L", "S"))) == "R = ecaM + e(cb + d) + f"
    assert str(Chain.of("M -> L")) == "L = aM + b"
    two = {"a": 2, "b": -1, "c": 3, "d": -4.5, "e": 1}
    assert Chain.of("M -> L -> R", skip="M -> R").paths().names == ("a", "b", "c", "d", "e")
    fit = Chain.of("M -> L -> R").paths()
    assert fit.means(two, 1.0) == {"M": 1.0, "L": 1.0, "R": -1.5}


@quick
@given(st.permutations(["L", "S"]), st.booleans())
def test_what_is_identified_does_not_depend_on_order(names, both):
    hidden = tuple(names) if both else (names[0],)
    found = Chain(hidden=hidden).identified()
    lost = {name for name, status in found.items() if status != "identified" and name in "abcdef"}
    assert lost == (set("abcdef") if both else set("abcd") if hidden == ("L",) else set("cdef"))


# -- fits agree with themselves ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["ols", "quadrature", "bootstrap", "3sls"])
def fit(request):
    return Chain().fit(PERIODS, seed=5, method=request.param, draws=200)


def test_total_is_direct_plus_indirect_in_every_draw():
    for chain in (Chain(), Chain.of(skip=["M -> R", "M -> S"])):
        fit = chain.fit(PERIODS, seed=1, method="quadrature", draws=100)
        gap = fit.total_effect().draws - fit.direct_effect().draws - fit.indirect_effect().draws
        assert float(np.abs(gap).max()) < 1e-12 * float(np.abs(fit.total_effect().draws).max())
        assert np.any(fit.direct_effect().draws) == (len(chain.skips) > 0)


def test_prediction_is_the_affine_map(fit):
    whole = fit.affine()
    np.testing.assert_allclose(fit.predict(12.0).draws, whole(12.0), rtol=1e-12)
    np.testing.assert_allclose(whole.slope, fit.total_effect().draws, rtol=1e-12)
    np.testing.assert_allclose(whole.intercept, fit.intercept().draws, rtol=1e-12)
    values = fit.values()
    np.testing.assert_allclose(whole.slope, values["e"] * values["c"] * values["a"], rtol=1e-12)
    seen = fit.predict()
    assert seen.draws.sizes["period"] == 36
    np.testing.assert_allclose(seen.draws.isel(period=0), whole(15.87), rtol=1e-12)


def test_predictive_variance_is_the_formula(fit):
    values, sigma = fit.values(), fit.tree["posterior"]["sigma"]
    weights = {"L": values["e"] * values["c"], "S": values["e"], "R": 1.0}
    if "correlation" not in fit.tree["posterior"]:
        expected = sum((weight * sigma.sel(variable=name)) ** 2 for name, weight in weights.items())
        np.testing.assert_allclose(fit.noise_sd() ** 2, expected, rtol=1e-12)
    assert fit.predictive(12.0).sd > fit.predict(12.0).sd


def test_laws_of_a_fit(fit, tmp_path):
    before = PERIODS.frame.copy()
    again = Chain().fit(PERIODS, seed=5, method=fit.record.method, draws=200)
    assert again.record.id == fit.record.id
    for name, draws in fit.values().items():
        np.testing.assert_array_equal(draws, again.values()[name])
    pd.testing.assert_frame_equal(PERIODS.frame, before)
    assert load(fit.save(tmp_path / "fit.nc")).record.id == fit.record.id
    simulated = fit.simulate(seed=3)
    np.testing.assert_array_equal(simulated.frame["M"], PERIODS.frame["M"])
    assert not np.allclose(simulated.frame["R"], PERIODS.frame["R"])
    refit = Chain().fit(simulated, seed=1, method=fit.record.method, draws=50)
    assert refit.total_effect().unit == fit.total_effect().unit == "CNY per CNY"
    assert "an association" in fit.total_effect().description
    tree = fit.to_datatree()
    assert {"/posterior", "/observed_data", "/log_likelihood"} <= set(tree.groups)


def test_words_follow_the_declaration():
    causal = Chain(causal=True).fit(PERIODS, seed=1, draws=50)
    assert causal.total_effect().description == "total effect on R of one more 10k CNY of M"
    assert what_if(causal, shift=1).caution == ""
    assert "associations" in what_if(Chain().fit(PERIODS, seed=1, draws=50), shift=1).caution


def test_lags_align_a_spend_with_what_followed_it():
    chain = Chain.of(lag={"S": 1, "R": 2})
    assert chain.delays() == {"M": 0, "L": 0, "S": 1, "R": 3}
    table = PERIODS.aligned(chain.delays())
    assert len(table) == 33
    assert table["R"].iloc[0] == PERIODS.frame["R"].iloc[3]
    assert table["S"].iloc[5] == PERIODS.frame["S"].iloc[6]
    fit = chain.fit(PERIODS, seed=1, draws=50)
    simulated = fit.simulate(seed=2).frame
    np.testing.assert_array_equal(simulated["R"].iloc[:3], PERIODS.frame["R"].iloc[:3])
    assert not np.allclose(simulated["R"].iloc[3:], PERIODS.frame["R"].iloc[3:])


def test_the_posterior_of_independent_links_is_the_product_of_theirs():
    """Same draws for the first link, whatever follows it, and no correlation between the links."""
    whole = Chain().fit(PERIODS, seed=1, method="quadrature", draws=2000)
    first = Chain.of("M -> L").fit(PERIODS, seed=1, method="quadrature", draws=2000)
    for name in ("a", "b"):
        np.testing.assert_array_equal(whole.values()[name], first.values()[name])
    draws = np.stack([whole.values()[name].values.ravel() for name in "abcdef"])
    across = np.corrcoef(draws)[np.ix_([0, 1], [2, 3, 4, 5])]
    assert np.abs(across).max() < 4 / np.sqrt(8000)


def test_leaving_a_period_out_is_refitting_without_it():
    links = equations(Chain().paths(), PERIODS.frame[["M", "L", "S", "R"]], subject="test")
    for link in links:
        without, leverage = leave_one_out(link)
        for at in (0, 17):
            keep = np.arange(36) != at
            np.testing.assert_allclose(without[at], np.linalg.lstsq(link.X[keep], link.y[keep], rcond=None)[0], rtol=1e-8)
        assert leverage.sum() == pytest.approx(2)


def test_effect_table_has_every_row_and_agrees_with_the_fit():
    table = effect_table(Chain(), PERIODS, seed=1, draws=200)
    assert len(table) == 18
    total = table[table["effect"] == "total"].set_index("method")
    point = Chain().fit(PERIODS, seed=1, draws=50).total_effect().point
    np.testing.assert_allclose(total.loc[["delta", "monte carlo", "bootstrap"], "estimate"], point, rtol=1e-12)
    assert total.loc["reduced form", "estimate"] == pytest.approx(np.polyfit(PERIODS.frame["M"], PERIODS.frame["R"], 1)[0])
    assert (table[table["effect"] == "direct"]["note"].str.contains("assumption")).all()
    assert (table["lower"].dropna() <= table["estimate"][table["lower"].notna()]).all()


# -- planning ------------------------------------------------------------------------------------------------------------------


def test_the_least_budget_grows_with_assurance_and_with_the_target(fit):
    found = plan(fit, target=600, assurance=0.8)
    assert found.reachable
    assert np.all(np.diff(found.ladder["level"]) > 0)
    assert plan(fit, target=650).level > found.level
    median = plan(fit, target=600, assurance=0.5)
    assert found.chain_set.lower < median.level < found.chain_set.upper
    mean = plan(fit, target=600, assurance=0.8, of="mean")
    assert mean.level < found.level
    chance = float((fit.predictive(found.level).draws >= 600).mean())
    assert chance == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 800))


def test_break_even_is_the_inverse_map(fit):
    found = break_even(fit, 600)
    np.testing.assert_allclose(found.draws, fit.affine().inverse()(600), rtol=1e-10)


def test_nothing_changed_changes_nothing_and_changes_add_up():
    fit = Chain().fit(PERIODS, seed=1, draws=100)
    still = what_if(fit)
    assert not np.any(still.change.draws)
    both = what_if(fit, base=10, shift=2).change.draws
    np.testing.assert_allclose(both, 2 * fit.total_effect().draws, rtol=1e-9)
    raised = what_if(fit, base=10, f="+7").change
    np.testing.assert_allclose(raised.draws, 7.0, rtol=1e-9)
    held = what_if(fit, base=10, L="x1")
    np.testing.assert_allclose(held.change.draws, 0.0, atol=1e-9)
    assert held.predictive.sd < still.predictive.sd, "the noise of L does not reach R where L is set"
    assert what_if(fit, M=12).after.point == pytest.approx(what_if(fit, base=10, scale=1.2).after.point)


@quick
@given(st.floats(1, 30), st.floats(1, 200))
def test_an_elasticity_of_one_without_baselines(level, percent):
    """In the article's chapter 4 a, c and e are worth the same, and b, d, f nothing: ten percent of zero is zero."""
    values = {"a": 100.0, "b": 0.0, "c": 0.5, "d": 0.0, "e": 0.8, "f": 0.0}
    gains = {name: gain for name, (_, gain) in lever_values(Chain().paths(), values, level, by=f"+{percent:.3f}%").items()}
    expected = 40 * level * float(f"{percent:.3f}") / 100
    assert [gains[name] for name in "ace"] == pytest.approx([expected] * 3, rel=1e-9)
    assert [gains[name] for name in "bdf"] == [0, 0, 0]


def test_marginal_return_is_constant_and_average_tends_to_it():
    fit = Chain().fit(PERIODS, seed=1, draws=100)
    near, far = (returns(fit, level).set_index("return") for level in (8.0, 18.0))
    assert near.loc["marginal", "estimate"] == far.loc["marginal", "estimate"] == pytest.approx(fit.total_effect().point)
    assert near.loc["average", "estimate"] > far.loc["average", "estimate"] > far.loc["marginal", "estimate"]
    assert near.loc["attributable", "estimate"] == pytest.approx(near.loc["marginal", "estimate"])
    ratio = far.loc["marginal", "estimate"] / far.loc["average", "estimate"]
    assert far.loc["elasticity", "estimate"] == pytest.approx(ratio)


@quick
@given(
    st.floats(-50, 50),
    st.floats(-3, 3).filter(lambda s: abs(s) > 0.01),
    st.floats(0.01, 4),
    st.floats(-0.9, 0.9),
    st.floats(0.001, 2),
)
def test_a_level_set_holds_exactly_what_is_compatible(intercept, slope, v0, rho, v1):
    covariance = np.array([[v0, rho * np.sqrt(v0 * v1)], [rho * np.sqrt(v0 * v1), v1]])
    found = level_set(10.0, intercept=intercept, slope=slope, covariance=covariance, critical=1.7)
    for level in np.linspace(-200, 200, 81):
        distance = abs(intercept + slope * level - 10.0) / np.sqrt(v0 + 2 * covariance[0, 1] * level + v1 * level**2)
        if abs(distance - 1.7) > 1e-6:
            assert (level in found) == (distance < 1.7)
    assert found.bounded == (slope**2 > 1.7**2 * v1)
    assert found.point in found


@quick
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_never_lowers_a_p_value_nor_changes_their_order(p):
    values = np.array(p)
    adjusted = holm(values)
    assert (adjusted >= values - 1e-15).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(values)]) >= -1e-15).all()


def test_changes_are_read_as_they_are_written():
    for text, expected in (("+10%", 110), ("-10%", 90), ("+5", 105), ("-5", 95), ("x1.5", 150), ("×2", 200), (3, 3)):
        assert parse_change(text)(100) == pytest.approx(expected)


@quick
@given(st.integers(-5, 5), st.integers(-9, 9), st.lists(st.integers(-20, 20), min_size=2, max_size=8, unique=True))
def test_an_exact_line_comes_out_exact(slope, intercept, levels):
    line = exact_line(levels, [slope * level + intercept for level in levels])
    assert (line.slope, line.intercept) == (slope, intercept)


# -- periods -------------------------------------------------------------------------------------------------------------------


@quick
@given(st.permutations(range(12)), st.sampled_from(["day", "week", "month", "quarter", "year"]))
def test_periods_are_put_in_order_whatever_the_order_of_rows(order, length):
    frequency = {"day": "D", "week": "7D", "month": "MS", "quarter": "QS", "year": "YS"}[length]
    dates = pd.date_range("2024-01-01", periods=12, freq=frequency)
    frame = pd.DataFrame({"at": dates, "x": np.arange(12.0)}).iloc[list(order)]
    found = Periods.of(frame, period="at", length=length)
    np.testing.assert_array_equal(found.frame["x"], np.arange(12.0))
    assert found.window.start == dates[0]
    assert dates[-1] <= found.window.as_of


def test_no_warning_is_raised_inside_the_range():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Chain().fit(PERIODS, seed=1, draws=50).predict([7.0, 12.0, 19.0])
