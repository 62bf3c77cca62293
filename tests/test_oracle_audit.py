"""The audit against worlds spoilt on purpose: every injected defect is found, and a clean world is found clean."""

import pytest

from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm

SHARE = 0.01
#: Check of the audit -> kinds of injected defects that must show there.
SHOWN = {
    "stage skipped": ("skipped_stage", "without_lead"),
    "moved backwards": ("backward_move",),
    "reopened after a loss": ("reopened",),
    "dated after the end of observation": ("future_date",),
    "one of many at one instant": ("bulk_edit",),
    "owner changed": ("owner_change",),
    "amount changed": ("amount_change",),
    "channel missing": ("missing_channel",),
    # an entity that came back to a stage, by moving backwards or by being reopened, has saved it again too
    "stage saved again": ("repeated_stage", "backward_move", "reopened"),
}


def audited(dirty):
    crm = simulate_crm(seed=3, n_leads=3000, dirty=dirty)
    return crm, read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of).audit()


@pytest.fixture(scope="module")
def spoilt():
    kinds = {kind for group in SHOWN.values() for kind in group} | {"stale"}
    return audited(dict.fromkeys(kinds, SHARE))


@pytest.mark.parametrize("check", SHOWN)
def test_each_defect_is_counted(spoilt, check):
    crm, audit = spoilt
    found = audit.frame.set_index("check").loc[check, "entities"]
    assert found == sum(crm.injected[kind] for kind in SHOWN[check])


def test_most_of_the_stale_are_among_those_without_news(spoilt):
    crm, audit = spoilt
    assert audit.frame.set_index("check").loc["nothing recorded for long", "entities"] >= crm.injected["stale"]


def test_a_clean_world_is_found_clean():
    _, audit = audited(False)
    assert audit.found.empty
    assert audit.not_checked


def test_effect_is_the_change_of_the_share_won_without_the_flagged(spoilt):
    crm, audit = spoilt
    row = audit.frame.set_index("check").loc["channel missing"]
    flagged = set(crm.defects.loc[crm.defects["defect"] == "missing_channel", "entity"])
    kept = crm.events[~crm.events["entity"].isin(flagged)]
    counts = read_crm(kept, mapping=crm.mapping, as_of=crm.as_of).stages().frame["entered"]
    assert row["won_without"] == pytest.approx(counts.iloc[-1] / counts.iloc[0])
    assert row["effect"] == pytest.approx(row["won_without"] - audit.headline)


def test_what_cannot_move_a_count_has_no_effect(spoilt):
    _, audit = spoilt
    assert (audit.frame.set_index("check").loc[["stage saved again", "amount changed"], "effect"] == 0).all()
