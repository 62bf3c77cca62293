"""What an unlucky or hostile user hands in: read correctly, or refused with every problem, its rows and what to do.

Where the refusal is the product its text is asserted in full. Values (dates, amounts) are tried on the parsers, whole exports
through ``read_crm``.
"""

import gzip
from collections import Counter
from pathlib import Path

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funnelstats.data.amounts import numbers
from funnelstats.data.checks import examine
from funnelstats.data.crm import read_crm
from funnelstats.data.parse import dates
from funnelstats.errors import DataError

AS_OF = "2026-03-31"
HEAD = "id,stage,date,owner,amount\n"
CLEAN = HEAD + (
    "1,Lead,2026-01-05,Ann,100\n1,Demo,2026-01-09,Ann,100\n1,Won,2026-01-20,Ann,100\n"
    "2,Lead,2026-01-06,Bob,\n2,Lost,2026-01-08,Bob,\n"
)
MAPPING = {
    "stages": ["Lead", "Demo", "Won"], "lost": ["Lost"], "entity": "id", "stage": "stage", "at": "date",
    "columns": {"owner": "owner", "amount": "amount"},
}  # fmt: skip
SNAPSHOT = {
    "shape": "snapshot", "stages": ["Lead", "Demo", "Won"], "entity": "id", "stage": "now",
    "dates": {"Lead": "created", "Demo": "demo", "Won": "closed", "Lost": "closed"},
}  # fmt: skip
COUNTS = {"shape": "counts", "stages": ["Lead", "Demo", "Won"], "stage": "stage", "columns": {"entered": "n", "owner": "rep"}}
#: The events of CLEAN.
EVENTS = [("1", "Demo", 9, 100), ("1", "Lead", 5, 100), ("1", "Won", 20, 100), ("2", "Lead", 6, 0), ("2", "Lost", 8, 0)]
ASIDE = 'or read with on_problem="set_aside"'


@pytest.fixture
def write(tmp_path):
    def write(content, name="deals.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def frame(**columns):
    base = pd.DataFrame({
        "id": [1, 1, 1, 2, 2], "stage": ["Lead", "Demo", "Won", "Lead", "Lost"],
        "date": pd.to_datetime(["2026-01-05", "2026-01-09", "2026-01-20", "2026-01-06", "2026-01-08"]),
        "owner": ["Ann", "Ann", "Ann", "Bob", "Bob"], "amount": [100.0, 100.0, 100.0, None, None],
    })  # fmt: skip
    return base.assign(**columns)


def read(source, mapping=MAPPING, **options):
    return read_crm(source, mapping=mapping, **({"as_of": AS_OF} | options))


def events(source, mapping=MAPPING, **options):
    """What was read: id, stage, day and amount of every event."""
    found = read(source, mapping, **options).events.execute().fillna({"amount": 0})
    return sorted(zip(found["entity"].astype("str"), found["stage"], found["at"].dt.day, found["amount"], strict=True))


def refusal(source, mapping=MAPPING, **options):
    """Lines of the refusal, without the file's folder."""
    with pytest.raises(DataError) as caught:
        read(source, mapping, **options)
    folder = f"{source.parent}/" if isinstance(source, Path) else ""
    return str(caught.value).replace(folder, "").split("\n  ")


# -- text files, whoever wrote them --------------------------------------------------------------------------------------------
STRANGE = {
    "byte order mark": CLEAN.encode("utf-8-sig"),
    "utf-16": CLEAN.replace("Ann", "Ärger 安").encode("utf-16"),
    "utf-16 without a mark": CLEAN.replace("Ann", "安").encode("utf-16-be"),
    "gzip": gzip.compress(CLEAN.encode("utf-16")),
    "semicolons, decimal commas, sep": ("sep=;\n" + CLEAN.replace(",", ";").replace("100", "1.234,50")).encode(),
    "tabs, blank lines first": ("\n\n" + CLEAN.replace(",", "\t")).encode(),
    "newlines in quotes": CLEAN.replace("Ann", '"An\nn"').replace("\n", "\r\n").encode(),
    "hash and a lone quote": CLEAN.replace("1,", "#1,").replace("Ann", 'An"n').encode(),
    "case and blanks": CLEAN.replace("Lead", " lead ").replace("Demo", "DEMO").replace("id,", " Id ,").encode(),
}


@pytest.mark.parametrize("name", STRANGE)
def test_ordinary_strangeness_is_read(write, name):
    path = write(STRANGE[name], "deals.csv.gz" if name == "gzip" else "deals.csv")
    changed = {100: 1234.5} if "comma" in name else {"1": "#1"} if "hash" in name else {}
    assert events(path) == sorted(tuple(changed.get(cell, cell) for cell in event) for event in EVENTS)


def test_rows_of_commas_alone_are_counted_as_empty(write):
    log = read(write(CLEAN + ",,,,\n,,,,\n"))
    assert log.removed == {"empty row": 2}
    assert log.events.count().execute() == 5


@pytest.mark.parametrize(
    ("encoding", "owner", "shown"),
    [
        ("gb18030", "安娜", "b'\\xb0\\xb2\\xc4\\xc8'; name it in the mapping: encoding = \"cp1252\" reads '°²ÄÈ'; "
         "encoding = \"gb18030\" reads '安娜'; encoding = \"shift_jis\" reads 'ｰｲﾄﾈ'"),
        ("latin-1", "Jürgen", "b'J\\xfcrgen'; name it in the mapping: encoding = \"cp1252\" reads 'Jürgen'; "
         "encoding = \"gb18030\" reads 'J黵gen'"),
    ],
)  # fmt: skip
def test_other_encodings_are_shown_and_read_when_named(write, encoding, owner, shown):
    path = write(CLEAN.replace("Ann", owner).encode(encoding))
    assert refusal(path)[1:] == [f"encoding: expected UTF-8, found other bytes in 3 records, first in line 2: {shown}"]
    log = read(path, {**MAPPING, "encoding": encoding})
    assert set(log.events.execute()["owner"]) == {owner, "Bob"}


UNREADABLE = {
    "empty": (b"", ["1 problem in deals.csv", "rows: expected a header and at least one row, found an empty file"]),
    "header only": (HEAD, ["1 problem in deals.csv", "rows: expected at least one below the header, found none"]),
    "workbook": (
        b"PK\x03\x04...",
        [
            "1 problem in deals.csv",
            "file: expected delimited text, found an Excel workbook or a zip archive; save the sheet as CSV (UTF-8)",
        ],
    ),
    "ragged, with a footer": (
        CLEAN.replace("Ann,", "Ann,,", 1) + "Generated by CRM\n",
        [
            "1 problem in deals.csv",
            "file: expected 5 values in every record, found 6 in line 2, 1 in line 7; put quotes around values that contain the "
            "delimiter, and remove titles and footers",
        ],
    ),
    "a quote that never ends": (
        CLEAN.replace("Ann", '"Ann', 1),
        [
            "1 problem in deals.csv",
            "file: not readable from line 2 on: unexpected end of data; export the file again, or correct that line",
        ],
    ),
    "two columns of one name": (
        CLEAN.replace("owner", "Date"),
        [
            "2 problems in deals.csv",
            "date: column expected, not found; known: id, stage, date (column 3), Date (column 4), amount",
            "owner: column expected, not found; known: id, stage, date (column 3), Date (column 4), amount",
        ],
    ),
    "columns misspelt": (
        CLEAN.replace("stage,", "stag,", 1).replace("owner", "ownr"),
        [
            "2 problems in deals.csv",
            "stage: column expected, not found; did you mean 'stag'?",
            "owner: column expected, not found; did you mean 'ownr'?",
        ],
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_files_that_cannot_be_read_say_why(write, name):
    content, expected = UNREADABLE[name]
    assert refusal(write(content)) == expected


def test_places_without_data_say_what_is_expected(tmp_path):
    fix = "give a CSV or Parquet file, a folder of them or a glob such as 'exports/*.csv'"
    assert refusal(tmp_path / "none.csv") == ["1 problem in none.csv", f"source: no such file; {fix}"]
    assert refusal(str(tmp_path / "*.csv"))[1] == f"source: no such file; {fix}"
    assert refusal(str(tmp_path))[1] == f"source: no CSV or Parquet file in this folder; {fix}"
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    assert refusal(tmp_path / "broken.parquet")[1].startswith("file: not readable as Parquet: ")
    assert refusal([1, 2])[1].startswith("source: expected a path, a pandas DataFrame or an Ibis table, found list; ")


# -- records that cannot be true -----------------------------------------------------------------------------------------------
def test_several_problems_come_at_once_with_rows_and_columns(write):
    text = CLEAN.replace("1,Demo,2026-01-09", "1,Damo,soon").replace("2026-01-08", "")
    text = text.replace("Ann,100", "Ann,-5", 2).replace("Bob,\n", "Bob,x\n", 1)
    assert refusal(write(text), as_of=None, on_problem="drop") == [
        "7 problems in deals.csv (5 rows below the header)",
        "stage: expected a known stage, found 'Damo' in 1 row, first in row 2; did you mean 'Demo'? "
        'Else add "Damo" to names, stages or lost in the mapping',
        f"date: expected a date for every stage entry, found 1 other: id 2, row 5; fill it in, {ASIDE}",
        "date: expected dates of one format, such as 2026-06-30, found 1 other: 'soon' (id 1, row 2); correct them, or leave them "
        f"empty where there is no date, {ASIDE}",
        "amount: expected numbers, found 1 other: 'x' (id 2, row 4); write plain numbers, or nothing where there is no amount, "
        f"{ASIDE}",
        "amount: expected no negative amount, found 2 others: '-5' (id 1, row 1); '-5' (id 1, row 2); "
        f"pass refunds as their own event, {ASIDE}",
        "as_of: expected the end of observation, found nothing; say until when the data were complete, "
        'for example as_of="2026-06-30" (the day of the export)',
        "on_problem: expected 'raise' or 'set_aside', found 'drop'",
    ]


def test_what_cannot_be_true_is_set_aside_and_counted_in_the_audit():
    bad = frame(id=[1, 1, 1, 2, None], amount=[100.0, -5.0, 100.0, None, None])
    assert refusal(bad)[1:] == [
        f"id: expected an id in every row, found 1 other: row 5; fill it in, {ASIDE}",
        "amount: expected no negative amount, found 1 other: '-5.0' (id 1.0, row 2); pass refunds as their own event, "
        f"{ASIDE}",
    ]  # fmt: skip
    log = read(bad, on_problem="set_aside")
    assert log.removed == {"negative amount": 1, "no id": 1}
    assert log.events.execute()["stage"].tolist() == ["Lead"]
    audit = log.audit().found.set_index("check")["entities"]
    assert audit[["left out: negative amount", "left out: no id"]].tolist() == [1, 1]


def test_setting_everything_aside_leaves_nothing_to_count():
    lines = refusal(frame(amount=[-1.0] * 5), on_problem="set_aside")
    assert lines[-1] == "events: nothing is left when all of these are set aside"
    assert ASIDE not in "".join(lines)


def test_success_before_the_first_stage():
    early = frame(date=pd.to_datetime(["2026-01-05", "2026-01-09", "2026-01-01", "2026-01-06", "2026-01-08"]))
    assert refusal(early)[1:] == [
        "Won: expected Won no earlier than Lead, found 1 other: '2026-01-01 before 2026-01-05' (id 1, row 3); correct the dates, "
        f"{ASIDE}"
    ]
    assert read(early, on_problem="set_aside").removed == {"Won before Lead": 1}


def test_success_before_the_first_stage_that_has_dates():
    """Where a snapshot keeps no date of the first stage, the next one is where a record begins."""
    undated = SNAPSHOT | {"dates": {"Demo": "demo", "Won": "closed", "Lost": "closed"}}
    deals = pd.DataFrame(
        {"id": [1, 2], "now": ["Won", "Lost"], "demo": ["2026-01-15"] * 2, "closed": ["2026-01-13", "2026-01-14"]}
    )
    expected = (
        "Won: expected Won no earlier than Demo, found 1 other: '2026-01-13 before 2026-01-15' (id 1, row 1); correct the dates, "
    )
    assert refusal(deals, undated)[1:] == [expected + ASIDE]
    assert read(deals, undated, on_problem="set_aside").removed == {"Won before Demo": 1}


def test_counts_that_rise_are_one_problem():
    """What would be left over is negative there, which is the same fault."""
    rising = pd.DataFrame({"stage": ["Lead", "Demo", "Won"], "n": [10, 20, 5], "rep": "Ann"})
    lines = refusal(rising, COUNTS, as_of=None)
    assert [line.split(",")[0] for line in lines[1:]] == ["entered: expected numbers that do not rise along the funnel"]


def test_dates_after_the_end_of_observation():
    log = read(frame(), as_of="2026-01-10")
    assert log.stages().frame["entered"].tolist() == [2, 1, 0]
    assert log.audit().found.set_index("check")["entities"]["dated after the end of observation"] == 1
    assert refusal(frame(), as_of="2025-12-31")[1:] == [
        "as_of: expected events before the end of observation 2025-12-31, found the first at 2026-01-05; give the day of the export"
    ]


def test_amounts_of_two_currencies():
    mapping = {**MAPPING, "columns": {**MAPPING["columns"], "currency": "cur"}}
    assert read(frame(cur=["usd", "USD ", "USD", None, None]), mapping).currency == "USD"
    assert refusal(frame(cur=["usd", "EUR", "USD", None, None]), mapping)[1:] == [
        "currency: expected one currency, found EUR in 1 row, USD in 2 rows; convert the amounts to one currency first"
    ]


def test_the_wrong_column_as_stage_is_one_problem_not_hundreds():
    deals = pd.DataFrame({"id": range(30), "stage": [f"deal {k:02}" for k in range(30)], "date": ["2026-01-05"] * 30})
    assert refusal(deals, {**MAPPING, "columns": {}})[1:] == [
        "stage: expected stages, found 30 other values, among them 'deal 00', 'deal 01', 'deal 02'; "
        "known: Lead, Demo, Won, Lost; is this the column of stages?"
    ]


def test_empty_stages_and_stages_that_are_not_of_the_funnel():
    assert refusal(frame(stage=["Lead", "Demo", "Won", "Lead", " "]))[1:] == [
        f"stage: expected a stage in every row, found 1 other: id 2, row 5; fill it in, {ASIDE}"
    ]
    log = read(frame(), {**MAPPING, "names": {"demo": ""}})
    assert log.removed == {"stage 'Demo'": 1}
    assert log.events.execute()["stage"].tolist() == ["Lead", "Won", "Lead", "Lost"]


def test_one_row_and_columns_without_a_value():
    one = frame().iloc[:1].assign(owner=None, amount=None)
    counts = read(one).stages("owner").frame
    assert counts[["owner", "entered", "open"]].values.tolist() == [["(none)", 1, 1], ["(none)", 0, 0], ["(none)", 0, 0]]


def test_a_deleted_record_is_gone_when_its_last_row_says_so():
    deleted = {**MAPPING, "deleted": "gone"}
    log = read(frame(gone=["true", "", "", "", "1"]), deleted)
    assert log.removed == {"deleted": 1}
    assert log.events.execute()["entity"].tolist() == [1, 1, 1]  # the mark on the first row of deal 1 was undone
    assert refusal(frame(gone=["0", "0", "0", "", "Active"]), deleted)[1:] == [
        "gone: expected true or false, found 1 other: 'Active' (id 2, row 5); "
        f"map a column that says whether the record is deleted, {ASIDE}"
    ]


def test_rows_of_another_kind_are_left_out_and_counted():
    log = read(frame(type=["New", "New", "New", "Renewal", None]), {**MAPPING, "only": {"type": "New"}})
    assert log.removed == {"type is not New": 2}
    assert log.events.execute()["entity"].tolist() == [1, 1, 1]


# -- one date per stage ----------------------------------------------------------------------------------------------------------
def snapshot(**columns):
    base = {
        "id": ["a", "b", "c", "d", "e"], "now": ["Won", "Lost", "Demo", "Lead", None],
        "created": ["2026-01-05 10:00", "2026-01-05", "2026-01-06", "2026-01-07", None],
        "demo": [None, "2026-01-06", "2026-01-07", None, None],
        "closed": ["2026-01-05", "2026-02-01", "2026-09-01", "2026-03-01", None],
    }  # fmt: skip
    return pd.DataFrame(base | columns)


def test_an_expected_close_date_is_no_success_and_a_bare_date_no_earlier_than_its_day():
    log = read(snapshot(), SNAPSHOT)
    assert log.stages().frame[["entered", "advanced", "lost", "open"]].values.tolist() == [
        [4, 3, 0, 1],
        [3, 1, 1, 1],
        [1, 0, 0, 0],
    ]
    won = log.events.filter(log.events.stage == "Won").execute()
    assert won["at"].astype(str).tolist() == ["2026-01-05 10:00:00"]  # closed on the day it was created, not before
    assert log.removed == {"no stage and no date": 1}


def test_an_id_twice_in_a_snapshot():
    twice = pd.concat([snapshot(), snapshot().iloc[:2]])
    assert refusal(twice, SNAPSHOT)[1:] == [
        "id: expected each id once in a snapshot, found 4 others, first: id a, row 1; id b, row 2; id a, row 6; "
        f"keep one row per id, or map the file as events, {ASIDE}"
    ]
    assert read(twice, SNAPSHOT, on_problem="set_aside").removed == {"no stage and no date": 1, "id twice": 2}


def test_stages_in_the_wrong_order_are_doubted():
    wrong = pd.DataFrame({"id": range(20), "now": "Demo", "created": "2026-01-05", "demo": "2026-01-02", "closed": None})
    assert refusal(wrong, SNAPSHOT)[1:] == [
        "demo: expected 'Demo' after 'Lead', found it before in 20 of 20 records with both dates; "
        "name the stages in funnel order: stages = [...]"
    ]


# -- counts ------------------------------------------------------------------------------------------------------------------------
def table(**columns):
    return pd.DataFrame({"rep": ["A"] * 3 + ["B"] * 3, "stage": ["Lead", "Demo", "Won"] * 2, "n": [10, 5, 2, 9, 3, 1]} | columns)


def test_counts_are_read_as_texts_too():
    log = read(table(n=["1,234", "500", "2", "9", "3", "1"]), COUNTS, as_of=None)
    assert log.stages().frame["entered"].tolist() == [1243, 503, 3]
    assert log.stages("owner", order="furthest", window=None).frame["entered"].tolist() == [1234, 500, 2, 9, 3, 1]
    with pytest.raises(DataError, match="window: needs the dates of single records"):
        log.stages(window=30)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"n": [10, 5, 2, 3, 9, 1]}, "expected numbers that do not rise along the funnel, found 9 at 'Demo' in B; "),
        ({"n": [10, 5.5, 2, -4, None, 1]},
         "n: expected whole numbers from 0 on, found 5.5, -4, nothing (rows 2, 4, 5); give the number of entities in every row"),
        ({"stage": ["Lead", "Dmo", "Won"] * 2}, "stage: expected a known stage, found 'Dmo' in 2 rows, first in row 2; "
         "did you mean 'Demo'? Else add \"Dmo\" to names, stages or lost in the mapping"),
        ({"stage": ["Lead", "Demo", None] * 2}, "stage: expected a stage in every row, found 2 empty; fill it in"),
    ],
    ids=["rising", "not counts", "unknown stage", "no stage"],
)  # fmt: skip
def test_counts_that_are_none_are_refused(columns, expected):
    assert any(line.startswith(expected) or expected in line for line in refusal(table(**columns), COUNTS, as_of=None))


# -- values: dates and amounts -------------------------------------------------------------------------------------------------------
CON = ibis.duckdb.connect()


def parsed(reader, values, **options):
    """Values read, and the texts of all problems."""
    source = CON.create_table(
        "texts", pd.DataFrame({"id": range(len(values)), "x": pd.Series(values, dtype="str")}), overwrite=True
    )
    result = reader(source, "x", **options)
    found = examine(source, result.checks, entity=source.id)
    read = source.select("id", value=result.value).order_by("id").execute()["value"]
    return read.tolist(), [str(problem) for problem in (*result.problems, *(one.problem for one in found))]


DATES = {
    "zones": (["2026-01-05T10:00:00+02:00", "2026-01-05T10:00:00.000+0000", "2026-01-05 10:00 -05:00", "2026-01-05", "2026-1-5 10:00:00Z"],
              ["2026-01-05 08:00", "2026-01-05 10:00", "2026-01-05 15:00", "2026-01-05", "2026-01-05 10:00"]),
    "day first": (["05/01/2026", "15/01/2026", ""], ["2026-01-05", "2026-01-15", None]),
    "month first": (["01/05/2026 2:05 PM", "01/15/2026 12:05 AM"], ["2026-01-05 14:05", "2026-01-15 00:05"]),
    "two-digit year": (["05.01.26", "15.01.26"], ["2026-01-05", "2026-01-15"]),
    "either way alike": (["05/05/2026", "06/06/2026"], ["2026-05-05", "2026-06-06"]),
    "Chinese": (["2026年1月5日", "2026年12月15日"], ["2026-01-05", "2026-12-15"]),
    "words": (["5 May 2026", "NULL", "15 Jan 2026"], ["2026-05-05", None, "2026-01-15"]),
    "blanks around": (["\u00a02026-01-05 ", "20260105"][:1], ["2026-01-05"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DATES)
def test_dates_are_read(name):
    values, expected = DATES[name]
    read, problems = parsed(dates, values)
    assert problems == []
    assert [None if pd.isna(one) else one for one in read] == [one and pd.Timestamp(one) for one in expected]


@pytest.mark.parametrize(
    ("unit", "values"), [("excel", ["46027", "46028.5"]), ("unix", ["1767571200", "1767700800"]), ("unix_ms", ["1767571200000", "1767700800000"])]
)  # fmt: skip
def test_dates_kept_as_numbers_are_read_when_named(unit, values):
    assert parsed(dates, values, date_format=unit) == ([pd.Timestamp("2026-01-05"), pd.Timestamp("2026-01-06 12:00")], [])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["05/01/2026", "06/01/2026"], "x: day and month cannot be told apart, since every value fits %m/%d/%Y and %d/%m/%Y, for "
         "example '05/01/2026'; set date_format = \"%m/%d/%Y\" or date_format = \"%d/%m/%Y\" in the mapping"),
        (["2026-01-05", "2026-02-30", "soon"], "x: expected dates of one format, such as 2026-06-30, found 2 others: "
         "'2026-02-30' (id 1); 'soon' (id 2); correct them, or leave them empty where there is no date"),
        (["2026-01-05 10:00 Europe/Berlin", "2026-01-05"], "x: expected dates of one format, such as 2026-06-30, found 1 other: "
         "'2026-01-05 10:00 Europe/Berlin' (id 0); correct them, or leave them empty where there is no date"),
        (["46027", "46028.5"], "x: expected dates, found numbers like 46027, such as a spreadsheet's count of days; "
         'set date_format = "excel" in the mapping'),
        (["0001-01-01", "1900-01-01", "2026-01-05"], "x: expected dates from 1971-01-01 on, found 2 others: '0001-01-01' (id 0); "
         "'1900-01-01' (id 1); leave the date empty where there is none"),
    ],
    ids=["ambiguous", "unparsable", "named zone", "serial", "placeholder"],
)  # fmt: skip
def test_dates_that_nobody_can_read_for_certain_are_refused(values, expected):
    assert parsed(dates, values)[1] == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,234.50", "12", "-", "n/a"], [1234.5, 12, None, None]),
        (["1.234,50", "12", "0,5"], [1234.5, 12, 0.5]),
        (["¥12,000", "¥1,234,567"], [12000, 1234567]),
        (["1.234.567", "12"], [1234567, 12]),
        (["1 234,50", "12\u202f345,00"], [1234.5, 12345]),
        (["1'234.50", "USD 5.00", "7 USD"], [1234.5, 5, 7]),
        (["0,500", "1234,5"], [0.5, 1234.5]),
        (["1.5E+05", "12,34,567.00"], [150000, 1234567]),
        (["(1,234.50)", "-$5", "+3"], [-1234.5, -5, 3]),
    ],
)
def test_amounts_are_read(values, expected):
    read, problems = parsed(numbers, values)
    assert problems == []
    assert [None if pd.isna(one) else one for one in read] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,234", "12"], "x: the decimal mark cannot be told from '1,234'; set decimal = \".\" or decimal = \",\" in the mapping"),
        (["1,234.50", "1.234,50"], "x: the decimal mark cannot be told from '1.234,50' and '1,234.50'; "
         'set decimal = "." or decimal = "," in the mapping'),
        (["$100", "€50"], "x: expected amounts of one currency, found $ in 1 row, € in 1 row; convert the amounts to one currency first"),
        (["12k", "12万", "10%", "5-", "3"], "x: expected numbers, found 4 others, first: '12k' (id 0); '12万' (id 1); '10%' (id 2); "
         "write plain numbers, or nothing where there is no amount"),
        (["1,2,34", "1.5"], "x: the decimal mark cannot be told from '1,2,34' and '1,2,34'; set decimal = \".\" or decimal = \",\" "
         "in the mapping"),
    ],
)  # fmt: skip
def test_amounts_that_nobody_can_read_for_certain_are_refused(values, expected):
    assert parsed(numbers, values)[1] == [expected]
    assert parsed(numbers, ["1,234", "12"], decimal=".") == ([1234, 12], [])


# -- frames ----------------------------------------------------------------------------------------------------------------------------
def test_frames_of_many_makes_give_the_same_counts():
    makes = [
        frame().set_index(["id", "stage"]),
        frame(stage=frame()["stage"].astype("category"), date=frame()["date"].dt.date, amount=1, _row="mine"),
        frame(
            date=(frame()["date"] + pd.Timedelta(hours=12)).dt.tz_localize("Asia/Tokyo"),
            id=frame()["id"].astype("float64"),
            amount=None,
        ),
    ]
    amounts = [100, 1, 0]
    for make, amount in zip(makes, amounts, strict=True):
        assert [event[1:3] for event in events(make)] == [event[1:3] for event in EVENTS]
        assert max(event[3] for event in events(make)) == amount


def test_frames_that_cannot_be_read_name_the_column():
    mixed = frame(id=[1, "1", 1, 2, 2], date=frame()["date"].dt.to_period("D"))
    assert [line.split(" that cannot")[0] for line in refusal(mixed)] == [
        "2 problems in the DataFrame",
        "id: expected text, numbers or dates, found values of type object",
        "date: expected text, numbers or dates, found values of type period[D]",
    ]
    assert refusal(frame().iloc[:0])[1:] == ["rows: expected at least one, found none"]
    assert refusal(frame(date=46027.5, amount=True))[1:] == [
        'date: expected dates, found float64; set date_format = "excel", "unix" or "unix_ms" in the mapping',
        "amount: expected numbers, found boolean",
    ]


def test_what_the_user_gave_stays_as_it_was():
    given, mapping = frame(names=["x"] * 5), {**MAPPING, "names": {"demo": "Demo"}, "columns": {**MAPPING["columns"]}}
    before, said = given.copy(deep=True), repr(mapping)
    assert events(given, mapping) == EVENTS
    pd.testing.assert_frame_equal(given, before)
    assert repr(mapping) == said


# -- nothing is dropped unsaid -------------------------------------------------------------------------------------------------------------
CELL = {
    "id": st.sampled_from([*map(str, range(1, 15)), "", " 1 "]),
    "stage": st.sampled_from(["Lead", "demo", "Won", "Lost", ""]),
    "date": st.sampled_from([f"2026-01-{day:02}" for day in range(1, 29)] + ["2027-01-01", "soon", "0001-01-01", ""]),
    "owner": st.just("Ann"),
    "amount": st.sampled_from(["", "", "", "5", "5", "5", "-5", "x"]),
    "gone": st.sampled_from(["", "", "", "", "", "", "true", "maybe"]),
}
SURE = {"id": "sure", "stage": "Lead", "date": "2026-01-05", "owner": "Bob", "amount": "", "gone": ""}


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.lists(st.fixed_dictionaries(CELL), min_size=5, max_size=30))
def test_every_row_is_an_event_or_in_the_list_of_what_was_left_out(rows):
    log = read(pd.DataFrame([*rows, SURE]), {**MAPPING, "deleted": "gone"}, on_problem="set_aside")
    told, kept = dict(log.removed), Counter(log.events.execute()["entity"])
    full = [row for row in [*rows, SURE] if row["id"].strip() or row["stage"] or row["date"]]
    assert told.pop("empty row", 0) == len(rows) + 1 - len(full)
    assert told.pop("no id", 0) == sum(not row["id"] for row in full)
    own = Counter(row["id"].strip() for row in full if row["id"])
    assert len(own) == len(kept) + sum(told.values())  # every id is in the log, or left out for one reason
    assert kept == {who: own[who] for who in kept}  # whoever is in the log has all of its rows there


def test_the_opportunity_tells_the_hour_of_its_lead_s_conversion(tmp_path):
    """A bare conversion date would shorten the time spent before it, and make every converted lead look saved twice."""
    (tmp_path / "Lead.csv").write_text(
        "Id,Status,CreatedDate,ConvertedDate,ConvertedOpportunityId,IsConverted\n"
        "00Q1,Closed - Converted,2026-01-05 09:00:00,2026-01-08,0061,true\n"
        "00Q2,Closed - Converted,2026-01-05 09:00:00,2026-01-09,,true\n"
    )
    (tmp_path / "OpportunityHistory.csv").write_text(
        "OpportunityId,StageName,CreatedDate\n0061,Prospecting,2026-01-08 15:30:00\n0061,Closed Won,2026-01-20 10:00:00\n"
    )
    log = read_crm(tmp_path, mapping="salesforce", as_of=AS_OF)
    events = log.events.filter(log.events.stage == "Sales Lead").select("entity", "at").execute()
    assert sorted(events.itertuples(index=False, name=None)) == [
        ("0061", pd.Timestamp("2026-01-08 15:30")),
        ("00Q2", pd.Timestamp("2026-01-09")),  # no opportunity: the date of conversion is all there is
    ]
    assert "stage saved again" not in set(log.audit().found["check"])
