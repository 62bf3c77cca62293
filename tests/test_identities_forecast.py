"""What a forecast must obey whatever the data: sums, limits, and refusals that say what to do."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.decisions.calibration import stated_probabilities
from funnelstats.decisions.forecast import ALL, forecast
from funnelstats.decisions.forecast_backtest import backtest_forecast, stage_chances
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.models.exits import CompetingExits
from funnelstats.models.intake import Intake
from funnelstats.models.price import Prices


@pytest.fixture(scope="module")
def log():
    crm = simulate_crm(seed=5, n_leads=1500, owners=4)
    return read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of)


@pytest.fixture(scope="module")
def whole(log):
    return forecast(log, horizon=90, periods=3, seed=1, draws=200)


@pytest.fixture(scope="module")
def by_owner(log):
    return forecast(log, horizon=90, periods=3, seed=1, by="owner", draws=200)


def tiny(*histories, as_of="2026-06-30"):
    """A log of two stages from histories of (stage, day of 2026)."""
    rows = [(i, stage, pd.Timestamp("2026-01-01") + pd.Timedelta(seconds=round(day * 86_400)), amount)
            for i, (amount, *history) in enumerate(histories) for stage, day in history]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["id", "stage", "at", "amount"])
    mapping = {
        "stages": ["Lead", "Won"],
        "lost": ["Lost"],
        "entity": "id",
        "stage": "stage",
        "at": "at",
        "columns": {"amount": "amount"},
    }
    return read_crm(frame, mapping=mapping, as_of=as_of)


# -- sums ---------------------------------------------------------------------------------------------------------------


def test_groups_add_up_to_the_total_in_every_draw(by_owner):
    total = by_owner.total()
    for name, unit in (("wins", "deal"), ("revenue", "CNY")):
        part, parts = getattr(total, name), getattr(by_owner, name)
        np.testing.assert_allclose(part.draws, parts.draws.sum("owner"), rtol=1e-12)
        assert part.unit == parts.unit == unit
        whole = total.whole(name)
        np.testing.assert_allclose(whole.draws, parts.draws.sum(["owner", "period"]), rtol=1e-12)
    assert total.by is None
    assert total.total() is total


def test_the_total_by_groups_is_the_forecast_without_them(whole, by_owner):
    one, other = whole.whole(), by_owner.total().whole()
    assert one.point == pytest.approx(other.point, rel=0.12)
    assert one.sd == pytest.approx(other.sd, rel=0.25)


def test_open_deals_are_part_of_the_wins(whole, log):
    assert bool((whole.standing.draws <= whole.wins.draws).all())
    assert bool((whole.wins.draws >= 0).all())
    assert float(whole.standing.sum("period").draws.max()) <= log.pipeline(every=30).open["n"].sum()
    alone = forecast(log, horizon=90, periods=3, seed=1, draws=200, intake=0)
    np.testing.assert_array_equal(alone.wins.draws, alone.standing.draws)
    twice = forecast(log, horizon=90, periods=3, seed=1, draws=200, intake=2)
    np.testing.assert_allclose(twice.expected_new.draws, 2 * whole.expected_new.draws)
    assert twice.whole().point > whole.whole().point > alone.whole().point


def test_the_same_seed_is_the_same_forecast(whole, log):
    again = forecast(log, horizon=90, periods=3, seed=1, draws=200)
    assert again.revenue.draws.equals(whole.revenue.draws)
    assert not forecast(log, horizon=90, periods=3, seed=2, draws=200).revenue.draws.equals(whole.revenue.draws)


def test_periods_do_not_matter_to_their_sum(whole, log):
    one = forecast(log, horizon=90, seed=1, draws=200)
    assert one.whole().point == pytest.approx(whole.whole().point, rel=0.08)
    (begin, end), *_ = one.periods
    assert (str(begin.date()), str(end.date())) == ("2026-07-01", "2026-09-29")
    assert one.periods[0] == (whole.periods[0][0], whole.periods[-1][1])


def test_the_table_holds_the_draws(by_owner):
    table = by_owner.table()
    assert len(table) == 2 * 4 * 4
    assert bool((np.diff(table[["lower", "p10", "p50", "p90", "upper"]].to_numpy(), axis=1) >= 0).all())
    row = table.query("owner == 'Ada Birch' and quantity == 'revenue' and period == @ALL").iloc[0]
    draws = by_owner.revenue.draws.sel(owner="Ada Birch").sum("period")
    assert (row["mean"], row["p90"]) == pytest.approx((float(draws.mean()), float(draws.quantile(0.9))))
    assert set(table["unit"]) == {"deal", "CNY"}
    assert "Forecast of" in repr(by_owner.total())
    assert ALL in set(table["period"])


# -- limits -------------------------------------------------------------------------------------------------------------


def test_nothing_open_and_nobody_to_come_is_nought():
    done = [(5.0, ("Lead", 2), ("Won", 4)), (9.0, ("Lead", 3), ("Won", 9)), (7.0, ("Lead", 3), ("Lost", 5))]
    found = forecast(tiny(*done), horizon=30, seed=1, intake=0, draws=20)
    assert float(found.wins.draws.max()) == 0.0
    assert float(found.revenue.draws.max()) == 0.0


def test_open_deals_that_are_certain_bring_their_own_amounts():
    """Everyone has advanced within a day, so all three open deals will, and bring exactly what is written on them."""
    past = [(1.0 + i % 2, ("Lead", i % 150), ("Won", i % 150 + 0.5)) for i in range(4000)]
    now = [(100.0, ("Lead", 180.6)), (250.0, ("Lead", 180.8)), (30.0, ("Lead", 180.9))]
    found = forecast(tiny(*past, *now), horizon=60, seed=1, intake=0, draws=100)
    assert float(found.wins.draws.min()) == 3
    np.testing.assert_allclose(found.revenue.draws, 380.0, rtol=1e-3)


def test_without_a_won_amount_revenue_is_not_identified():
    done = [(np.nan, ("Lead", i), ("Won" if i % 2 else "Lost", i + 5)) for i in range(60)]
    found = forecast(tiny(*done, (3.0, ("Lead", 170))), horizon=30, seed=1, draws=20)
    assert isinstance(found.revenue, NotIdentified)
    assert "at least two won deals with an amount" in found.revenue.reason
    assert set(found.table()["quantity"]) == {"wins"}
    scores = backtest_forecast(tiny(*done, (3.0, ("Lead", 170))), horizon=20, origins=["2026-03-01"], seed=1, draws=20).scores()
    assert list(scores.index) == ["wins"]


def test_a_segment_that_has_won_nothing_gets_the_mean_of_all():
    frame = pd.DataFrame({"owner": ["Ann", "Bo"], "n": [400, 400], "mean": [100.0, 300.0], "sd": [10.0, 30.0]})
    prices = Prices.of(frame, labels=("Ann", "Bo", "Cy"), by="owner")
    np.testing.assert_allclose(prices.credibility, [1, 1, 0], atol=1e-3)
    means = prices.draw(np.random.default_rng(1), draws=4000)
    np.testing.assert_allclose(means[:, :2].mean(axis=0), [100, 300], rtol=0.01)
    assert means[:, 2].mean() == pytest.approx(200, rel=0.05)
    assert means[:, 2].std() > 50  # the spread between segments is its uncertainty
    alike = Prices.of(frame.assign(mean=100.0), labels=("Ann", "Bo", "Cy"), by="owner")
    np.testing.assert_allclose(alike.credibility, 0)
    total = prices.total(np.random.default_rng(2), np.full(20_000, 100.0), np.full(20_000, 7))
    assert (total.mean(), total.std()) == pytest.approx((700, 100 * prices.cv * np.sqrt(7)), rel=0.03)
    assert prices.total(np.random.default_rng(2), np.array([100.0]), np.array([0]))[0] == 0


def test_one_rate_for_ever_is_the_gamma_poisson():
    """Steady counts: the memory is long, and the rate is that of a Gamma with all counts."""
    rng = np.random.default_rng(1)
    rates = Intake(counts=np.full((1, 40), 100)).draw(rng, draws=4000, periods=2)[:, 0]
    assert rates.mean() == pytest.approx(100, rel=0.02)
    assert rates[:, 1].std() < 6
    rising = Intake(counts=np.array([[20] * 10 + [40] * 10 + [80] * 10])).draw(rng, draws=4000, periods=3)[:, 0]
    assert rising[:, 0].mean() == pytest.approx(80, rel=0.1)
    assert rising[:, 2].std() > rising[:, 0].std()  # further ahead is less sure
    none = Intake(counts=np.array([[0, 0], [5, 6]])).draw(rng, draws=50, periods=1)
    assert none[:, 0].max() == 0
    assert none[:, 1].min() > 0


# -- back-test and calibration ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(log):
    return backtest_forecast(log, horizon=60, periods=2, origins=3, seed=1, draws=100)


def test_the_backtest_knows_nothing_of_the_future(log, found):
    """As of an origin the forecast is that of a log that ends there, and what came is what the later log holds."""
    at = found.table["origin"].iloc[0]
    before, _ = log.split(at)
    made = forecast(before, horizon=60, periods=2, seed=1, draws=100)
    rows = found.table[(found.table["origin"] == at) & (found.table["quantity"] == "wins")]
    np.testing.assert_allclose(rows["mean"][:2], made.wins.point)
    won = log.entities.filter(log.entities.fate == "won").execute()
    inside = (won["at_4"] >= made.periods[0][0]) & (won["at_4"] < made.periods[-1][1])
    whole = rows[rows["period"] == ALL].iloc[0]
    assert whole["observed"] == inside.sum() == rows["observed"][:2].sum()
    shares = stage_chances(made.pipeline.counts)
    assert whole["weighted"] == pytest.approx((made.pipeline.open["n"] * made.pipeline.open["stage"].map(shares)).sum())
    assert made.periods[-1][1] <= log.window.end


def test_scores_are_those_of_the_table(found):
    scores = found.scores()
    part = found.table[(found.table["quantity"] == "revenue") & (found.table["period"] == ALL)]
    row = scores.loc["revenue"]
    assert row["skill_weighted"] == pytest.approx(1 - part["crps"].mean() / (part["weighted"] - part["observed"]).abs().mean())
    assert row["forecasts"] == 6
    assert row["inside"] == found.table.query("quantity == 'revenue' and period != @ALL")["inside"].sum()
    assert "skill over the weighted pipeline" in str(found)
    assert found.units == {"wins": "deal", "revenue": "CNY"}


def test_certain_chances_of_the_weighted_pipeline(log):
    """With every stage at one the weighted pipeline is the number of open deals; with a chance for each deal it is theirs."""
    sure = dict.fromkeys(log.stage_names, 1.0)
    table = backtest_forecast(log, horizon=60, origins=1, seed=1, draws=20, chances=sure).table
    before, _ = log.split(table["origin"].iloc[0])
    assert table.query("quantity == 'wins' and period == @ALL")["weighted"].iloc[0] == before.pipeline(every=60).open["n"].sum()
    with pytest.raises(DataError, match=r"expected one for each stage, found none for \['Marketing'"):
        backtest_forecast(log, horizon=60, origins=1, seed=1, draws=20, chances={"Lead": 0.5})


def test_stated_chances_beside_what_became_of_the_deals(log):
    table = stated_probabilities(log, at="2025-12-31", seed=1)
    assert (table["open_then"] == table["won"] + table["lost"] + table["still_open"]).all()
    assert (table["observed"] <= table["at_most"]).all()
    assert list(table.index) == list(log.stage_names[:-1])
    certain = stated_probabilities(log, at="2025-12-31", seed=1, chances=dict.fromkeys(log.stage_names, 1.0))
    assert (certain["stated"] == 1).all()
    assert not certain["stated_inside"].any()
    pd.testing.assert_series_equal(certain["model"], table["model"])


def test_a_probability_with_each_deal_is_read_as_a_share_or_in_per_cent():
    rows = []
    for i in range(240):
        day, won = i % 120, i % 3 == 0
        history = [("Lead", day)] + ([("Won" if won else "Lost", day + 8)] if day < 110 else [])
        rows += [
            (i, stage, pd.Timestamp("2026-01-01") + pd.Timedelta(days=at), 10.0 + i % 5, 30 + 40 * won) for stage, at in history
        ]
    frame = pd.DataFrame(rows, columns=["id", "stage", "at", "amount", "chance"])
    mapping = {"stages": ["Lead", "Won"], "lost": ["Lost"], "entity": "id", "stage": "stage", "at": "at",
               "columns": {"amount": "amount", "chance": "chance"}}  # fmt: skip
    log = read_crm(frame, mapping=mapping, as_of="2026-05-31")
    share = read_crm(frame.assign(chance=frame["chance"] / 100), mapping=mapping, as_of="2026-05-31")
    tables = [stated_probabilities(one, at="2026-03-31", seed=1, probability="chance") for one in (log, share)]
    before, _ = log.split("2026-03-31")
    cells = before.pipeline("chance", every=1).open
    expected = (cells["n"] * pd.to_numeric(cells["chance"])).sum() / cells["n"].sum() / 100
    for table in tables:
        assert table["stated"].iloc[0] == pytest.approx(expected)


# -- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"horizon": 90, "periods": 4}, "expected a whole number of equal periods of whole days, found 90 in 4 periods"),
        ({"horizon": 0}, "horizon, periods"),
        ({"horizon": 9.5}, "horizon, periods"),
        ({"horizon": 90, "intake": -1}, "expected a multiple of 0 or more, found -1"),
        ({"horizon": 90, "by": "planet"}, "planet: no such segment"),
    ],
)
def test_a_wrong_request_is_refused_with_the_remedy(log, given, words):
    with pytest.raises(DataError, match=words):
        forecast(log, seed=1, **given)


def test_a_fit_of_something_else_is_refused(log):
    owners = CompetingExits(group="owner").fit(log.hazards("owner"), seed=1, method="normal", draws=10)
    with pytest.raises(DataError, match="expected one with group None or none, found 'owner'"):
        forecast(log, horizon=30, seed=1, fit=owners)
    shared = CompetingExits().fit(log.hazards(), seed=1, draws=50)
    made = forecast(log, horizon=30, seed=1, by="owner", fit=shared)
    assert isinstance(made.revenue, Estimate)
    assert made.wins.draws.sizes["owner"] == 4


@pytest.mark.parametrize("origins", [[], ["2026-06-15"], ["2020-01-01"]])
def test_origins_outside_the_log_are_refused(log, origins):
    with pytest.raises(DataError):
        backtest_forecast(log, horizon=60, origins=origins, seed=1)
