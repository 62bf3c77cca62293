"""Do the worlds of the industries have the truth that they state, and do intervals hold it as often as they say?"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from funnelstats.data.choices import SimulatedChoices, term_column
from funnelstats.data.crm import read_crm
from funnelstats.data.datasets import dataset_card, load_dataset
from funnelstats.data.rebuild import remake
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.simulate_ecommerce import EFFECTS as SHOP
from funnelstats.data.simulate_ecommerce import simulate_ecommerce
from funnelstats.data.simulate_finance import simulate_finance
from funnelstats.data.simulate_retail import simulate_retail
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.exits import CompetingExits
from funnelstats.models.step_pooling import pooled_steps, whole_team
from funnelstats.models.trials import Trials

Z = 4.0  # standard errors: a false alarm once in 16,000
#: Columns of the segment, the offer and the answer.
ANSWERS = {
    "finance": ("segment", "offer", "applied"),
    "ecommerce": ("visitor", "offer", "purchased"),
    "retail": ("basket", "offer", "taken"),
}
SIMULATE = {"finance": simulate_finance, "ecommerce": simulate_ecommerce, "retail": simulate_retail}
LOGS = ("education", "health", "manufacturing")


@pytest.fixture(scope="module")
def worlds() -> dict[str, list[SimulatedChoices]]:
    return {name: [simulate(seed=seed) for seed in range(16)] for name, simulate in SIMULATE.items()}


def mature(world: SimulatedChoices) -> pd.DataFrame:
    """Rows whose answer is in; a bank's clients of the last two months may still apply."""
    table = world.table
    return table[table["contacted_on"] < world.window.as_of - pd.Timedelta(days=62)] if "contacted_on" in table else table


def within(count: int, of: int, share: float) -> bool:
    return abs(count - of * share) < Z * np.sqrt(of * share * (1 - share))


@pytest.mark.parametrize("name", SIMULATE)
def test_answers_scatter_around_their_own_chances(name: str, worlds: dict[str, list[SimulatedChoices]]) -> None:
    answer, z = ANSWERS[name][2], []
    for world in worlds[name]:
        rows = mature(world)
        own = world.chances.loc[rows.index, answer]
        z.append((rows[answer].sum() - own.sum()) / np.sqrt((own * (1 - own)).sum()))
    assert abs(np.mean(z)) < Z / np.sqrt(len(z))
    assert stats.chi2.ppf(1e-4, len(z)) < np.sum(np.square(z)) < stats.chi2.ppf(1 - 1e-4, len(z))


@pytest.mark.parametrize("name", SIMULATE)
def test_pooled_intervals_hold_the_true_chance_of_an_offer_nine_times_in_ten(
    name: str, worlds: dict[str, list[SimulatedChoices]]
) -> None:
    segment, offer, answer = ANSWERS[name]
    held = []
    for seed, world in enumerate(worlds[name][:4]):
        truth = world.offers.set_index(["offer", "segment"])["chance"]
        for label, rows in mature(world).groupby(offer):
            cells = rows.groupby(segment)[answer].agg(["sum", "size"])
            trials = Trials.of(cells["sum"].to_numpy(), cells["size"].to_numpy(), labels=list(cells.index))
            low, high = (
                BetaBinomial().fit(trials, seed=seed, draws=500, chains=2).rates().draws.quantile([0.05, 0.95], ("chain", "draw"))
            )
            true = truth.loc[label].reindex(cells.index).to_numpy()
            held.append((low.to_numpy() <= true) & (true <= high.to_numpy()))
    held = np.concatenate(held)
    assert within(int(held.sum()), len(held), 0.9), held.mean()


@pytest.mark.parametrize("name", SIMULATE)
def test_offers_and_arms_are_drawn_by_lot(name: str, worlds: dict[str, list[SimulatedChoices]]) -> None:
    segment, offer, _ = ANSWERS[name]
    p = [stats.chi2_contingency(pd.crosstab(world.table[segment], world.table[offer])).pvalue for world in worlds[name]]
    assert stats.kstest(p, "uniform").pvalue > 1e-4


def test_worth_is_chance_times_value_and_what_the_promotion_brought(worlds: dict[str, list[SimulatedChoices]]) -> None:
    for name in ("retail", "ecommerce"):
        z = []
        for world in worlds[name]:
            np.testing.assert_allclose(world.arms["expected"], world.arms["chance"] * world.arms["value"])
            rows = world.tables["promotion"] if name == "retail" else world.table.assign(arm=world.table["promotion"])
            brought = rows.assign(margin=rows["margin"].fillna(0)).groupby("arm")["margin"]
            z.append(((brought.mean() - world.arms.set_index("arm")["expected"]) / brought.sem()).to_numpy())
        z = np.array(z)
        # the mean of a skewed margin, over its own estimated error, leans a little: half a standard error is allowed for
        assert (np.abs(z.mean(axis=0)) < 0.5 + Z / np.sqrt(len(z))).all()
        assert within(int((np.abs(z) < stats.norm.ppf(0.95)).sum()), z.size, 0.9)


def test_a_loan_brings_what_the_truth_says(worlds: dict[str, list[SimulatedChoices]]) -> None:
    z = []
    for world in worlds["finance"]:
        old = world.table[world.table["contacted_on"] < world.window.as_of - pd.Timedelta(days=300)]
        assert old["status"].isin(["No interest", "Declined", "Repaid", "Defaulted"]).all()
        brought = old.assign(result=old["result"].fillna(0)).groupby(["offer"])["result"]
        mix = old.groupby(["offer", "segment"]).size()
        true = (world.offers.set_index(["offer", "segment"])["expected"] * mix).groupby("offer").sum() / mix.groupby(
            "offer"
        ).sum()
        z.append(((brought.mean() - true) / brought.sem()).to_numpy())
    assert (np.abs(np.mean(z, axis=0)) < 0.5 + Z / np.sqrt(len(z))).all()


def test_among_young_loans_only_defaults_have_ended() -> None:
    world = simulate_finance(seed=4)
    lent = world.table[world.table["approved_on"].notna()]
    young = lent["approved_on"] > world.window.as_of - pd.Timedelta(days=180)
    assert lent.loc[young, "defaulted"].dropna().eq("yes").all()
    assert young.sum() > 50
    assert lent.loc[~young, "defaulted"].notna().all()
    assert lent.loc[~young, "defaulted"].eq("yes").mean() < 0.25


def test_regression_intervals_hold_the_effects_nine_times_in_ten(worlds: dict[str, list[SimulatedChoices]]) -> None:
    effects = pd.Series(SHOP["purchased"])
    held = []
    for world in worlds["ecommerce"]:
        design = pd.DataFrame({term: term_column(world.table, term) for term in effects.index})
        fit = sm.GLM(world.table["purchased"].astype(float), design, family=sm.families.Binomial()).fit()
        held.append(np.abs(fit.params - effects) < stats.norm.ppf(0.95) * fit.bse)
    held = np.array(held)
    # effects of one fit are correlated: the error is that of as many fits, not intervals
    assert abs(held.mean() - 0.9) < Z * held.mean(axis=1).std() / np.sqrt(len(held)) + 0.01
    assert held.mean(axis=0).min() > 0.7


def test_buyers_come_back_as_often_as_stated_and_not_yet_when_young() -> None:
    world = simulate_ecommerce(seed=3, n_sessions=40_000, start="2024-01-01")
    bought = world.table[world.table["purchased"]]
    back, own = bought["repurchased_at"].notna(), world.chances.loc[bought.index, "repurchased"]
    old = bought["started_at"] < "2025-06-01"  # a year and more of time to come back
    assert abs(back[old].sum() - own[old].sum()) < Z * np.sqrt((own[old] * (1 - own[old])).sum())
    young = bought["started_at"] > "2026-05-30"
    assert back[young].mean() < 0.6 * own[young].mean()
    wait = (bought["repurchased_at"] - bought["purchased_at"])[old & back].dt.total_seconds() / 86_400
    assert within(int((wait < 45).sum()), len(wait), 0.5)


@pytest.mark.parametrize("name", LOGS)
def test_intervals_of_eventual_rates_hold_the_truth_of_a_log(name: str) -> None:
    card, held = dataset_card(f"world_{name}"), []
    for seed in range(3):
        world = simulate_crm(**card.made_by["arguments"] | {"seed": seed, "n_leads": 400})
        fit = CompetingExits().fit(
            read_crm(world.events, mapping=world.mapping, as_of=world.as_of).hazards(), seed=seed, draws=500
        )
        low, high = fit.predict().draws.quantile([0.05, 0.95], ("chain", "draw"))
        true = world.truth.expected()["rate"].to_numpy()[:-1]
        held.append((low.to_numpy() <= true) & (true <= high.to_numpy()))
    assert within(int(np.sum(held)), np.size(held), 0.9), held


@pytest.mark.parametrize("name", LOGS)
def test_the_export_has_the_columns_and_the_truth_of_its_card(name: str) -> None:
    card = dataset_card(f"world_{name}")
    table, world, written = load_dataset(card.name), remake(card), card.made_by["as_written"]["columns"]
    assert list(table.columns) == list(written.values())
    assert (table[written["at"]] - world.events["at"]).abs().max() < pd.Timedelta(minutes=1)
    for factor in {"owner", "channel", "region"} & set(written):
        counts = table.drop_duplicates(written["entity"])[written[factor]].value_counts()
        assert counts.to_dict() == world.truth.outcomes[factor].value_counts().to_dict()


def test_steps_are_pooled_one_by_one_and_the_team_is_their_weighted_mean() -> None:
    counts = read_crm("bundled:world_health").stages("clinic")
    rates = pooled_steps(counts, seed=5, draws=500, chains=2)
    for place, stage in enumerate(counts.stages[:-1]):
        alone = BetaBinomial().fit(Trials.of_counts(counts, stage=stage), seed=5 + place, draws=500, chains=2).rates()
        np.testing.assert_array_equal(rates.draws.sel(stage=stage).values, alone.draws.values)
    team, frame = whole_team(rates, counts), counts.frame
    for stage in counts.stages[:-1]:
        entered = frame[frame["stage"] == stage].set_index("clinic")["entered"]
        by_hand = sum(rates.draws.sel(stage=stage, clinic=name).values * n for name, n in entered.items()) / entered.sum()
        np.testing.assert_allclose(team.draws.sel(stage=stage).values, by_hand)


@pytest.mark.parametrize(("name", "group"), [("education", "channel"), ("health", "clinic"), ("manufacturing", "product_line")])
def test_pooled_rates_of_the_bundled_groups_hold_their_truth(name: str, group: str) -> None:
    card = dataset_card(f"world_{name}")
    factor = next(key for key, column in card.made_by["as_written"]["columns"].items() if column == group)
    rates = pooled_steps(read_crm(f"bundled:{card.name}").stages(group), seed=1)
    true = remake(card).truth.expected([factor]).pivot(index=factor, columns="stage", values="rate")
    low, high = rates.draws.quantile([0.005, 0.995], ("chain", "draw"))
    value = true.loc[list(rates.draws[group].values), list(rates.draws["stage"].values)].to_numpy()
    assert ((low.values <= value) & (value <= high.values)).all()
