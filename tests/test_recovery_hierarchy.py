"""Crossed effects against simulated teams whose truth is known: are the intervals right, and the spread, the mix, the order?"""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.models.hierarchical import HierarchicalConversion

WORLDS = 3


@pytest.fixture(scope="module")
def worlds():
    """Teams watched for six years, so that the few who are still open play no part; channels differ, and owners' mixes of them."""
    found = []
    for seed in range(WORLDS):
        crm = simulate_crm(seed=seed, n_leads=6000, start="2020-07-01", region_sd=0.0, regions=("All",), mix=1.0)
        counts = read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of).stages(by=("owner", "channel"))
        fit = HierarchicalConversion(groups=("owner", "channel")).fit(counts, seed=seed, draws=400, chains=2, tune=400)
        found.append((crm, fit))
    return found


def truth(crm, fit):
    """True rate of every cell of the fit, shape (cell, stage)."""
    labels = dict(zip(("owner", "channel"), fit.cells().labelled, strict=True)) | {"region": ["All"] * len(fit.cells().entrants)}
    codes = {name: pd.Index(getattr(crm.world, f"{name}s")).get_indexer(pd.Index(values)) for name, values in labels.items()}
    return crm.world.probability(crm.truth.effects, codes)


def test_intervals_of_cells_hold_the_truth(worlds):
    held = [
        (fit.predict().lower.values <= truth(crm, fit)) & (truth(crm, fit) <= fit.predict().upper.values) for crm, fit in worlds
    ]
    assert 0.84 < np.mean(held) < 0.96  # some 700 intervals of 90 %, of one team correlated


def test_pooling_beats_raw_rates(worlds):
    for crm, fit in worlds:
        table, real = fit.cells(), truth(crm, fit)
        raw = np.where(table.trials > 0, table.wins / np.maximum(table.trials, 1), np.nan)
        pooled = fit.predict().point.values
        error = np.nanmean((raw - real) ** 2, axis=0) / np.mean((pooled - real) ** 2, axis=0)
        assert np.all(error > 1.5), error


def test_spread_and_correlation(worlds):
    """The sd of owners' effects is 0.35 at every step and their correlation 0.5; averaged over teams and steps, as each is vague."""
    draws = [fit.to_datatree()["posterior"].to_dataset() for _, fit in worlds]
    sd = np.mean([float(d["sd_owner"].mean()) for d in draws])
    correlation = np.mean([np.triu(d["corr_owner"].mean(("chain", "draw")).values, 1).sum() / 6 for d in draws])
    assert sd == pytest.approx(0.35, abs=0.08)
    assert 0.15 < correlation < 0.75


def test_owners_are_ordered_by_what_they_do_and_not_by_what_they_are_given(worlds):
    for crm, fit in worlds:
        table, real = fit.cells(), truth(crm, fit).prod(axis=1)
        share = pd.Series(table.entrants).groupby(np.array(table.labelled[1])).sum() / table.entrants.sum()
        cells = pd.DataFrame({"owner": table.labelled[0], "rate": real * share.loc[table.labelled[1]].to_numpy()})
        fair = (
            cells.groupby("owner")["rate"].sum()
            / cells.assign(s=share.loc[table.labelled[1]].to_numpy()).groupby("owner")["s"].sum()
        )
        rates = fit.standardised_rates("owner")
        within = (rates.lower.values <= fair.to_numpy()) & (fair.to_numpy() <= rates.upper.values)
        assert within.mean() > 0.65
        assert np.corrcoef(rates.point.values, fair)[0, 1] > 0.7
