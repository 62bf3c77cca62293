"""Do the Salesforce and HubSpot exports, read back, tell the story of the events they were written from?

The oracle is pandas on the events; the reader is the package's own, with its presets.
"""

from pathlib import Path

import pandas as pd
import pytest

from funnelstats.data.crm import read_crm
from funnelstats.data.export import PROBABILITY, write_hubspot, write_salesforce
from funnelstats.data.export_plain import write_counts, write_log
from funnelstats.data.simulate import SimulatedCrm, simulate_crm
from funnelstats.errors import DataError


@pytest.fixture(scope="module")
def crm() -> SimulatedCrm:
    return simulate_crm(seed=21, n_leads=1_500)


def _counts(crm: SimulatedCrm) -> pd.DataFrame:
    """Count the stages of a clean world, whose entities pass every stage in order."""
    furthest = crm.events[crm.events["stage"] != crm.lost].groupby("entity").size()
    gone = set(crm.events.loc[crm.events["stage"] == crm.lost, "entity"])
    rows = []
    for k, stage in enumerate(crm.stages):
        stopped = furthest.index[furthest == k + 1]
        lost = len(gone.intersection(stopped))
        last = k + 1 == len(crm.stages)
        rows.append([stage, (furthest > k).sum(), (furthest > k + 1).sum(), lost, 0 if last else len(stopped) - lost])
    return pd.DataFrame(rows, columns=["stage", "entered", "advanced", "lost", "open"])


def _same(found: pd.DataFrame, crm: SimulatedCrm) -> None:
    expected = _counts(crm)
    assert expected["open"].sum() > 50
    pd.testing.assert_frame_equal(found[expected.columns.tolist()].reset_index(drop=True), expected, check_dtype=False)


def test_events_read_with_their_own_mapping(crm: SimulatedCrm) -> None:
    log = read_crm(crm.events, mapping=crm.mapping, as_of=crm.as_of)
    _same(log.stages().frame, crm)
    assert log.currency == "CNY"
    dirty = simulate_crm(seed=21, n_leads=1_500, dirty={"merged": 0.02, "deleted": 0.02})
    _same(read_crm(dirty.events, mapping=dirty.mapping, as_of=crm.as_of).stages().frame, crm)


def test_salesforce_reads_back_as_the_events(crm: SimulatedCrm, tmp_path: Path) -> None:
    paths = write_salesforce(crm, tmp_path / "sf")
    assert [path.name for path in paths] == ["Lead.csv", "OpportunityHistory.csv"]
    _same(read_crm(tmp_path / "sf", mapping="salesforce", as_of=crm.as_of).stages().frame, crm)


def test_hubspot_reads_back_as_the_events(crm: SimulatedCrm, tmp_path: Path) -> None:
    path = write_hubspot(crm, tmp_path / "deals.csv")
    _same(read_crm(path, mapping="hubspot", as_of=crm.as_of).stages().frame, crm)


def test_log_and_counts_read_back_as_the_events(crm: SimulatedCrm, tmp_path: Path) -> None:
    mapping = crm.mapping | {
        "entity": "deal_ref", "stage": "step", "at": "changed_on", "date_format": "%d.%m.%Y %H:%M:%S", "decimal": ",",
        "columns": {"amount": "value", "owner": "rep"}, "currency": "CNY",
    }  # fmt: skip
    log = read_crm(write_log(crm, tmp_path / "log.csv"), mapping=mapping, as_of=crm.as_of)
    _same(log.stages().frame, crm)
    counts = pd.read_csv(write_counts(crm, tmp_path / "counts.csv"))
    by_owner = log.stages(by="owner").frame[counts.columns.tolist()]
    pd.testing.assert_frame_equal(counts, by_owner.reset_index(drop=True), check_dtype=False)


def test_salesforce_tables_agree_with_each_other(crm: SimulatedCrm, tmp_path: Path) -> None:
    lead, history = (pd.read_csv(path) for path in write_salesforce(crm, tmp_path))
    assert set(lead["converted_opportunity_id"].dropna()) == set(history["id"])
    assert (lead["is_converted"] == lead["converted_opportunity_id"].notna()).all()
    assert set(history["stage_name"]) == set(PROBABILITY)
    times = pd.to_datetime(history["_fivetran_start"])
    assert (times.groupby(history["id"]).diff().dropna() >= pd.Timedelta(0)).all()
    assert times.max() <= crm.as_of
    # "Sales Lead" and the loss of a converted lead are the same moments in both worlds
    for stage, name in (("Sales Lead", "Prospecting"), ("Opportunity", "Needs Analysis"), ("Won", "Closed Won")):
        then = crm.events.loc[crm.events["stage"] == stage].set_index("entity")["at"].add_prefix("006")
        now = times[history["stage_name"] == name].set_axis(history["id"][history["stage_name"] == name])
        pd.testing.assert_series_equal(then, now, check_names=False)
    assert history.loc[history["_fivetran_active"], "id"].is_unique
    assert (history["is_won"] == (history["stage_name"] == "Closed Won")).all()


def test_hubspot_dates_are_to_the_minute_and_in_order(crm: SimulatedCrm, tmp_path: Path) -> None:
    deals = pd.read_csv(write_hubspot(crm, tmp_path / "deals.csv"))
    entered = [f'Date entered "{stage} (Sales Pipeline)"' for stage in [*crm.stages[:-1], "Closed Won", "Closed Lost"]]
    assert deals[entered[0]].str.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d").all()
    stacked = deals[entered].apply(pd.to_datetime).stack()
    assert len(stacked.dropna()) == len(crm.events)
    original = crm.events["at"].dt.floor("min").sort_values(ignore_index=True)
    pd.testing.assert_series_equal(stacked.dropna().sort_values(ignore_index=True), original, check_names=False)
    exited = deals['Date exited "Lead (Sales Pipeline)"'].notna()
    assert (exited == deals[entered[1:]].notna().any(axis=1)).all()


def test_salesforce_needs_five_stages(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"stages: expected five, found \['A', 'B'\]"):
        write_salesforce(simulate_crm(seed=1, n_leads=20, stages=("A", "B")), tmp_path)
    assert not list(tmp_path.iterdir())
