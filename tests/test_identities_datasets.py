"""Is a simulated data set exactly what the call on its card makes?"""

from pathlib import Path

import pytest

from funnelstats.bundle import bundled_path
from funnelstats.data.crm import read_crm
from funnelstats.data.datasets import Card, dataset_card, dataset_path, list_datasets, load_dataset
from funnelstats.data.rebuild import main, rebuild, remake

SIMULATED = [name for name in list_datasets() if dataset_card(name).kind == "simulated"]


def test_these_sets_are_simulated() -> None:
    assert SIMULATED == [
        "crm_counts", "crm_hubspot", "crm_salesforce", "crm_second", "monthly_chain", "transactions", "world_ecommerce",
        "world_education", "world_finance", "world_health", "world_manufacturing", "world_retail",
    ]  # fmt: skip


@pytest.mark.parametrize("name", SIMULATED)
def test_rebuilding_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    card: Card = dataset_card(name)
    written = rebuild(card, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [table.path for table in card.tables]
    for path, table in zip(written, card.tables, strict=True):
        assert path.read_bytes() == (bundled_path("data") / table.path).read_bytes()


def test_the_command_writes_every_simulated_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(str(tmp_path))
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv")}
    assert made == {table.path for name in SIMULATED for table in dataset_card(name).tables}
    assert len(capsys.readouterr().out.splitlines()) == len(made)


def test_the_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in bundled_path("data").rglob("*") if path.is_file()) < 4_000_000


@pytest.mark.parametrize(
    "name", ["crm_salesforce", "crm_hubspot", "crm_second", "world_education", "world_health", "world_manufacturing"]
)
def test_bundled_exports_hold_the_world_on_their_card(name: str) -> None:
    world = remake(dataset_card(name))
    log = read_crm(f"bundled:{name}")
    assert log.window.as_of == world.as_of
    assert log.currency == world.world.currency
    frame = log.stages().frame.set_index("stage")
    copies = sum(world.injected.get(kind, 0) for kind in ("duplicate",))
    assert frame["entered"].iloc[0] == len(world.truth.outcomes) + copies
    shown = frame["entered"].to_numpy()[1:]
    final = world.truth.eventual()["entered"].to_numpy()[1:]
    assert (shown < final + copies).all()  # open deals are still to come
    assert (shown > 0.7 * final).all()


def test_counts_add_up_and_are_those_of_the_world() -> None:
    counts, world = load_dataset("crm_counts"), remake(dataset_card("crm_counts"))
    inner = counts[counts["stage"] != "Won"]
    assert (inner["entered"] == inner["advanced"] + inner["lost"] + inner["open"]).all()
    entered = world.events[world.events["stage"] == "Opportunity"].groupby("owner").size()
    assert counts[counts["stage"] == "Opportunity"].set_index("owner")["entered"].to_dict() == entered.to_dict()
    assert read_crm("bundled:crm_counts").stages().frame["entered"].iloc[0] == 3_000


def test_second_set_differs_where_notebooks_could_cheat() -> None:
    first, second = dataset_card("crm_salesforce"), dataset_card("crm_second")
    assert len(remake(second).stages) == len(remake(first).stages) + 1
    assert not set(remake(second).stages) & set(remake(first).stages)
    assert {first.currency, second.currency} == {"CNY", "EUR"}
    assert dataset_path("crm_second").read_text(encoding="utf-8").splitlines()[0].count(";") == 6
