"""What a user writes into a mapping, right and wrong: every mistake is named with the nearest right word, before any row is read."""

import ibis
import pandas as pd
import pytest

from funnelstats.data.columns import distinct_names, find, resolve
from funnelstats.data.crm import read_crm
from funnelstats.data.mapping import Mapping
from funnelstats.data.match import match
from funnelstats.data.presets import preset
from funnelstats.data.sources import Part
from funnelstats.data.table import Table
from funnelstats.errors import DataError

GOOD = {"stages": ["Lead", "Demo", "Won"], "entity": "id", "stage": "stage", "at": "date"}
DEALS = pd.DataFrame({"id": [1, 2], "stage": ["Lead", "Won"], "date": ["2026-01-05", "2026-01-09"]})


def refused(make, *args, **options):
    with pytest.raises(DataError) as caught:
        make(*args, **options)
    return str(caught.value).split("\n  ")


def part(name, *columns, frame=None):
    """A table of an export known by its columns alone."""
    return Part(name=name, columns=columns, read=lambda wanted: frame, copied=False)


# -- the mapping itself ----------------------------------------------------------------------------------------------------------
def test_keys_and_stages_are_checked_together():
    assert refused(Mapping.of, {"stagse": ["Lead", "Won"], "entitty": "id"}) == [
        "3 problems in mapping",
        "stagse: not a key of a mapping; did you mean 'stage'?",
        "entitty: not a key of a mapping; did you mean 'entity'?",
        'stages: expected the stages in funnel order, found nothing; stages = ["Lead", "Won"]',
    ]


def test_values_of_the_wrong_kind_are_named():
    wrong = {"stages": "Lead, Won", "lost": "Lost", "names": ["Lead"], "columns": {"amount": 3}, "entity": 5}
    assert refused(Mapping.of, wrong) == [
        "5 problems in mapping",
        'stages: expected a list of names, found \'Lead, Won\'; stages = ["...", "..."]',
        'lost: expected a list of names, found \'Lost\'; lost = ["...", "..."]',
        'names: expected pairs of texts, found [\'Lead\']; names = {"..." = "..."}',
        'columns: expected pairs of texts, found {\'amount\': 3}; columns = {"..." = "..."}',
        "entity: expected a text, found 5",
    ]


def test_stages_outcomes_and_shapes_must_fit_together():
    spec = {
        "stages": ["Lead", "Demo", "demo", "Won"], "lost": ["Won"], "optional": ["Lead", "Call"], "shape": "snapshot", "decimal": "'",
        "entity": "id", "dates": {"Leed": "created"}, "names": {"Closed": "Wn", "Test": ""}, "columns": {"Stage": "x", "_id": "y"},
    }  # fmt: skip
    assert refused(Mapping.of, spec) == [
        "8 problems in mapping",
        "stages: expected each name once among stages and lost, found ['Demo', 'Won', 'demo'] again",
        "optional: expected one of ['Demo', 'demo'], found 'Lead'",
        "optional: expected one of ['Demo', 'demo'], found 'Call'",
        "dates: 'Leed' is neither a stage nor a lost outcome; did you mean 'Lead'?",
        "names: 'Wn' is neither a stage nor a lost outcome; did you mean 'Won'?",
        "Stage: this name is taken by the event log; call the attribute something else, such as Stage_",
        "_id: this name is taken by the event log; call the attribute something else, such as _id_",
        "decimal: expected '.' or ',', found \"'\"",
    ]


def test_each_shape_says_what_it_needs():
    assert refused(Mapping.of, {"stages": ["Lead", "Won"], "entity": "id"})[1:] == [
        "stage: expected for shape 'events', found nothing",
        "at: expected for shape 'events', found nothing",
    ]
    assert refused(Mapping.of, {**GOOD, "shape": "log"})[1:] == ["shape: expected one of events, snapshot, counts, found 'log'"]


def test_keys_beside_tables_hold_for_all_of_them():
    spec = {
        "stages": ["Lead", "Won"], "entity": "id", "names": {"a": "Lead"},
        "table": [{"stage": "s", "at": "d", "file": "x"}, {"entity": "key", "stage": "s", "at": "d", "names": {"b": "Won"}}],
    }  # fmt: skip
    one, other = Mapping.of(spec).tables
    assert (one.entity, other.entity) == ("id", "key")
    assert other.names == {"a": "Lead", "b": "Won"}
    spec["names"]["a"] = "Won"  # what the user changes later changes nothing here
    assert other.names["a"] == "Lead"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"stages = [a", "mapping: not valid TOML: Invalid value (at line 1, column 11)"),
        ("stages = ['机会']".encode("gb18030"), "mapping: not readable as UTF-8 text: 'utf-8' codec can't decode byte 0xbb"),
        (None, 'mapping: no such file; give a TOML file, "salesforce" or "hubspot"'),
    ],
)
def test_files_that_are_no_mapping(tmp_path, text, expected):
    path = tmp_path / "deals.toml"
    if text is not None:
        path.write_bytes(text)
    assert refused(read_crm, DEALS, mapping=path, as_of="2026-03-31")[1].startswith(expected)


def test_no_mapping_lists_the_columns_and_a_wrong_preset_the_right_ones():
    assert refused(read_crm, DEALS, as_of="2026-03-31")[1] == (
        'mapping: expected what the columns mean, found nothing; mapping="salesforce", mapping="hubspot" or '
        'mapping="my_export.toml"; the columns are id, stage, date'
    )
    assert refused(read_crm, DEALS, mapping="salesfroce")[1] == (
        "mapping: no file and no preset is called 'salesfroce'; did you mean 'salesforce'?"
    )
    assert refused(read_crm, DEALS, mapping=7)[1] == "mapping: expected a path, a preset's name or a dict, found int"


# -- columns -------------------------------------------------------------------------------------------------------------------------
def test_columns_are_found_whatever_their_spelling():
    assert find("stage_name", ["StageName"]) == "StageName"
    assert find("owner_id|owner?", ["Owner", "x"]) == "Owner"
    assert find("Closed?", ["Closed?", "closed"]) == "Closed?"
    assert find("amount", ["Amount (EUR)"]) is None


def test_two_columns_that_differ_by_spelling_alone_are_not_guessed():
    table, problems = resolve(Table(entity="id", stage="stage", at="date?"), ["ID", "Id", "stage"])
    assert [str(problem) for problem in problems] == ["id: expected one column, found 'ID', 'Id'; write the name in full"]
    assert table.at == ""
    assert distinct_names(["id", "Date", "date", ""]) == ["id", "Date (column 2)", "date (column 3)", "(column 4)"]


# -- tables of a folder ----------------------------------------------------------------------------------------------------------------
TWO = Mapping.of({
    "stages": ["Lead", "Won"], "at": "date", "stage": "stage",
    "table": [{"file": "Lead", "entity": "lead"}, {"file": "deal", "entity": "deal"}],
})  # fmt: skip


def test_tables_are_found_by_name_or_by_their_columns():
    leads, deals = part("LEAD.csv", "lead", "stage", "date"), part("deals 2026.csv", "deal", "stage", "date")
    assert [one.name for one, _ in match([deals, leads], TWO, source="x")] == ["LEAD.csv", "deals 2026.csv"]
    assert [table.entity for _, table in match([part("export.csv", "deal", "stage", "date")], TWO, source="x")] == ["deal"]


def test_tables_that_are_missing_or_several_are_named():
    parts = [part("lead.csv"), part("old_lead.csv"), part("misc.csv")]
    assert refused(match, parts, Mapping.of({**GOOD, "table": [{"file": "lead"}, {"file": "deal"}]}), source="exports") == [
        "2 problems in exports",
        "file: expected one file whose name contains 'lead', found several: lead.csv, old_lead.csv; "
        "say more of the name in file, or leave only one",
        "file: expected one file whose name contains 'deal', found lead.csv, old_lead.csv, misc.csv; "
        "add the file, correct file in the mapping, or take that table out",
    ]
    assert refused(match, [part("export.csv", "deel", "stage", "date")], TWO, source="export.csv") == [
        "3 problems in export.csv",
        "columns: no table of mapping fits this one",
        "lead: column expected, not found; known: deel, stage, date",
        "deal: column expected, not found; did you mean 'deel'?",
    ]


# -- presets -----------------------------------------------------------------------------------------------------------------------------
def shapes(parts, **spec):
    mapping = preset(parts, spec)
    return mapping, [(table.file, table.shape, table.entity) for table in mapping.tables]


LEADS = part("Lead.csv", "Id", "Status", "CreatedDate", "IsConverted", "LastModifiedDate")
HISTORY = part("OpportunityHistory.csv", "Id", "OpportunityId", "StageName", "CreatedDate", "Amount", "CloseDate")
DEALS_NOW = part("Opportunity.csv", "Id", "StageName", "CreatedDate", "CloseDate", "IsWon")
USERS = part("User.csv", "Id", "Name")


def test_salesforce_takes_the_tables_it_knows():
    mapping, tables = shapes([DEALS_NOW, HISTORY, LEADS, USERS], preset="salesforce")
    assert tables == [("Lead.csv", "snapshot", "id|lead_id"), ("OpportunityHistory.csv", "events", "opportunity_id|id")]
    assert mapping.stages == ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")
    assert shapes([LEADS, DEALS_NOW], preset="salesforce")[1][1] == ("Opportunity.csv", "snapshot", "id|opportunity_id")


def test_salesforce_promises_no_stage_that_its_files_cannot_tell():
    assert shapes([LEADS], preset="salesforce")[0].stages == ("Lead", "Marketing", "Sales Lead")
    assert shapes([HISTORY], preset="salesforce")[0].stages == ("Sales Lead", "Opportunity", "Won")
    twice = refused(shapes, [LEADS, part("Lead old.csv", *LEADS.columns)], preset="salesforce")
    assert twice[1] == "file: expected one table of leads, found Lead.csv, Lead old.csv; leave only one"
    nothing = refused(shapes, [USERS], preset="salesforce")[1]
    assert nothing.startswith("file: expected Lead, OpportunityHistory or Opportunity, found User.csv without their columns; ")


def test_a_mapping_file_adapts_a_preset():
    spec = {"preset": "salesforce", "stages": ["Sales Lead", "Pilot", "Won"], "names": {"Trial": "Pilot"}, "currency": "EUR",
            "columns": {"product": "Type"}, "name": "ours.toml"}  # fmt: skip
    mapping, _ = shapes([HISTORY], **spec)
    assert mapping.stages == ("Sales Lead", "Pilot", "Won")
    names = mapping.tables[0].names
    assert names["Trial"] == "Pilot"
    assert "Needs Analysis" not in names  # led to a stage that is none any more
    assert mapping.tables[0].columns["product"] == "Type"
    assert refused(shapes, [HISTORY], **spec, shape="events")[1].startswith("shape: not a key of a mapping; ")


DEAL = 'Date entered "{} (Sales)"'


def test_hubspot_reads_stages_off_the_columns():
    columns = [DEAL.format(stage) for stage in ("New", "Demo", "Closed Won", "Closed Lost")]
    mapping, _ = shapes([part("deals.csv", "Record ID", "Deal Stage", *columns)], preset="hubspot")
    assert (mapping.stages, mapping.lost) == (("New", "Demo", "Won"), ("Lost",))
    assert mapping.tables[0].dates["Won"] == 'Date entered "Closed Won (Sales)"'
    v2 = part("deals.csv", "hs_object_id", "hs_v2_date_entered_appointmentscheduled", "hs_v2_date_entered_closedwon")
    assert shapes([v2], preset="hubspot")[0].stages == ("Appointment scheduled", "Won")
    contacts = part("contacts.csv", "Record ID", "Became a Lead Date", "Became a Customer Date")
    assert shapes([contacts], preset="hubspot")[0].stages == ("Lead", "Won")


def test_hubspot_asks_for_one_pipeline_and_for_a_success():
    two = part("deals.csv", "Record ID", DEAL.format("New"), DEAL.format("Closed Won"), 'Date entered "New (Renewals)"')
    assert refused(shapes, [two], preset="hubspot")[1] == (
        "pipeline: expected the stages of one pipeline, found ['Renewals', 'Sales']; write a mapping file with preset = \"hubspot\" "
        'and pipeline = "Renewals", or export the deals of one pipeline'
    )
    mapping, _ = shapes([two], preset="hubspot", pipeline="Sales")
    assert mapping.stages == ("New", "Won")
    assert mapping.tables[0].only == {"Pipeline?": "Sales"}
    assert (
        refused(shapes, [two], preset="hubspot", pipeline="Sale")[1]
        == "pipeline: no pipeline is called 'Sale'; did you mean 'Sales'?"
    )
    signed = part("deals.csv", "Record ID", DEAL.format("New"), DEAL.format("Signed"))
    assert refused(shapes, [signed], preset="hubspot")[1].startswith("stages: no stage is called Closed Won, found New, Signed; ")
    assert shapes([signed], preset="hubspot", stages=["New", "Signed"])[0].stages == ("New", "Signed")
    assert refused(shapes, [USERS], preset="hubspot")[1].startswith("Date entered: no dates of stages in User.csv; ")


def test_hubspot_connector_tables_take_names_and_order_from_the_pipeline():
    pipeline = pd.DataFrame({
        "stage_id": [7, 9, 8, 5], "label": ["Demo", "Signed!", "New", "Other"], "display_order": [1, 2, 0, 0],
        "pipeline_id": ["p", "p", "p", "q"], "closed_won": [False, True, False, False], "is_closed": [False, True, False, False],
    })  # fmt: skip
    stages = part("deal_pipeline_stage.csv", *pipeline.columns, frame=ibis.memtable(pipeline))
    events = part("deal_stage.csv", "deal_id", "value", "date_entered")
    deals = part(
        "deal.csv", "deal_id", "deal_pipeline_stage_id", "deal_pipeline_id", "owner_id", "property_createdate", "is_deleted"
    )
    mapping, tables = shapes([stages, events, deals], preset="hubspot", pipeline="p")
    assert mapping.stages == ("New", "Demo", "Won")
    assert tables == [("deal_stage.csv", "events", "deal_id"), ("deal.csv", "snapshot", "deal_id")]
    assert mapping.tables[0].names == {"8": "New", "5": "", "7": "Demo", "9": "Won"}
    assert mapping.tables[1].dates == {"New": "property_createdate|createdate"}
    history = part("deal_property_history.csv", "deal_id", "name", "value", "timestamp")
    assert shapes([history], preset="hubspot")[0].tables[0].only == {"name": "dealstage"}
