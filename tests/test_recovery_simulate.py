"""Do the simulated worlds have the truth that they state? Sampling error is measured in standard errors over replicates."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import hyp2f1, logit

from funnelstats.data.defects import KINDS
from funnelstats.data.simulate import SimulatedCrm, simulate_crm
from funnelstats.data.simulate_chain import simulate_chain
from funnelstats.data.simulate_customers import simulate_orders

Z = 4.0  # standard errors: a false alarm once in 16,000


@pytest.fixture(scope="module")
def worlds() -> list[SimulatedCrm]:
    return [simulate_crm(seed=seed, n_leads=2_000) for seed in range(40)]


def _z(count: np.ndarray, n: np.ndarray, rate: np.ndarray) -> np.ndarray:
    return (count - n * rate) / np.sqrt(n * rate * (1 - rate))


def test_eventual_step_rates_scatter_around_the_expected_ones_as_binomials(worlds: list[SimulatedCrm]) -> None:
    z = []
    for world in worlds:
        seen, true = world.truth.eventual(), world.truth.expected()
        z.append(_z(seen["advanced"], seen["entered"], true["rate"]).to_numpy()[:-1])
    z = np.array(z)
    assert (np.abs(z.mean(axis=0)) < Z / np.sqrt(len(z))).all()
    assert stats.chi2.ppf(1e-4, z.size) < (z**2).sum() < stats.chi2.ppf(1 - 1e-4, z.size)


def test_eventual_rates_by_consultant_scatter_around_their_expected_ones(worlds: list[SimulatedCrm]) -> None:
    z = []
    for world in worlds:
        seen, true = world.truth.eventual(by=["owner"]), world.truth.expected(by=["owner"])
        assert seen[["owner", "stage"]].equals(true[["owner", "stage"]])
        first = seen["stage"] == world.stages[0]
        z.append(_z(seen["advanced"], seen["entered"], true["rate"])[first])
    z = np.concatenate(z)
    assert abs(z.mean()) < Z / np.sqrt(len(z))
    assert stats.chi2.ppf(1e-4, z.size) < (z**2).sum() < stats.chi2.ppf(1 - 1e-4, z.size)


def test_expected_overall_rate_is_the_mean_product_of_each_entitys_own_chances() -> None:
    truth = simulate_crm(seed=5, n_leads=2_000).truth
    effect = {(row.factor, row.segment, row.stage): row.effect for row in truth.effects.itertuples()}
    product = np.ones(len(truth.outcomes))
    for rate, stage in zip(truth.world.rates, truth.world.stages[:-1], strict=True):
        shift = sum(truth.outcomes[name].map(lambda label, name=name, stage=stage: effect[name, label, stage])
                    for name in ("owner", "channel", "region"))  # fmt: skip
        product /= 1 + np.exp(-(np.log(rate / (1 - rate)) + shift))
    assert truth.expected()["from_start"].iloc[-1] == pytest.approx(product.mean(), rel=1e-12)


def test_the_youngest_cohort_looks_worse_than_it_is_and_an_old_one_does_not(worlds: list[SimulatedCrm]) -> None:
    young, old = [], []
    for world in worlds:
        entered = world.truth.outcomes.set_index("entity")["entered"]
        won_so_far = set(world.events.loc[world.events["stage"] == "Won", "entity"])
        rate = world.truth.expected()["from_start"].iloc[-1]
        age = (world.as_of - entered).dt.days
        for cohort, keep in ((young, age < 60), (old, age > 500)):
            members = entered.index[keep]
            cohort.append(_z(len(won_so_far & set(members)), len(members), rate))
    assert np.max(young) < 0
    assert np.mean(young) * np.sqrt(len(young)) < -15
    assert abs(np.mean(old)) * np.sqrt(len(old)) < Z


def test_time_in_stage_has_the_stated_median_for_both_ways_out() -> None:
    world = simulate_crm(seed=11, n_leads=60_000, start="2020-01-01")
    entered = world.truth.outcomes.set_index("entity")["entered"]
    events = world.events[world.events["entity"].map(entered) < "2023-01-01"]  # everyone's story has ended by as_of
    days = (events["at"].shift(-1) - events["at"]).dt.total_seconds() / 86_400
    way = events["stage"].shift(-1).eq(world.lost).map({True: "lost", False: "advance"})
    same = events["entity"].eq(events["entity"].shift(-1))
    for row in world.truth.durations().itertuples():
        stays = days[same & (events["stage"] == row.stage) & (way == row.exit)]
        assert len(stays) > 1_000
        assert abs(_z((stays < row.median_days).sum(), len(stays), 0.5)) < Z
        assert abs(stays.mean() - row.mean_days) < Z * stays.std() / np.sqrt(len(stays))


def test_effects_have_the_stated_spread_and_correlation_over_stages() -> None:
    truth = simulate_crm(seed=3, n_leads=10, owners=4_000, owner_sd=0.35, correlation=0.5).truth
    effects = truth.effects[truth.effects["factor"] == "owner"].pivot(index="segment", columns="stage", values="effect")
    assert (np.abs(effects.std() - 0.35) < Z * 0.35 / np.sqrt(2 * 4_000)).all()
    found = effects.corr().to_numpy()[np.triu_indices(4, 1)]
    assert (np.abs(found - 0.5) < Z * (1 - 0.5**2) / np.sqrt(4_000)).all()


def test_equal_consultants_are_equal_and_a_gap_is_exactly_the_gap() -> None:
    flat = {"owner_sd": 0, "channel_sd": 0, "region_sd": 0}
    equal = simulate_crm(seed=1, n_leads=500, **flat).truth.expected(by=["owner"])
    assert equal.groupby("stage")["rate"].agg(np.ptp).max() < 1e-14
    gap = simulate_crm(seed=1, n_leads=500, owner_gap=0.7, **flat).truth.expected(by=["owner"]).dropna()
    best = gap["owner"].eq("Ada Birch").to_numpy()
    np.testing.assert_allclose(logit(gap["rate"][best].to_numpy()) - logit(equal.dropna()["rate"][best].to_numpy()), 0.7)
    np.testing.assert_allclose(gap["rate"][~best], equal.dropna()["rate"][~best])


def test_case_mix_differs_between_consultants_only_when_asked() -> None:
    p = {}
    for mix in (0.0, 0.6):
        outcomes = simulate_crm(seed=2, n_leads=20_000, mix=mix).truth.outcomes
        p[mix] = stats.chi2_contingency(pd.crosstab(outcomes["owner"], outcomes["channel"])).pvalue
    assert p[0.0] > 1e-4 > 1e-50 > p[0.6]


def test_amounts_are_log_normal_around_their_regions_median() -> None:
    truth = simulate_crm(seed=4, n_leads=40_000, amount=9_000, amount_sd=0.7).truth
    logs = np.log(truth.outcomes["amount"]).groupby(truth.outcomes["region"])
    for row in truth.amounts.itertuples():
        sample = logs.get_group(row.region)
        assert abs(sample.mean() - np.log(row.median)) < Z * 0.7 / np.sqrt(len(sample))
        assert abs(sample.std() - 0.7) < Z * 0.7 / np.sqrt(2 * len(sample))
        assert row.mean == pytest.approx(row.median * np.exp(0.7**2 / 2))


def test_entries_follow_the_season() -> None:
    entered = simulate_crm(seed=6, n_leads=50_000, season=0.3, start="2022-01-01", as_of="2026-01-01").truth.outcomes["entered"]
    wave = np.sin(2 * np.pi * entered.dt.day_of_year / 365.25)
    # E[sin] under a density proportional to 1 + s sin is s / 2
    assert abs(wave.mean() - 0.15) < Z * wave.std() / np.sqrt(len(wave))
    assert abs(_z((entered.dt.day_of_week >= 5).sum(), len(entered), 0.6 / 5.6)) < Z + 1  # four years are not whole weeks


def test_same_seed_same_world_and_dirt_leaves_the_truth_alone() -> None:
    clean, again, dirty = (simulate_crm(seed=9, n_leads=800, dirty=share) for share in (False, False, 0.02))
    assert clean.events.equals(again.events)
    assert clean.truth.outcomes.equals(dirty.truth.outcomes)
    assert not clean.events.equals(simulate_crm(seed=10, n_leads=800).events)
    spoilt = set(dirty.defects["entity"])
    kept = [frame[~frame["entity"].isin(spoilt)].reset_index(drop=True) for frame in (clean.events, dirty.events)]
    assert kept[0].equals(kept[1][kept[0].columns.tolist()])


STAGES = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")


def _recount(world: SimulatedCrm) -> dict[str, int]:
    """Count every kind of defect in the frame by its own definition, without looking at what was injected."""
    e = world.events.assign(k=world.events["stage"].map({name: k for k, name in enumerate((*STAGES, "Lost"))}))
    live = e[~e["deleted"]]
    by = live.groupby("entity")
    before, prior = by["k"].shift(1), by["at"].shift(1)
    last, first = by.tail(1).set_index("entity"), by.head(1).set_index("entity")
    inside = live[(live["k"] <= 4) & (live["at"] <= world.as_of)]
    stages = inside.groupby("entity")["k"].agg(["min", "max", "nunique"])
    story = live.groupby("entity").agg(lambda rows: tuple(rows))[["stage", "at", "channel", "region", "amount"]]
    last_second = live["at"].eq(world.as_of - pd.Timedelta(days=30, seconds=1))
    won = live[live["k"] == 4].set_index("entity")["at"]
    lead = live[live["k"] == 0].drop_duplicates("entity").set_index("entity")["at"]
    early = won.index[won < lead.reindex(won.index)]
    stale = last[(last["k"] < 4) & (last["at"] < world.as_of - pd.Timedelta(days=180))].index.difference(early)
    return {
        "repeated_stage": live[(live["k"] == before) & live["at"].gt(prior)]["entity"].nunique(),
        "backward_move": live[(live["k"] < before) & (before < 4)]["entity"].nunique(),
        "reopened": live[(before == 5) & (live["k"] < 5)]["entity"].nunique(),
        "won_before_created": len(early),
        "future_date": live[live["at"] > world.as_of]["entity"].nunique(),
        "bulk_edit": live[last_second]["entity"].nunique(),
        "skipped_stage": int(((stages["nunique"] < stages["max"] + 1) & (stages["min"] == 0)).drop(early).sum()),
        "without_lead": int((first["k"] >= 2).drop(early).sum()),
        "missing_channel": int(by["channel"].apply(lambda values: values.isna().any()).sum()),
        "negative_amount": live[live["amount"] < 0]["entity"].nunique(),
        "owner_change": int((by["owner"].nunique() > 1).sum()),
        "amount_change": int((by["amount"].nunique() > 1).sum()),
        "duplicate": int(story.duplicated().sum()),
        "merged": e[e["merged_into"].notna()]["entity"].nunique(),
        "deleted": e[e["deleted"] & e["merged_into"].isna()]["entity"].nunique(),
        "stale": len(stale),
    }


def test_as_many_defects_are_in_the_frame_as_were_injected() -> None:
    # Slow losses would look stale of themselves: with a shape of 3 nobody stays 180 days in a stage.
    world = simulate_crm(seed=8, n_leads=3_000, dirty=0.01, shape=3.0)
    assert set(world.injected) == set(KINDS)
    assert set(world.injected.values()) == {30}
    assert _recount(world) == world.injected
    assert world.defects.groupby("defect").size().to_dict() == world.injected
    assert world.defects["entity"].is_unique


def test_a_clean_world_has_no_defect() -> None:
    clean = simulate_crm(seed=8, n_leads=3_000, shape=3.0)
    marked = SimulatedCrm(events=clean.events.assign(deleted=False, merged_into=None), truth=clean.truth, world=clean.world,
                          window=clean.window, seed=8)  # fmt: skip
    assert set(_recount(marked).values()) == {0}


@pytest.mark.parametrize("stages", [("Visit", "Sale"), ("Visit", "Trial", "Sale"), tuple("ABCDEFGH")], ids=len)
def test_any_number_of_stages(stages: tuple[str, ...]) -> None:
    world = simulate_crm(seed=1, n_leads=2_000, stages=stages, lost="Gone", dirty=0.01)
    assert world.truth.eventual()["stage"].tolist() == list(stages)
    assert set(world.events["stage"]) <= {*stages, "Gone"}
    counts = world.truth.eventual()
    assert (counts["entered"].to_numpy()[1:] == counts["advanced"].to_numpy()[:-1]).all()
    assert (counts["lost"] + counts["advanced"] == counts["entered"])[:-1].all()


def test_orders_have_the_stated_rate_loyalty_and_spending() -> None:
    world = simulate_orders(seed=1, n_customers=20_000)
    r, alpha, a, b, p, q, v = world.parameters.values()
    assert abs(world.customers["rate"].mean() - r / alpha) < Z * np.sqrt(r) / alpha / np.sqrt(20_000)
    assert abs(world.customers["leave"].mean() - a / (a + b)) < Z * world.customers["leave"].std() / np.sqrt(20_000)
    by = world.orders.groupby("customer")["at"]
    age = (world.window.as_of - by.min()).dt.total_seconds() / (7 * 86_400)
    # Fader, Hardie & Lee (2005), eq. 9: expected number of repeat orders by age t
    hyper = hyp2f1(r, b, a + b - 1, age / (alpha + age))
    expected = (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + age)) ** r * hyper)
    repeats = by.size() - 1
    difference = repeats - expected
    assert abs(difference.mean()) < Z * difference.std() / np.sqrt(20_000)
    amounts = world.orders.groupby("customer")["amount"].mean()
    assert abs(amounts.mean() - p * v / (q - 1)) < Z * amounts.std() / np.sqrt(20_000)
    # who is alive and of known rate goes on buying: expected orders in the next span, customer by customer, below rate x span
    span = world.window.age(world.window.start)
    alive = world.customers["alive"].to_numpy()
    later = world.customers["later"].to_numpy()
    assert later[~alive].sum() == 0
    assert 0 < later[alive].mean() < (world.customers["rate"].to_numpy()[alive] * span).mean()


def test_least_squares_recovers_the_chain() -> None:
    z, spread = [], []
    for seed in range(60):
        world = simulate_chain(seed=seed, months=60)
        m, leads, sales, revenue = (world.periods[name].to_numpy(float) for name in "MLSR")
        for x, y, slope, base in ((m, leads, "a", "b"), (leads, sales, "c", "d"), (sales, revenue, "e", "f")):
            fit = stats.linregress(x, y)
            residual = y - world.parameters[slope] * x - world.parameters[base]
            off = fit.slope - world.parameters[slope], fit.intercept - world.parameters[base]
            z.append([off[0] / fit.stderr, off[1] / fit.intercept_stderr])
            spread.append((residual**2).mean())
    z, noise = np.array(z), np.sqrt(np.array(spread).reshape(60, 3).mean(axis=0))
    stated = np.array(list(world.noise.values()))
    assert (np.abs(noise - stated) < Z * stated / np.sqrt(2 * 60 * 60)).all()
    assert (np.abs(z.mean(axis=0)) < Z / np.sqrt(len(z))).all()
    assert (np.abs(z.std(axis=0) - 1) < Z / np.sqrt(2 * len(z)) + 0.03).all()  # t with 58 degrees of freedom, not normal
    assert simulate_chain(seed=1, months=3).slope == pytest.approx(80 * 0.5 * 0.8)
