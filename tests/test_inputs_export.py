"""Exports as they come: each fault gets an error that names it with its rows, or is read correctly."""

import pandas as pd
import pytest

from funnelstats.data.crm import read_crm
from funnelstats.errors import DataError

MAPPING = {
    "stages": ["Lead", "Won"],
    "lost": ["Lost"],
    "entity": "id",
    "stage": "stage",
    "at": "at",
    "columns": {"amount": "amount"},
}
SNAPSHOT = {"stages": ["Lead", "Won"], "shape": "snapshot", "entity": "id", "dates": {"Lead": "created", "Won": "won"}}
AS_OF = "2026-06-30"


def events(**columns):
    base = {
        "id": [1, 1, 2],
        "stage": ["Lead", "Won", "Lead"],
        "at": ["2026-01-05", "2026-02-01", "2026-01-20"],
        "amount": [None, 10.0, None],
    }
    return pd.DataFrame(base | columns)


def problems(frame, mapping=MAPPING, **options):
    with pytest.raises(DataError) as caught:
        read_crm(frame, mapping=mapping, **({"as_of": AS_OF} | options))
    return str(caught.value)


def counts(source, mapping=MAPPING, **options):
    frame = read_crm(source, mapping=mapping, **({"as_of": AS_OF} | options)).stages().frame
    return frame[["entered", "advanced", "open"]].values.tolist()


GOOD = [[2, 1, 1], [1, 0, 0]]


def test_the_plain_case_reads():
    assert counts(events()) == GOOD


def test_a_missing_column_is_named_with_its_nearest():
    text = problems(events().rename(columns={"stage": "stage_nme"}), {**MAPPING, "stage": "stage_name"})
    assert "stage_name" in text
    assert "stage_nme" in text


def test_an_unknown_stage_is_named_with_what_to_do():
    text = problems(events(stage=["Lead", "Wonn", "Lead"]))
    assert "'Wonn'" in text
    assert "did you mean 'Won'?" in text


def test_unparsable_dates_are_named_with_their_rows():
    text = problems(events(at=["2026-01-05", "soon", "2026-01-20"]))
    assert "'soon'" in text
    assert "2" in text.split("'soon'")[1]


def test_day_and_month_are_not_guessed():
    text = problems(events(at=["05/01/2026", "01/02/2026", "03/04/2026"]))
    assert "%d/%m/%Y" in text
    assert "%m/%d/%Y" in text
    assert counts(events(at=["05/01/2026", "01/02/2026", "03/04/2026"]), {**MAPPING, "date_format": "%d/%m/%Y"}) == GOOD
    assert counts(events(at=["05/01/2026", "20/02/2026", "03/04/2026"])) == GOOD  # 20 can only be a day


def test_success_before_the_first_stage_is_refused_or_set_aside():
    frame = events(at=["2026-02-05", "2026-02-01", "2026-01-20"])
    text = problems(frame)
    assert "Won" in text
    assert "row" in text
    log = read_crm(frame, mapping=MAPPING, as_of=AS_OF, on_problem="set_aside")
    assert log.stages().frame["entered"].tolist() == [1, 0]
    assert log.audit().frame.query("entities == 1")["check"].str.contains("Won before Lead").any()


def test_dates_after_the_end_are_not_counted_yet_but_told():
    log = read_crm(events(), mapping=MAPPING, as_of="2026-01-25")
    assert log.stages().frame["entered"].tolist() == [2, 0]
    told = log.audit().found
    assert told.loc[told["check"].str.contains("after the end"), "entities"].tolist() == [1]


def test_negative_amounts_and_two_currencies():
    assert "negative" in problems(events(amount=[None, -10.0, None]))
    both = {**MAPPING, "columns": {"amount": "amount", "currency": "currency"}}
    text = problems(events(amount=[5.0, 10.0, 7.0], currency=["EUR", "USD", "EUR"]), both)
    assert "EUR" in text
    assert "USD" in text


def test_an_id_twice_in_a_snapshot():
    frame = pd.DataFrame({"id": [1, 1, 2], "created": ["2026-01-05"] * 3, "won": [None, "2026-02-01", None]})
    assert "once" in problems(frame, SNAPSHOT)


def test_counts_that_rise_along_the_funnel():
    spec = {"stages": ["Lead", "Won"], "shape": "counts", "stage": "stage", "columns": {"entered": "n"}}
    text = problems(pd.DataFrame({"stage": ["Lead", "Won"], "n": [5, 9]}), spec)
    assert "rise along the funnel" in text


def test_all_problems_come_at_once():
    text = problems(events(stage=["Lead", "Wonn", "Lead"], at=["2026-01-05", "soon", "2026-01-20"], amount=["a", "b", "c"]))
    for part in ("'Wonn'", "'soon'", "amount"):
        assert part in text


def test_no_mapping_and_no_end():
    with pytest.raises(DataError, match="hubspot"):
        read_crm(events(), as_of=AS_OF)
    with pytest.raises(DataError, match="day of the export"):
        read_crm(events(), mapping=MAPPING)


@pytest.mark.parametrize(("name", "text"), [("empty.csv", ""), ("header.csv", "id,stage,at,amount\n")])
def test_empty_files(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=r"row|empty"):
        read_crm(path, mapping=MAPPING, as_of=AS_OF)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no_such"):
        read_crm(tmp_path / "no_such.csv", mapping=MAPPING, as_of=AS_OF)


CSV = "id;stage;at;amount\n1;Lead;05.01.2026;\n1;Won;01.02.2026;1.234,50\n2;Lead;20.01.2026;\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_semicolons_decimal_commas_and_encodings_are_read(tmp_path, encoding):
    path = tmp_path / "export.csv"
    path.write_text(CSV, encoding=encoding)
    log = read_crm(path, mapping={**MAPPING, "currency": "EUR"}, as_of=AS_OF)
    assert log.stages().frame["entered"].tolist() == [2, 1]
    assert log.won_amounts()[["mean", "currency"]].values.tolist() == [[1234.5, "EUR"]]


def test_time_zones_become_utc():
    late = events(at=["2026-01-05T23:30:00-05:00", "2026-02-01T00:00:00Z", "2026-01-20T00:00:00+08:00"])
    at = read_crm(late, mapping=MAPPING, as_of=AS_OF).events.order_by("at").execute()["at"]
    assert [str(moment) for moment in at] == ["2026-01-06 04:30:00", "2026-01-19 16:00:00", "2026-02-01 00:00:00"]


def test_what_the_user_gave_is_left_as_it_was():
    frame, spec = events(), {key: value for key, value in MAPPING.items()}
    before, spec_before = frame.copy(), repr(spec)
    read_crm(frame, mapping=spec, as_of=AS_OF).stages()
    pd.testing.assert_frame_equal(frame, before)
    assert repr(spec) == spec_before


def test_deleted_and_merged_records_are_left_out_and_counted():
    frame = events(gone=["", "", "true"], into=["", "", ""])
    log = read_crm(frame, mapping={**MAPPING, "deleted": "gone", "merged": "into"}, as_of=AS_OF)
    assert log.stages().frame["entered"].tolist() == [1, 1]
    assert sum(log.removed.values()) == 1
