"""Are wrong names, spoilt files and impossible worlds refused, with all their problems and a remedy?"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from funnelstats.bundle import bundled_path
from funnelstats.data import datasets
from funnelstats.data.datasets import dataset_card, dataset_mapping, dataset_path, list_datasets, load_dataset
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.simulate_chain import simulate_chain
from funnelstats.data.simulate_customers import simulate_orders
from funnelstats.data.simulate_ecommerce import simulate_ecommerce
from funnelstats.data.simulate_finance import simulate_finance
from funnelstats.data.simulate_retail import simulate_retail
from funnelstats.errors import DataError


def test_unknown_name_gives_the_nearest_and_the_list() -> None:
    with pytest.raises(DataError) as caught:
        load_dataset("crm_salesfroce")
    text = str(caught.value)
    assert "no data set is called 'crm_salesfroce'; did you mean 'crm_salesforce'? known: article, " in text
    assert all(name in text for name in list_datasets())


def test_unknown_file_names_the_files() -> None:
    with pytest.raises(DataError, match=r"file: expected one of \['Lead', 'OpportunityHistory'\], found 'Leads'"):
        load_dataset("crm_salesforce/Leads")


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("surgical.csv", "surgical.toml"):
        shutil.copy(bundled_path("data") / name, tmp_path / name)
    monkeypatch.setattr(datasets, "bundled_path", lambda kind: tmp_path)
    assert load_dataset("surgical")["deaths"].sum() == 208
    (tmp_path / "surgical.csv").write_text((tmp_path / "surgical.csv").read_text().replace("B,148,18", "B,148,19"))
    with pytest.raises(DataError, match=r"surgical\.csv: expected SHA-256 [0-9a-f]{12}\.\.\., found [0-9a-f]{12}"):
        load_dataset("surgical")


def test_mapping_and_path_of_a_data_set() -> None:
    assert dataset_mapping("crm_salesforce") == "salesforce"
    assert Path(dataset_mapping("crm_second")) == bundled_path("data") / "crm_second.mapping.toml"
    assert dataset_path("crm_salesforce") == bundled_path("data") / "crm_salesforce"
    assert dataset_path("crm_salesforce/Lead") == bundled_path("data") / "crm_salesforce" / "Lead.csv"
    assert dataset_path("cdnow") == bundled_path("data") / "cdnow.csv"
    with pytest.raises(DataError, match="mapping: not a CRM export"):
        dataset_mapping("surgical")


def test_cards_name_no_address_and_no_place_to_download() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in bundled_path("data").glob("*.toml"))
    assert "://" not in text
    assert len(dataset_card("cdnow").licence) > 20


def test_an_impossible_world_names_every_problem() -> None:
    with pytest.raises(DataError) as caught:
        simulate_crm(seed=1, stages=("A", "B", "A"), rates=(0.5, 1.2), owners=(), owner_sd=-1, shape=0, correlation=2)
    assert str(caught.value).splitlines() == [
        "6 problems in the simulated world",
        "  stages: expected one or more names, each once, found ['A', 'B', 'A', 'Lost']",
        "  owners: expected one or more names, each once, found []",
        "  rates: expected 2 chances between 0 and 1, one per step, found [0.5, 1.2]",
        "  owner_sd: expected from 0 to inf, found -1",
        "  correlation: expected from 0 to 1, found 2",
        "  shape: expected from 1e-09 to inf, found 0",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"owner_gpa": 1}, "owner_gpa: not a property of a simulated world; known: amount, "),
        ({"stages": ("Won",)}, "stages: expected two or more, found"),
        ({"rates": (0.1, 0.2)}, "rates: expected 4 chances between 0 and 1, one per step, found"),
        ({"n_leads": 0}, "n_leads: expected at least 1, found 0"),
        ({"dirty": {"stales": 0.1}}, "dirty: expected one of .*, found 'stales'"),
        ({"dirty": 1.5}, r"dirty\['stale'\]: expected a share between 0 and 1, found 1.5"),
        ({"start": "2027-01-01"}, "start: expected no later than as_of"),
    ],
)
def test_simulator_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        simulate_crm(seed=1, **options)


def test_other_simulators_refuse() -> None:
    with pytest.raises(DataError, match="  r: expected a positive number, found -1\n  q: expected above 1"):
        simulate_orders(seed=1, r=-1, q=0.9)
    with pytest.raises(DataError, match="months: expected at least 1, found 0\n  noise: expected zero or more"):
        simulate_chain(seed=1, months=0, noise=(-1.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("simulate", "options", "message"),
    [
        (
            simulate_finance,
            {"n_clients": 0, "term_days": 30},
            "  n_clients: expected at least 1, found 0\n  term_days: expected at least 31, found 30",
        ),
        (simulate_ecommerce, {"n_sessions": 0}, "n_sessions: expected at least 1, found 0"),
        (
            simulate_retail,
            {"n_visits": 0, "n_customers": -2},
            "  n_visits: expected at least 1, found 0\n  n_customers: .*found -2",
        ),
        (simulate_retail, {"start": "2027-01-01"}, "start: expected no later than as_of"),
    ],
)
def test_industries_refuse(simulate: Callable[..., object], options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        simulate(seed=1, **options)
