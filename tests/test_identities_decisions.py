"""Laws that a verdict on stages must obey, whatever the data."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.stages import StageCounts
from funnelstats.decisions.bottleneck import best_decile, bottleneck
from funnelstats.decisions.fixing import value_of_fixing
from funnelstats.decisions.league import league_table
from funnelstats.decisions.mix import mix_and_rate
from funnelstats.errors import DataError, UnitError
from funnelstats.estimate import Estimate
from funnelstats.models.rates import step_rates

STAGES = ["Lead", "Opportunity"]


def rates(lead, opportunity, n=400, seed=1, draws=20_000):
    rng = np.random.default_rng(seed)
    values = rng.beta([n * lead, n * opportunity], [n * (1 - lead), n * (1 - opportunity)], size=(draws, 2))
    return Estimate.of(values, description="step rates", coords={"stage": STAGES})


def amount(mean=1000.0, draws=20_000):
    return Estimate.of(np.full(draws, mean), unit="CNY/deal", description="amount")


def test_two_stages_equally_far_from_their_benchmark_are_each_it_in_half_of_the_draws():
    answer = bottleneck(rates(0.3, 0.3), benchmark={"Lead": 0.6, "Opportunity": 0.6})
    assert answer.probability.to_numpy() == pytest.approx([0.5, 0.5], abs=0.02)
    assert answer.verdict == "unclear"


def test_the_lowest_rate_is_not_the_bottleneck_when_both_could_gain_the_same_share():
    answer = bottleneck(rates(0.1, 0.8, n=4000), benchmark={"Lead": 0.11, "Opportunity": 0.88})
    # one in ten and eight in ten, each ten per cent of itself short: the low rate is no worse, only noisier
    assert answer.verdict == "unclear"
    gain = answer.gain.point
    assert float(gain.sel(stage="Lead")) == pytest.approx(float(gain.sel(stage="Opportunity")), abs=0.01)


def test_a_growing_gap_raises_the_probability_monotonically():
    seen = [
        bottleneck(rates(p, 0.5), benchmark={"Lead": 0.55, "Opportunity": 0.55}).probability["Lead"]
        for p in (0.52, 0.5, 0.48, 0.45, 0.4)
    ]
    assert all(later > earlier for earlier, later in pairwise(seen))
    assert seen[0] < 0.4
    assert seen[-1] > 0.95


def test_no_stage_is_blamed_when_none_falls_short():
    answer = bottleneck(rates(0.5, 0.5), benchmark={"Lead": 0.3, "Opportunity": 0.3})
    assert answer.probability.sum() < 0.01
    assert answer.verdict == "unclear"


def test_money_is_the_relative_gain_times_the_value_of_the_funnel():
    now = rates(0.3, 0.5)
    value = Estimate.of(np.full(20_000, 200.0), unit="CNY", description="value")
    by_money = bottleneck(now, benchmark={"Lead": 0.4, "Opportunity": 0.6}, criterion="money", value=value)
    relative = bottleneck(now, benchmark={"Lead": 0.4, "Opportunity": 0.6})
    assert np.allclose(by_money.gain.draws, 200 * relative.gain.draws)
    assert by_money.gain.unit == "CNY"


def test_time_blames_the_stage_that_is_slow_for_what_it_is():
    time = Estimate.of(
        np.random.default_rng(1).normal([30.0, 12.0], 1.0, size=(4000, 2)),
        unit="day",
        description="time",
        coords={"stage": STAGES},
    )
    answer = bottleneck(rates(0.3, 0.5), criterion="time", time=time, benchmark={"Lead": 29.0, "Opportunity": 5.0})
    assert answer.verdict == "Opportunity"
    assert float(answer.gain.point.sel(stage="Opportunity")) == pytest.approx(7.0, abs=0.1)


def test_rank_probabilities_add_up_both_ways():
    ranks = bottleneck(rates(0.3, 0.4), benchmark={"Lead": 0.5, "Opportunity": 0.5}).ranks
    assert ranks.sum(axis=0).to_numpy() == pytest.approx([1, 1])
    assert ranks.sum(axis=1).to_numpy() == pytest.approx([1, 1])


def test_best_decile_lies_between_median_and_maximum_in_every_draw():
    values = np.random.default_rng(1).beta(5, 5, size=(500, 11, 2))
    owners = Estimate.of(values, description="rates", coords={"owner": list("abcdefghijk"), "stage": STAGES})
    best = best_decile(owners, group="owner").draws.values[0]
    assert (best <= values.max(axis=1)).all()
    assert np.allclose(best, np.sort(values, axis=1)[:, 9])  # the tenth of eleven is the 90th percentile


def test_double_the_volume_double_the_value():
    once, twice = (value_of_fixing(rates(0.3, 0.5), "Lead", entrants=n, amount=amount(), by=0.05) for n in (1000, 2000))
    assert np.allclose(twice.money.draws, 2 * once.money.draws)
    # 1000 * 0.5 * 0.05 wins
    assert once.wins.point == pytest.approx(25.0, abs=0.3)
    assert once.money.unit == "CNY"


def test_cost_moves_the_net_and_the_chance_that_it_pays():
    free, dear = (
        value_of_fixing(rates(0.3, 0.5), "Lead", entrants=1000, amount=amount(), by=0.05, cost=c) for c in (0.0, 25_000.0)
    )
    assert free.p_pays == 1.0
    assert dear.p_pays == pytest.approx(0.5, abs=0.06)
    assert np.allclose(free.net.draws - dear.net.draws, 25_000.0)


def test_a_stage_already_better_than_its_target_gains_nothing():
    fix = value_of_fixing(rates(0.3, 0.5, n=40_000), "Lead", entrants=1000, amount=amount(), to=0.2)
    assert fix.wins.upper == 0.0


def test_what_cannot_be_asked():
    with pytest.raises(DataError, match="none for \\['Opportunity'\\]"):
        bottleneck(rates(0.3, 0.5), benchmark={"Lead": 0.4})
    with pytest.raises(DataError, match="expected an Estimate for criterion 'money'"):
        bottleneck(rates(0.3, 0.5), benchmark={"Lead": 0.4, "Opportunity": 0.6}, criterion="money")
    with pytest.raises(DataError, match="exactly one of them"):
        value_of_fixing(rates(0.3, 0.5), "Lead", entrants=10, amount=amount())
    days = Estimate.of(np.ones((10, 2)), unit="day", description="time", coords={"stage": STAGES})
    with pytest.raises(UnitError, match="the benchmark is in day"):
        bottleneck(rates(0.3, 0.5, draws=10), benchmark=days)


def segments(rows, source):
    frame = pd.DataFrame(rows, columns=["channel", "stage", "entered"])
    return StageCounts.of(frame, stages=["Lead", "Won"], by=["channel"], source=source)


def test_mix_and_rate_add_up_to_the_change_in_every_draw():
    before = segments([("web", "Lead", 800), ("web", "Won", 40), ("fair", "Lead", 200), ("fair", "Won", 60)], "Q1")
    after = segments([("web", "Lead", 300), ("web", "Won", 15), ("fair", "Lead", 700), ("fair", "Won", 210)], "Q2")
    split = mix_and_rate(before, after, seed=1)
    assert np.allclose(split.change.draws, split.mix.draws + split.rate.draws)
    # same rates (0.05 and 0.3), other mix: 0.3 * 0.05 + 0.7 * 0.3 - (0.8 * 0.05 + 0.2 * 0.3) = 0.125, all of it mix
    assert split.mix.point == pytest.approx(0.125, abs=0.005)
    assert split.rate.lower < 0 < split.rate.upper
    back = mix_and_rate(after, before, seed=1)
    assert back.mix.point == pytest.approx(-split.mix.point, abs=0.005)


def test_a_change_of_rates_alone_is_all_rate():
    before = segments([("web", "Lead", 5000), ("web", "Won", 500), ("fair", "Lead", 5000), ("fair", "Won", 1000)], "Q1")
    after = segments([("web", "Lead", 5000), ("web", "Won", 1000), ("fair", "Lead", 5000), ("fair", "Won", 1500)], "Q2")
    split = mix_and_rate(before, after, seed=1)
    assert split.rate.point == pytest.approx(0.1, abs=0.004)
    assert split.mix.lower < 0 < split.mix.upper


def test_rates_of_counts_feed_the_verdict_directly():
    counts = StageCounts.of(
        pd.DataFrame({"stage": ["Lead", "Opportunity", "Won"], "entered": [1000, 300, 60], "open": [0, 0, 0]})
    )
    answer = bottleneck(step_rates(counts, seed=1), benchmark={"Lead": 0.31, "Opportunity": 0.35})
    assert answer.verdict == "Opportunity"


def owners(rate_by_owner, n=400, channels=("web",)):
    rows = [(owner, channel, stage, entered) for owner, rate in rate_by_owner.items() for channel in channels
            for stage, entered in (("Lead", n), ("Won", round(n * rate)))]  # fmt: skip
    return StageCounts.of(
        pd.DataFrame(rows, columns=["owner", "channel", "stage", "entered"]), stages=["Lead", "Won"], by=["owner", "channel"]
    )


def posterior(counts, seed=1, draws=8000):
    frame = counts.stages_by("owner").frame
    entered, won = (frame[frame["stage"] == s]["entered"].to_numpy() for s in ("Lead", "Won"))
    values = np.random.default_rng(seed).beta(won + 0.5, entered - won + 0.5, size=(draws, len(won)))
    return Estimate.of(values, description="won of entered", coords={"owner": list(frame["owner"].unique())})


def test_equal_consultants_are_never_flagged_and_share_the_ranks():
    counts = owners(dict.fromkeys("abcdef", 0.2))
    frame = league_table(posterior(counts), counts, group="owner").frame
    assert set(frame["verdict"]) == {"not distinguishable"}
    assert frame["p_top"].to_numpy() == pytest.approx([0.5] * 6, abs=0.05)
    assert frame["rank"].sum() == pytest.approx(21)


def test_a_clear_difference_is_named_and_the_ranks_follow():
    counts = owners({"a": 0.4, "b": 0.2, "c": 0.2, "d": 0.05})
    frame = league_table(posterior(counts), counts, group="owner", top=1).frame
    assert frame.index[0] == "a"
    assert frame.loc["a", ["p_top", "verdict"]].tolist() == [1.0, "above the target"]
    assert frame.loc["d", "verdict"] == "below the target"
    assert (frame["rank_lower"] <= frame["rank"]).all()


def test_who_never_met_the_common_mix_is_not_compared():
    both = owners({"a": 0.3, "b": 0.2}, channels=("web", "fair", "phone"))
    alone = owners({"z": 0.6}, channels=("web",))
    counts = StageCounts.of(pd.concat([both.frame, alone.frame]), stages=["Lead", "Won"], by=["owner", "channel"])
    frame = league_table(posterior(counts), counts, group="owner", top=1, mix=["channel"]).frame
    assert frame.loc["z", "verdict"] == "cannot compare"
    # web holds 1200 of 2800 entrants
    assert frame.loc["z", "overlap"] == pytest.approx(1200 / 2800)
    assert frame.loc["a", "overlap"] == 1.0


def test_shrinkage_is_the_share_of_the_way_to_the_mean():
    counts = owners({"a": 0.4, "b": 0.2})
    pulled = Estimate.of(np.full((10, 2), [0.35, 0.25]), description="rate", coords={"owner": ["a", "b"]})
    frame = league_table(pulled, counts, group="owner", top=1, target=0.3).frame
    assert frame["shrinkage"].to_numpy() == pytest.approx([0.5, 0.5])
