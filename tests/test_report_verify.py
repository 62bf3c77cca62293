"""Can every number of a report be cited and computed again from the export, and is a changed export found out?"""

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from funnelstats.cli import app
from funnelstats.data.crm import read_crm
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.transactions import Transactions
from funnelstats.errors import DataError
from funnelstats.report import document as documents
from funnelstats.report import sections_ahead
from funnelstats.report import verify as verifying
from funnelstats.report.quantities import of_orders, quantity
from funnelstats.report.shelf import Shelf
from funnelstats.report.verify import verify
from funnelstats.report.writing import write_report

pytestmark = pytest.mark.filterwarnings("ignore::funnelstats.errors.ImmatureWarning")  # the sentences say "so far"
SIZE = {"draws": 150, "chains": 4, "seed": 3}
OF_A_LOG = {"overall_rate", "win_rate_of_decided", "step_rate", "median_time", "eventual_conversion", "bottleneck_probability", "bottleneck_gain",
            "league_first", "forecast_wins", "forecast_revenue", "mean_amount", "value_per_lead", "value_of_fixing"}  # fmt: skip
COUNTED = {"overall_rate", "win_rate_of_decided", "step_rate", "bottleneck_probability", "bottleneck_gain", "league_first"}


def orders(path):
    """A small order book: sixty customers whose amounts differ, some of whom come back."""
    rng = np.random.default_rng(3)
    rows = [(f"C{who}", day, round(float(spent * rng.gamma(4, 0.25)), 2)) for who in range(60) for spent in [rng.gamma(5, 8)]
            for day in pd.Timestamp("2025-07-01") + pd.to_timedelta(rng.integers(0, 330, rng.integers(1, 8)), unit="D")]  # fmt: skip
    pd.DataFrame(rows, columns=["customer", "at", "amount"]).to_csv(path, index=False)


def read_once(read):
    """Cards of one page are read with the same words: one reading serves them all."""
    logs: dict = {}

    def kept(card, data, near, key):
        asked = ("quantity", "settings", "seed")
        words = str(
            ({name: part for name, part in card.recipe.items() if name not in asked}, of_orders(card.recipe["quantity"]), data)
        )
        if words not in logs or data is not None:
            logs[words] = read(card, data, near, key)
        return logs[words]

    return kept


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An export, the words to read it with, and the end of observation."""
    place = tmp_path_factory.mktemp("export")
    world = simulate_crm(seed=4, n_leads=400, owners=("Ada", "Bruno", "Clara"), as_of="2026-06-30")
    events = world.events.drop(columns="region")
    events.to_csv(place / "deals.csv", index=False)
    orders(place / "orders.csv")
    spec = dict(world.mapping)
    spec |= {"columns": {name: column for name, column in spec["columns"].items() if name != "region"}}
    return place, spec, world.as_of


@pytest.fixture(scope="module")
def written(folder, unsampled):
    """Two reports on the export, each in its folder: with records, and from counts alone."""
    place, spec, as_of = folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections_ahead, "ORIGINS", 1)
        patch.setattr(verifying, "_read", read_once(verifying._read))
        log = read_crm(place / "deals.csv", mapping=spec, as_of=as_of)
        (place / "whole").mkdir()
        write_report(log, place / "whole" / "report.html", orders=place / "orders.csv", **SIZE)
        (place / "counted").mkdir()
        write_report(log, place / "counted" / "report.html", counts_only=True, **SIZE)
        yield place


def test_every_card_of_a_page_is_cited_and_computed_again(written):
    shelf = Shelf.of(written / "whole")
    assert {card.name for card in shelf.cards} == OF_A_LOG | {"newcomer_value"}
    page = (written / "whole" / "report.html").read_text()
    for card in shelf.cards:
        assert f'<details id="{card.id}">' in page
        assert card.id in card.text()
        assert card.bibtex().startswith(f"@misc{{{card.id},")
        found = verify(card, near=(str(written),))
        assert found.reproduces, found
        assert found.again.id == card.id


def test_every_card_from_counts_alone_is_computed_again_from_the_export(written):
    shelf = Shelf.of(written / "counted")
    assert {card.name for card in shelf.cards} == COUNTED
    for card in shelf.cards:
        found = verify(card, near=(str(written),))
        assert found.reproduces, found


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"NO_COLOR": "1", "COLUMNS": "300"})


def test_commands_find_the_page_that_lies_here(written, monkeypatch):
    monkeypatch.chdir(written / "whole")
    listed = call("cite")
    assert listed.exit_code == 0, listed.output
    ids = re.findall(r"^fs-\w+", listed.stdout, flags=re.MULTILINE)
    assert len(ids) == len(Shelf.of(written / "whole").cards)
    assert "@misc" in call("cite", ids[0]).stdout
    done = call("verify", ids[0])
    assert done.exit_code == 0, done.output


def moved(folder, change):
    """The export with one value changed, in a folder of its own."""
    place, _, _ = folder
    frame = pd.read_csv(place / "deals.csv", dtype=str)
    other = place / "changed"
    other.mkdir(exist_ok=True)
    change(frame).to_csv(other / "deals.csv", index=False)
    return str(other / "deals.csv")


def test_one_changed_timestamp_is_found_out(folder, written):
    later = moved(folder, lambda f: f.assign(at=f["at"].where(f.index != 5, "2025-05-05 05:05:05")))
    for card in Shelf.of(written / "whole").cards:
        if card.name not in ("overall_rate", "forecast_wins", "mean_amount"):
            continue
        found = verify(card, data=later)
        assert not found.reproduces
        assert found.said[0].startswith(f"data: changed, SHA-256 {card.data_sha256[:12]}... on the card"), found


def test_counts_alone_do_not_see_what_moves_no_count(folder, written, monkeypatch):
    """Names are replaced with a key of the content; a card of one's own names shows that the counts are what is compared."""
    place, spec, as_of = folder
    log = read_crm(place / "deals.csv", mapping=spec, as_of=as_of)
    monkeypatch.setattr(documents, "OF_A_LOG", {"funnel": documents.OF_A_LOG["funnel"]})
    document = write_report(log, counts_only=True, names=True, **SIZE)
    card = next(one for one in document.cards if one.name == "overall_rate")
    second = log.events.execute()["at"].max()
    last = moved(
        folder, lambda f: f.assign(at=f["at"].mask(pd.to_datetime(f["at"]) == second, str(second - pd.Timedelta(seconds=1))))
    )
    found = verify(card, data=last)
    assert found.reproduces, found
    assert "files: written anew (their SHA-256 changed), every count made of them is the same" in found.said
    gone = moved(folder, lambda f: f[f["entity"] != f["entity"].iloc[0]])
    assert not verify(card, data=gone).reproduces


def test_quantity_of_the_wrong_kind_of_data_is_refused(folder):
    place, spec, as_of = folder
    log = read_crm(place / "deals.csv", mapping=spec, as_of=as_of)
    with pytest.raises(DataError, match=r"newcomer_value: expected an order book .*, found EventLog"):
        quantity(log, "newcomer_value", seed=1)
    with pytest.raises(DataError, match=r"overall_rate: expected a log .*, found Transactions"):
        quantity(Transactions.of("bundled:transactions"), "overall_rate", seed=1)


def test_changed_order_book_is_found_out(tmp_path):
    orders(tmp_path / "orders.csv")
    rows = pd.read_csv(tmp_path / "orders.csv")
    asked = {"as_of": "2026-06-30", "draws": 100}
    card = quantity(Transactions.of(tmp_path / "orders.csv", currency="EUR"), "newcomer_value", seed=1, **asked).card
    assert verify(card, near=(str(tmp_path),)).reproduces
    rows.assign(amount=rows["amount"].where(rows.index < 100, 1.5 * rows["amount"])).to_csv(tmp_path / "orders.csv", index=False)
    found = verify(card, data=str(tmp_path / "orders.csv"))
    assert not found.reproduces
    assert any(one.startswith("data: changed") for one in found.said)
    assert any(one.startswith("number: changed") for one in found.said)
