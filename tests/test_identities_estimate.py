"""What must hold for an uncertain number whatever its draws: arithmetic draw by draw, units, labels, bounds, refusals."""

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from funnelstats import units
from funnelstats.digits import decimals
from funnelstats.errors import DataError, NotIdentifiedError, UnitError
from funnelstats.estimate import ClosedForm, Estimate, NotIdentified
from funnelstats.interval import Interval

OWNERS = ["Ann", "Bo", "Cy"]
numbers = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)
draws = st.lists(numbers, min_size=2, max_size=30)
pairs = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=30)
names = st.sampled_from(["CNY", "lead", "deal", "day", "10k CNY"])
quantities = st.tuples(st.lists(names, max_size=3), st.lists(names, max_size=3)).map(
    lambda parts: units.divide("*".join(parts[0]), "*".join(parts[1]))
)


def single(values, unit="", what="x"):
    return Estimate.of(values, description=what, unit=unit)


def by_owner(values, owners=None, unit="", what="x"):
    return Estimate.of(values, description=what, unit=unit, coords={"owner": OWNERS if owners is None else owners})


# -- units ---------------------------------------------------------------------------------------------------------
@given(quantities)
def test_a_unit_survives_being_read_and_written(unit):
    assert units.parse(units.write(units.parse(unit))) == units.parse(unit)


@given(quantities, quantities, quantities)
def test_units_form_a_commutative_group(a, b, c):
    def same(left, right):
        return units.same(left, right, doing="compare") == left

    assert same(units.multiply(a, b), units.multiply(b, a))
    assert same(units.multiply(units.multiply(a, b), c), units.multiply(a, units.multiply(b, c)))
    assert same(units.multiply(a, ""), a)
    assert units.divide(a, a) == ""
    assert same(units.divide(units.multiply(a, b), b), a)


@pytest.mark.parametrize(
    ("left", "right", "product", "quotient"),
    [("CNY/lead", "lead", "CNY", "CNY/lead/lead"), ("", "day", "day", "1/day"), ("CNY", "CNY", "CNY*CNY", ""),
     ("1/day", "day", "", "1/day/day")],
)  # fmt: skip
def test_units_of_products_and_quotients_as_written(left, right, product, quotient):
    assert units.multiply(left, right) == product
    assert units.divide(left, right) == quotient


@pytest.mark.parametrize("work", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: b - a], ids=["a + b", "a - b", "b - a"])
@pytest.mark.parametrize(
    "other", [single([1.0, 2.0]), single([1.0, 2.0], "EUR"), 3.0, np.float64(3)], ids=["share", "EUR", "3", "np 3"]
)
def test_money_is_not_added_to_anything_else(work, other):
    with pytest.raises(UnitError, match="CNY"):
        work(single([1.0, 2.0], "CNY"), other)


# -- arithmetic ----------------------------------------------------------------------------------------------------
@given(pairs, numbers)
@settings(max_examples=60)
def test_arithmetic_is_done_draw_by_draw(values, number):
    one, two = np.array(values).T
    a, b = single(one, "CNY"), single(two, "CNY")
    for found, expected in (
        (a + b, one + two), (a - b, one - two), (a * b, one * two), (a * number, one * number), (number * a, number * one),
        (-a, -one),
    ):  # fmt: skip
        np.testing.assert_array_equal(found.draws.values, expected[None])
        assert found.closed_form is None
    if (two != 0).all():
        np.testing.assert_array_equal((a / b).draws.values, (one / two)[None])
        np.testing.assert_array_equal((1 / b).draws.values, (1 / two)[None])
        assert ((a / b).unit, (1 / b).unit, (a * b).unit) == ("", "1/CNY", "CNY*CNY")
    share = single(one)
    np.testing.assert_array_equal((1 - share).draws.values, (1 - one)[None])
    np.testing.assert_array_equal((1 + share).draws.values, (share + 1).draws.values)


@given(pairs)
@settings(max_examples=30)
def test_a_product_of_draws_is_not_the_product_of_means(values):
    one, two = np.array(values).T
    covariance = np.mean(one * two) - one.mean() * two.mean()
    gap = (single(one) * single(two)).point - single(one).point * single(two).point
    assert gap == pytest.approx(covariance, rel=1e-6, abs=1e-3)


def test_labels_are_matched_by_name_in_whatever_order():
    a, b = np.arange(12.0).reshape(4, 3), 10.0 ** np.arange(12.0).reshape(4, 3)
    found = by_owner(a) + by_owner(b[:, ::-1], OWNERS[::-1])
    for place, owner in enumerate(OWNERS):
        np.testing.assert_array_equal(found.sel(owner=owner).draws.values[0], a[:, place] + b[:, place])


@pytest.mark.parametrize(
    "other", [by_owner(np.ones((4, 2)), ["Ann", "Bo"]), by_owner(np.ones((4, 3)), ["Ann", "Bo", "Di"]),
              xr.DataArray([1.0, 1.0, 1.0], coords={"owner": ["Ann", "Bo", "Di"]})],
    ids=["one missing", "one other", "array"],
)  # fmt: skip
def test_a_label_on_one_side_only_is_refused_and_never_dropped(other):
    with pytest.raises(DataError, match=r"owner: expected the same labels on both sides.*(Cy|Di)"):
        by_owner(np.ones((4, 3))) + other


def test_a_dimension_of_one_side_only_is_repeated_for_each_label_of_the_other():
    rate, stage = (
        by_owner(np.arange(12.0).reshape(4, 3)),
        Estimate.of(np.ones((4, 2)), description="s", coords={"stage": ["a", "b"]}),
    )
    assert (rate * stage).draws.dims == ("chain", "draw", "owner", "stage")
    np.testing.assert_array_equal((rate * stage).sel(owner="Bo", stage="b").draws.values[0], [1, 4, 7, 10])


def test_draws_numbered_otherwise_are_still_joined_in_their_order():
    """Thinned draws keep their numbers as coordinates; matching by number would drop the others without a word."""
    values = np.arange(8.0).reshape(2, 4)
    numbered = xr.DataArray(values, dims=("chain", "draw"), coords={"chain": [0, 1], "draw": [5, 10, 15, 20]})
    plain = xr.DataArray(values, dims=("chain", "draw"), coords={"chain": [0, 1], "draw": [0, 1, 2, 3]})
    total = Estimate(draws=numbered, description="a") + Estimate(draws=plain, description="b")
    np.testing.assert_array_equal(total.draws.values, 2 * values)


def test_unequal_numbers_of_draws_are_refused():
    with pytest.raises(DataError, match="expected equal numbers of draws, found 3 and 2"):
        single([1.0, 2.0, 3.0]) + single([1.0, 2.0])


def test_arrays_are_matched_to_labels_never_to_draws():
    rates = by_owner(np.ones((4, 3)))
    weights = np.array([1.0, 2.0, 3.0])
    for found in (rates * weights, weights * rates):
        assert isinstance(found, Estimate)
        assert list(found.point.values) == [1, 2, 3]
    with pytest.raises(DataError, match="names its labels"):
        single([1.0, 2.0, 3.0]) * weights  # as long as the draws, by accident
    assert isinstance(np.float64(2) * single([1.0, 2.0]), Estimate)


def test_sums_and_products_over_labels_are_taken_in_each_draw():
    values = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
    rates = by_owner(values, unit="CNY")
    np.testing.assert_array_equal(rates.sum("owner").draws.values, [[6, 6]])
    np.testing.assert_array_equal(rates.prod("owner").draws.values, [[6, 8]])
    assert (rates.sum("owner").unit, rates.prod("owner").unit) == ("CNY", "CNY*CNY*CNY")
    assert rates.sum("owner").sd == 0


def test_later_changes_to_the_data_do_not_reach_the_number():
    values = np.array([1.0, 2.0, 3.0])
    number = single(values)
    values[:] = 99
    assert number.point == 2.0
    assert np.array_equal((number * 2).draws.values / 2, number.draws.values)


def test_the_description_of_a_result_repeats_the_calculation():
    a, b = single([1.0, 2.0], what="a"), single([3.0, 4.0], what="b")
    assert [x.description for x in (a - b, 1 - a, a - 1, 2 / b, -a)] == [
        "(a) - (b)",
        "(1) - (a)",
        "(a) - (1)",
        "(2) / (b)",
        "-(a)",
    ]
    assert by_owner(np.ones((2, 3))).sum("owner").description == "sum over owner of x"


def test_division_by_a_draw_of_zero_is_refused():
    with np.errstate(divide="ignore"), pytest.raises(DataError, match="NotIdentified"):
        single([1.0, 2.0]) / single([0.0, 1.0])


@pytest.mark.parametrize("bad", [[], [1.0, np.nan], [1.0, np.inf]], ids=["none", "nan", "infinite"])
def test_draws_must_be_finite_numbers_and_there_must_be_some(bad):
    with pytest.raises(DataError, match="draws: expected"):
        single(bad)


def test_every_problem_is_named_at_once():
    with pytest.raises(DataError) as caught:
        Estimate(draws=xr.DataArray([np.nan], dims="draw"), description="")
    assert [problem.where for problem in caught.value.problems] == ["draws", "draws", "description"]


# -- intervals -----------------------------------------------------------------------------------------------------
@given(draws, st.floats(0.05, 0.99), st.sampled_from(["equal-tailed", "hdi"]))
def test_bounds_are_ordered_inside_the_draws_and_hold_the_mass(values, prob, kind):
    lower, upper = Interval(prob=prob, kind=kind).of(values)
    assert min(values) <= lower <= upper <= max(values)
    inside = np.mean((np.array(values) >= lower) & (np.array(values) <= upper))
    assert inside >= prob - (2 / len(values) if kind == "equal-tailed" else 1e-9)


@given(draws, st.floats(0.05, 0.99))
def test_the_highest_density_interval_is_the_shortest_of_its_content(values, prob):
    ordered, count = np.sort(values), int(np.floor(prob * len(values)))
    lower, upper = Interval(prob=prob, kind="hdi").of(values)
    shortest = min(ordered[i + count] - ordered[i] for i in range(len(values) - count))
    assert upper - lower == pytest.approx(shortest, abs=1e-9)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=30), st.floats(0.05, 0.99))
def test_equal_tails_follow_an_increasing_map_when_bounds_fall_on_draws(values, prob):
    """Quantiles between draws are interpolated, so the bounds of logs are those of the draws up to the gap they fall in."""
    rule, ordered = Interval(prob=prob), np.sort(values)
    for plain, logged in zip(rule.of(values), rule.of(np.log(values)), strict=True):
        place = np.searchsorted(ordered, plain * (1 + 1e-9))
        low, high = ordered[max(place - 1, 0)], ordered[min(place, len(values) - 1)]
        assert low * (1 - 1e-6) <= np.exp(logged) <= high * (1 + 1e-6) or np.exp(logged) == pytest.approx(plain, rel=1e-6)


@given(draws, st.sampled_from(["equal-tailed", "hdi"]))
def test_intervals_widen_with_the_mass(values, kind):
    widths = [np.subtract(*Interval(prob=prob, kind=kind).of(values)[::-1]) for prob in (0.3, 0.6, 0.9, 0.95)]
    assert all(wide >= narrow - 1e-9 for narrow, wide in itertools.pairwise(widths))


def test_bounds_of_an_array_are_those_of_each_label():
    values = np.random.default_rng(0).normal(size=(500, 3))
    whole = by_owner(values)
    for place, owner in enumerate(OWNERS):
        assert whole.lower.sel(owner=owner).item() == whole.sel(owner=owner).lower
        assert whole.sel(owner=owner).lower == pytest.approx(np.quantile(values[:, place], 0.05), rel=1e-12)
    stacked = Estimate(draws=xr.DataArray(values.reshape(2, 250, 3), dims=("chain", "draw", "owner"), coords={"owner": OWNERS}),
                       description="x")  # fmt: skip
    np.testing.assert_allclose(stacked.lower.values, whole.lower.values)
    np.testing.assert_allclose(Interval().of(values, axis=0)[1], whole.upper.values)


@pytest.mark.parametrize("bad", [0, 1, -0.1, 1.5, 90])
def test_a_mass_is_strictly_between_none_and_all(bad):
    with pytest.raises(DataError, match=r"prob: expected a mass between 0 and 1"):
        Interval(prob=bad)


def test_each_kind_is_for_its_own_data():
    with pytest.raises(DataError, match="for counts, not for draws"):
        Interval(kind="wilson").of([1.0, 2.0])
    with pytest.raises(DataError, match="for draws, not for counts"):
        Interval(kind="hdi").of_counts(1, 2)
    with pytest.raises(DataError, match="not for two proportions"):
        Interval(kind="wilson").of_two_counts(1, 2, 1, 2)
    with pytest.raises(DataError, match="at least one success in the denominator"):
        Interval(kind="koopman").of_two_counts(1, 2, 0, 2)
    for four in ((3, 2, 1, 2), (1, 2, -1, 2), (0, 0, 1, 2)):
        with pytest.raises(DataError, match="0 <= count <= trials"):
            Interval(kind="newcombe").of_two_counts(*four)
    with pytest.raises(DataError, match="0 <= count <= trials"):
        Interval(kind="wilson").of_counts([1, 3], [2, 2])
    with pytest.raises(DataError, match="kind: expected one of equal-tailed"):
        Interval(kind="bayes")


def test_a_formula_is_shown_until_the_draws_are_worked_with():
    form = ClosedForm(*(xr.DataArray(value) for value in (0.5, 0.4, 0.6)), Interval(kind="wilson"))
    rate = Estimate(draws=xr.DataArray([[0.1, 0.2]], dims=("chain", "draw")), description="rate", closed_form=form)
    assert (rate.point, rate.lower, rate.upper) == (0.5, 0.4, 0.6)
    assert f"{rate:.0%}" == "50% (90% Wilson interval 40% to 60%)"
    assert (2 * rate).point == pytest.approx(0.3)
    assert rate.described("other").point == 0.5
    drawn = rate.with_interval(prob=0.5)
    assert (drawn.point, drawn.shown) == (pytest.approx(0.15), Interval(prob=0.5))
    assert (-rate).closed_form is None


# -- showing -------------------------------------------------------------------------------------------------------
@given(numbers, st.floats(1e-4, 1e5))
def test_printed_digits_keep_the_bounds_apart_and_near(centre, half):
    lower, upper = centre - half, centre + half
    half = (upper - lower) / 2  # what rounding left of it
    places = decimals(lower, upper)
    step = 10.0**-places
    assert step / 2 <= half * 0.1668  # no bound moves by more than a sixth of half the width
    assert step > half / 30 * (1 - 1e-9)  # and no digit is printed that is lost in it
    assert places == decimals(upper, lower)


@pytest.mark.parametrize(
    ("middle", "half", "unit", "text"),
    [(0.04, 0.005, "", "4.0% (90% interval 3.5% to 4.5%)"), (0.54, 0.06, "", "54% (90% interval 48% to 60%)"),
     (123_456, 5_432, "CNY", "123,000 CNY (90% interval 118,000 to 129,000)"), (9.71, 3.2, "", "10 (90% interval 7 to 13)"),
     (12.3456, 0.12, "CNY/lead", "12.35 CNY per lead (90% interval 12.23 to 12.47)"),
     (-0.02, 0.004, "", "-2.0% (90% interval -2.4% to -1.6%)")],
)  # fmt: skip
def test_a_sentence_has_the_digits_worth_printing(middle, half, unit, text):
    values = np.linspace(middle - half / 0.9, middle + half / 0.9, 2001)
    assert str(single(values, unit)) == text


def test_a_number_never_stands_alone_in_a_sentence():
    rates = by_owner(np.full((4, 3), 0.25))
    with pytest.raises(DataError, match=r"pick one with \.sel\(\)"):
        f"{rates}"
    assert "Ann" in str(rates)
    assert str(rates.shown) in repr(rates)
    frame = rates.to_frame()
    assert list(frame.columns) == ["mean", "sd", "lower", "upper", "interval", "unit"]
    assert frame.loc["Bo", "interval"] == "90% equal-tailed interval"
    assert "<i>" not in single([1.0, 2.0], what="<i>")._repr_html_()
    with pytest.raises(DataError, match=r"owner: expected one of \['Ann', 'Bo', 'Cy'\], found 'Di'"):
        rates.sel(owner="Di")
    assert rates.sel(owner="Bo").description == "x, Bo"


def test_mean_and_standard_deviation_are_those_of_the_draws():
    number = single([1.0, 2.0, 3.0, 6.0])
    assert (number.point, number.sd) == (3.0, pytest.approx(np.sqrt(14 / 3)))
    assert number.to_frame().iloc[0, :2].tolist() == pytest.approx([3.0, np.sqrt(14 / 3)])


def test_probability_is_a_share_of_joint_draws():
    one, two = single([1.0, 2.0, 3.0, 4.0]), single([4.0, 3.0, 2.0, 1.0])
    assert (one - two).probability(lambda d: d > 0) == 0.5
    assert by_owner(np.eye(3)).probability(lambda d: d > 0).sel(owner="Ann").item() == pytest.approx(1 / 3)


# -- absence -------------------------------------------------------------------------------------------------------
ABSENT = NotIdentified("the slope", "M is constant")


@pytest.mark.parametrize(
    "work",
    [lambda x: x.point, lambda x: x.lower, lambda x: x.upper, lambda x: x.sd, lambda x: x.draws, lambda x: x + 1, lambda x: 1 + x,
     lambda x: x - 1, lambda x: 1 - x, lambda x: 2 * x, lambda x: x / 2, lambda x: 2 / x, lambda x: -x, float,
     lambda x: single([1.0, 2.0]) + x, lambda x: single([1.0, 2.0]) * x, lambda x: x * single([1.0, 2.0]),
     lambda x: x.sel(owner="Ann"),
     lambda x: x.sum("owner"), lambda x: x.prod("owner"), lambda x: x.probability(lambda d: d > 0), lambda x: x.to_frame(),
     lambda x: x.with_interval(prob=0.5)],
)  # fmt: skip
def test_what_is_not_identified_gives_no_number_by_any_way(work):
    with pytest.raises(NotIdentifiedError, match="the slope is not identified: M is constant"):
        work(ABSENT)


def test_what_is_not_identified_says_why_in_a_sentence():
    assert f"{ABSENT:.1%}" == str(ABSENT) == "not identified: M is constant"


def test_a_number_known_to_powers_of_ten_is_not_written_as_nought():
    form = ClosedForm(*(xr.DataArray(value) for value in (1_480.0, 56.0, 112_000.0)), Interval())
    known = Estimate(
        draws=xr.DataArray([[56.0, 1_480.0, 112_000.0]], dims=("chain", "draw")), description="c", unit="trial", closed_form=form
    )
    assert str(known) == f"1,500 trials ({known.shown.percent} interval 56 to 110,000)"
