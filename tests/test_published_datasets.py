"""Are the bundled tables those of the papers? Totals are typed from the sources named in each case."""

import pandas as pd
import pytest

from funnelstats.data.datasets import dataset_card, list_datasets, load_dataset

#: Columns of numbers that have no unit: a label, a rate, and values whose unit stands in the next column.
PURE = {("rat_tumours.csv", "experiment"), ("batting_1970.csv", "remaining_average"), ("article/chapter4.csv", "value")}


def test_cdnow_is_the_sample_of_fader_hardie_and_lee_2005() -> None:
    orders = load_dataset("cdnow")
    assert (len(orders), orders["customer"].nunique(), orders["date"].max()) == (6_919, 2_357, pd.Timestamp("1998-06-30"))
    # Fader, Hardie & Lee (2005), table 1 and text: 39 weeks of calibration to 1997-09-30
    days = orders[orders["date"] <= "1997-09-30"].drop_duplicates(["customer", "date"])
    repeats = days.groupby("customer").size() - 1
    assert repeats.sum() == 2_457
    assert repeats.clip(upper=7).value_counts().sort_index().tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
    # customer 1516: x = 26, t_x = 216/7, T = 31 weeks
    one = days.loc[days["customer"] == "1516", "date"]
    assert (repeats["1516"], (one.max() - one.min()).days, (pd.Timestamp("1997-09-30") - one.min()).days) == (26, 216, 217)


def test_donations_are_the_table_of_fader_hardie_and_shang_2010() -> None:
    table = load_dataset("donations")
    assert (len(table), table["donors"].sum(), set(table["periods"])) == (22, 11_104, {6})
    donors = table.set_index(["frequency", "recency"])["donors"]
    assert [donors[0, 0], donors[6, 6], donors[1, 3], donors[4, 5]] == [3464, 1203, 129, 284]


def test_retention_is_table_1_of_fader_and_hardie_2007() -> None:
    table = load_dataset("sbg_retention").pivot(index="year", columns="segment", values="percent_surviving")
    assert table["Regular"].tolist() == [100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1, 22.3, 20.7, 19.4, 18.3, 17.3]
    assert table["High End"].tolist() == [100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1, 46.8, 44.5, 42.7, 40.9, 39.4]


def test_admissions_are_those_of_bickel_hammel_and_oconnell_1975() -> None:
    totals = load_dataset("ucb_admissions").groupby("gender")[["admitted", "applied"]].sum()
    assert totals.loc["Male"].tolist() == [1_198, 1_198 + 1_493]
    assert totals.loc["Female"].tolist() == [557, 557 + 1_278]
    rate = load_dataset("ucb_admissions").assign(rate=lambda t: t["admitted"] / t["applied"]).pivot(
        index="department", columns="gender", values="rate")  # fmt: skip
    assert (rate["Female"] > rate["Male"]).sum() == 4


def test_rat_tumours_are_those_of_tarone_1982() -> None:
    table = load_dataset("rat_tumours")
    assert (len(table), table["tumours"].sum(), table["rats"].sum()) == (71, 267, 1_739)
    assert table.iloc[-1].tolist() == [71, 4, 14]
    # Gelman et al. (2013), section 5.1: mean .136 and sd .103 of the 70 observed rates
    rate = (table["tumours"] / table["rats"])[:70]
    assert (round(rate.mean(), 3), round(rate.std(), 3)) == (0.136, 0.103)


def test_batting_averages_are_those_of_efron_and_morris_1975() -> None:
    table = load_dataset("batting_1970")
    assert (len(table), table["hits"].sum(), set(table["at_bats"])) == (18, 215, {45})
    # Efron & Morris (1977): grand mean .265, shrinking factor .212
    mean = table["hits"].sum() / (18 * 45)
    raw = table["hits"] / 45
    shrink = 1 - 15 * mean * (1 - mean) / 45 / ((raw - mean) ** 2).sum()
    assert (round(mean, 3), round(shrink, 3)) == (0.265, 0.212)
    # total squared error of the raw averages .0753, of the James-Stein estimates .0213
    errors = [((estimate - table["remaining_average"]) ** 2).sum() for estimate in (raw, mean + shrink * (raw - mean))]
    assert [round(error, 4) for error in errors] == [0.0753, 0.0213]
    williams = table[table["player"] == "Walt Williams"].iloc[0]
    assert (williams["remaining_at_bats"], williams["remaining_average"]) == (270, 0.256)


def test_surgical_is_that_of_bugs_examples_volume_1() -> None:
    table = load_dataset("surgical")
    assert (len(table), table["operations"].sum(), table["deaths"].sum()) == (12, 2_814, 208)
    assert table.set_index("hospital").loc["H"].tolist() == [215, 31]


def test_article_numbers_follow_from_each_other() -> None:
    four = load_dataset("article/chapter4").set_index("symbol")["value"]
    assert (four["c"] * four["L"], four["e"] * four["S"]) == (four["S"], four["R"]) == (500, 400)
    five = load_dataset("article/chapter5")
    assert (five["L"] == 100 * five["M"]).all()
    assert (five["R"] == 200 + 20 * five["M"]).all()


@pytest.mark.parametrize("name", list_datasets())
def test_every_card_describes_its_files_column_by_column(name: str) -> None:
    card = dataset_card(name)
    assert card.title
    assert card.source.endswith((".", "simulate"))
    assert card.licence
    for table in card.tables:
        frame = load_dataset(f"{name}/{table.path.removeprefix(name + '/').removesuffix('.csv')}")
        assert len(frame) > 0
        assert frame.columns.tolist() == [column.name for column in table.columns]
        for column in table.columns:
            assert column.meaning
            kind = frame[column.name].dtype.kind
            assert kind == {"date": "M", "whole number": "i", "number": "f", "yes or no": "b"}.get(column.type, kind)
            assert (
                (column.type not in ("number", "whole number"))
                or column.unit
                or name in ("article", "batting_1970", "rat_tumours")
            )
