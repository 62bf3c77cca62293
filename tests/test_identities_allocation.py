"""Laws that a split of a budget must obey, whatever the response."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funnelstats.decisions.allocation import AVERAGE, CAUTIOUS, PRESENT, allocate
from funnelstats.decisions.response import Response
from funnelstats.errors import DataError, UnitError
from funnelstats.estimate import Estimate

ARMS = ["Web", "Fair", "Phone"]


def response(mean=(3.0, 2.0, 1.0), sd=0.3, draws=400, upto=60.0, unit="", seed=1):
    values = np.random.default_rng(seed).normal(mean, sd, size=(draws, 3))
    return Response.linear(
        Estimate.of(values, unit=unit, description="per CNY", coords={"channel": ARMS}), upto=upto, spend_unit="CNY"
    )


EVEN = dict.fromkeys(ARMS, 30.0)


@given(
    seed=st.integers(0, 10**6), budget=st.floats(20, 200), capacity=st.floats(5, 60), low=st.floats(0, 5), tail=st.floats(0.02, 1),
    curved=st.booleans(),
)  # fmt: skip
@settings(max_examples=25)
def test_every_limit_holds_in_every_draw_and_nothing_beats_the_best_of_a_draw(seed, budget, capacity, low, tail, curved):
    rng = np.random.default_rng(seed)
    hours = Estimate.of(rng.uniform(0, 0.3, (40, 3)), unit="hour/CNY", description="hours", coords={"channel": ARMS})
    if curved:
        value = Estimate.of(rng.gamma(2, 20, (40, 3)), unit="CNY", description="value", coords={"channel": ARMS})
        own = Response.power(value, at=EVEN, elasticity=float(rng.uniform(0.1, 1)), spend_unit="CNY")
    else:
        own = response(seed=seed, draws=40, sd=2.0)
    bounds = {"Web": (low, 40.0), "Phone": (low, 60.0)}
    found = allocate(own, budget=budget, present=EVEN, min_effect=1, bounds=bounds, hours=hours, capacity=capacity, tail=tail)
    close = 1 + 1e-9
    for split in (found.splits[AVERAGE].to_numpy(), found.splits[CAUTIOUS].to_numpy(), *found.optimum.draws.values[0]):
        assert split.sum() <= budget * close
        assert (split >= np.array([low, 0, low]) - 1e-12).all()
        assert (split <= np.array([40, 60, 60]) * close).all()
    for split in (found.splits[AVERAGE].to_numpy(), found.splits[CAUTIOUS].to_numpy()):
        assert (hours.draws.values[0] @ split).max() <= capacity * close
    assert (hours.draws.values[0] * found.optimum.draws.values[0]).sum(axis=1).max() <= capacity * close
    chosen = found.recommended.to_numpy()
    assert chosen.sum() <= budget * (1 + 1e-6)
    assert (hours.draws.values[0] @ chosen).max() <= capacity * close
    assert (chosen >= np.array([low, 0, low]) - 1e-6).all()
    scale = float(np.abs(found.value.draws).max())
    assert float(found.regret.draws.sel(action=[AVERAGE, CAUTIOUS]).min()) >= -1e-9 * scale


def test_one_arm_that_is_surely_best_gets_all_it_may():
    found = allocate(response(sd=0.01), budget=50, present={"Web": 0.0, "Fair": 50.0, "Phone": 0.0}, min_effect=10)
    assert found.recommended.to_dict() == pytest.approx({"Web": 50.0, "Fair": 0.0, "Phone": 0.0})
    assert found.gain.point == pytest.approx(50.0, abs=0.2)
    assert found.p_better == found.p_effect == 1.0
    assert found.regret.point.sel(action=AVERAGE) == pytest.approx(0.0, abs=1e-9)
    assert str(found).startswith("move Web +50, Fair -50 CNY: gain over the present split")


def test_nothing_is_recommended_below_the_least_effect_or_in_doubt():
    sure = allocate(response(sd=0.01), budget=90, present=EVEN, min_effect=1000)
    assert sure.verdict == "not worth moving"
    assert sure.recommended.to_dict() == EVEN
    doubtful = allocate(response(mean=(2.0, 2.1, 1.9), sd=1.5), budget=90, present=EVEN, min_effect=5)
    assert doubtful.verdict == "no clear difference"
    assert doubtful.recommended.to_dict() == EVEN
    assert str(doubtful).startswith("no clear difference: gain")
    higher = allocate(response(mean=(2.0, 2.1, 1.9), sd=1.5), budget=90, present=EVEN, min_effect=30)
    assert 0.1 < higher.p_effect < 0.5
    assert higher.verdict == "no clear difference"
    with pytest.raises(TypeError, match="min_effect"):
        allocate(response(), budget=90, present=EVEN)


def test_twice_the_money_unit_is_half_the_number_of_units():
    once = allocate(response(), budget=90, present=EVEN, min_effect=1)
    fine = Response.linear(Estimate.of(np.random.default_rng(1).normal([3.0, 2.0, 1.0], 0.3, (400, 3)) / 100, description="per fen",
                                       coords={"channel": ARMS}), upto=6000.0, spend_unit="fen")  # fmt: skip
    other = allocate(fine, budget=9000, present=dict.fromkeys(ARMS, 3000.0), min_effect=1)
    np.testing.assert_allclose(other.splits, 100 * once.splits, atol=1e-4)
    np.testing.assert_allclose(other.value.draws, once.value.draws, rtol=1e-6)


def test_regret_is_the_value_of_the_best_less_that_of_the_split_and_the_gain_the_difference_of_regrets():
    found = allocate(response(sd=1.0), budget=90, present=EVEN, min_effect=1)
    regret = found.regret.draws
    np.testing.assert_allclose(found.gain.draws, regret.sel(action=PRESENT) - regret.sel(action=AVERAGE), atol=1e-9)
    table = found.outcomes()
    assert table.loc[PRESENT, "p_better"] == 0.0
    assert table.loc[AVERAGE, "p_better"] == found.p_better
    assert table.loc[AVERAGE, "value"] == table["value"].max()


def test_what_is_not_worth_its_price_stays_unspent():
    net = response(mean=(3.0, 0.5, 0.2), sd=0.01).net_of_spend()
    found = allocate(net, budget=90, present=EVEN, min_effect=1)
    assert found.splits[AVERAGE].to_dict() == pytest.approx({"Web": 60.0, "Fair": 0.0, "Phone": 0.0}, abs=1e-6)
    assert float(found.optimum.draws.sum("channel").max()) == pytest.approx(60.0)
    with pytest.raises(UnitError, match="cannot subtract"):
        response(unit="deal/CNY").net_of_spend()


def test_the_second_limit_moves_money_to_the_arm_that_needs_less_of_it():
    hours = {"Web": 1.0, "Fair": 0.1, "Phone": 0.1}
    found = allocate(response(sd=0.01), budget=90, present=EVEN, min_effect=1, hours=hours, capacity=20.0)
    # 60 on Fair takes 6 hours; the 14 left are worth 3 - 1 = 2 more each by moving a unit from Phone to Web at 0.9 hours
    assert found.splits[AVERAGE].to_dict() == pytest.approx({"Web": 11 / 0.9, "Fair": 60.0, "Phone": 30 - 11 / 0.9}, rel=1e-5)
    assert found.hours[AVERAGE] == pytest.approx(20.0)
    assert "The present split needs up to 36 hours" in str(found)
    assert found.verdict == "must move"
    assert found.recommended.to_dict() == found.splits[AVERAGE].to_dict()


def test_a_present_split_outside_the_limits_is_never_recommended_however_good():
    inside = allocate(response(), budget=90, present=EVEN, min_effect=1000)
    assert inside.recommended.to_dict() == EVEN
    for ask, said in (
        ({"budget": 80}, "part of the gain is the size"),
        ({"budget": 90, "bounds": {"Web": (0, 20), "Phone": (40, 60)}}, "outside the bounds of Web, Phone"),
    ):
        found = allocate(response(), present=EVEN, min_effect=1000, **ask)
        assert found.verdict == "must move"
        assert said in str(found)
        assert found.recommended.sum() <= ask["budget"] * (1 + 1e-9)


def test_the_same_question_twice_is_the_same_answer_and_the_response_is_left_alone():
    own = response(sd=1.0)
    before = [values.copy() for values in own.values]
    first, second = (allocate(own, budget=90, present=EVEN, min_effect=1) for _ in range(2))
    np.testing.assert_array_equal(first.splits, second.splits)
    for old, new in zip(before, own.values, strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_cannot_be_asked_is_said_all_at_once():
    with pytest.raises(DataError, match="4 problems") as caught:
        allocate(response(), budget=-1, present=EVEN, min_effect=1, bounds={"Radio": (0, 1), "Web": (50, 70)}, hours={"Web": 1.0})
    assert "expected both of them or neither" in str(caught.value)
    assert "expected 0 <= least < most <= 60, found 50 and 70" in str(caught.value)
    with pytest.raises(DataError, match="found none for Phone"):
        allocate(response(), budget=90, present={"Web": 1, "Fair": 1}, min_effect=1)
    with pytest.raises(DataError, match="expected at least the 12 that the lower bounds need"):
        allocate(
            response(),
            budget=90,
            present=EVEN,
            min_effect=1,
            bounds={"Web": (12, 60)},
            hours=dict.fromkeys(ARMS, 1.0),
            capacity=5,
        )
    with pytest.raises(DataError, match="3 problems"):
        allocate(response(), budget=90, present=EVEN, min_effect=-1, tail=0, clear=0.3)


def test_a_response_that_rises_faster_the_more_is_spent_is_refused():
    growing = np.array([[[0.0, 1.0, 3.0]]])
    with pytest.raises(DataError, match="a further unit brings no more than the last"):
        Response(
            arms=("Web",),
            dim="channel",
            levels=(np.array([0.0, 1.0, 2.0]),),
            values=(growing,),
            unit="deal",
            spend_unit="CNY",
            wording="x",
        )
    value = Estimate.of([[1.0]], unit="deal", description="value", coords={"channel": ["Web"]})
    with pytest.raises(DataError, match="expected numbers above 0 up to 1"):
        Response.power(value, at={"Web": 1.0}, elasticity=1.2, spend_unit="CNY")
    with pytest.raises(DataError, match="expected from 0 to 60"):
        response().at({"Web": 70.0, "Fair": 0.0, "Phone": 0.0})
