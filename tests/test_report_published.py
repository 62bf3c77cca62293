"""Printed numbers beside computed ones, and the tables that programs wrote: is nothing left out, and no tolerance made up?"""

import csv
import logging

import numpy as np
import pytest

from funnelstats.bundle import bundled_path
from funnelstats.data.datasets import load_dataset
from funnelstats.errors import DataError
from funnelstats.interval import Interval
from funnelstats.notebooks.find import read_notebook
from funnelstats.report import theme
from funnelstats.report.published import measured, published_table
from funnelstats.report.published_figures import plot_published

PRINTED = load_dataset("published")
RATS = {"mean of alpha": 2.4, "mean of beta": 14.3}


def digits():
    """Half a unit of the last digit that stands in the file, before anything reads it as a number."""
    lines = (bundled_path("data") / "published" / "values.csv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [row[2] for row in csv.reader(lines)]
    assert len(texts) == len(PRINTED)
    return np.array([0.5 * 10.0 ** -len(text.partition(".")[2]) if "." in text else 0.5 for text in texts])


def test_a_tolerance_beyond_the_last_digit_has_its_reason():
    wide = PRINTED["tolerance"] > digits() * (1 + 1e-9)
    assert wide.any()
    assert PRINTED.loc[wide, "why"].notna().all()
    assert (PRINTED["source"].str.len() > 10).all()
    assert not PRINTED.duplicated(["topic", "quantity"]).any()


def test_a_wrong_value_is_seen():
    right = published_table("rats", RATS)
    assert right["within"].tolist() == [True, True]
    wrong = published_table("rats", RATS | {"mean of beta": 14.36})
    assert wrong["within"].tolist() == [True, False]
    assert wrong["difference"].tolist() == pytest.approx([0, 0.06])
    assert "; 1 within" in plot_published(wrong).alt
    assert "rats, mean of beta, 1.20 tolerances" in plot_published(wrong).alt


def test_nothing_printed_is_left_out_and_nothing_added():
    with pytest.raises(DataError, match="2 problems") as raised:
        published_table("rats", {"mean of alpha": 2.4, "mean of gamma": 1.0})
    assert "mean of beta: printed, but not computed" in str(raised.value)
    assert "mean of gamma: computed, but not printed" in str(raised.value)
    with pytest.raises(DataError, match="expected one of"):
        published_table("mice", {})


def test_intervals_of_the_table_are_computed_from_their_names():
    rows = PRINTED[(PRINTED["topic"] == "proportions") & PRINTED["quantity"].str.startswith("wilson")]
    values = {}
    for name in PRINTED.loc[PRINTED["topic"] == "proportions", "quantity"]:
        kind, *rest = name.replace(",", "").split()
        counts = [int(word) for word in rest if word.isdigit()]
        rule = Interval(prob=0.95, kind=kind)
        values[name] = (rule.of_counts(*counts) if len(counts) == 2 else rule.of_two_counts(*counts))[rest[-1] == "upper"]
    assert published_table("proportions", values)["within"].all()
    assert len(rows) == 8


def test_the_notebook_shows_every_topic():
    notebook = read_notebook(bundled_path("notebooks") / "99_published_numbers.ipynb")
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert [topic for topic in PRINTED["topic"].unique() if f'beside("{topic}"' not in code] == []
    shown = [
        out.data["text/plain"]
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        if "text/plain" in out.get("data", {})
    ]
    assert any(f"{len(PRINTED)} of {len(PRINTED)} numbers agree" in text for text in shown)


@pytest.mark.parametrize(("page", "names"), [
    ("calibration", {"multilevel", "quadrature", "chain", "plan", "customers", "correlated"}),
    ("benchmarks", {"stage_counts", "startup", "hierarchical"}),
])  # fmt: skip
def test_measurements_are_read_as_they_were_written(page, names):
    text = (bundled_path("docs") / f"{page}.md").read_text(encoding="utf-8")
    found = measured(page)
    assert names <= set(found)
    for section in found.values():
        assert section.text.startswith("Measured on ")
        assert section.tables
        for table in section.tables:
            for row in table.itertuples(index=False):
                assert f"| {' | '.join(row)} |" in text
    rows = sum(line.startswith("| ") and not line.startswith("| ---") for line in text.splitlines())
    assert rows == sum(len(table) + 1 for section in found.values() for table in section.tables)


def test_no_other_page_is_read():
    with pytest.raises(DataError, match="calibration"):
        measured("index")


def test_a_font_of_one_weight_is_no_news_and_another_warning_is(caplog):
    logger = logging.getLogger("matplotlib.font_manager")
    with theme.styled():
        logger.warning("findfont: Failed to find font weight bold for One Weight, now using 500.")
        logger.warning("findfont: Font family 'Nowhere' not found.")
    assert [record.getMessage() for record in caplog.records] == ["findfont: Font family 'Nowhere' not found."]
