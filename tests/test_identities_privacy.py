"""Does anything that leaves the machine name a person, a company or a deal, or speak of fewer than ten?"""

import itertools
import json
import socket

import numpy as np
import pandas as pd
import pytest

import funnelstats as fs
from funnelstats.report.privacy import names_for, read_key
from funnelstats.report.quantities import QUANTITIES, of_orders
from funnelstats.report.shelf import cards_json
from funnelstats.report.suppress import _determined, _equations

KEY = "0123456789abcdef"
SPEC = {"stages": ["Lead", "Talk", "Won"], "entity": "id", "stage": "step", "at": "on",
        "columns": {"owner": "who", "account": "firm", "channel": "way", "amount": "worth"}}  # fmt: skip


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """An export whose every name can be searched for."""
    rng = np.random.default_rng(3)
    rows = []
    for deal in range(200):
        about = (f"OPP{deal:05}X", f"Ownername{deal % 4}", f"Firmname{deal % 40}", ["Web", "Fair"][deal % 2], 1000.0 + deal)
        at = pd.Timestamp("2026-01-01") + pd.Timedelta(hours=int(rng.integers(0, 2000)))
        for step in SPEC["stages"][: 1 + int(rng.random() < 0.6) + int(rng.random() < 0.3)]:
            rows.append((*about, step, at))
            at += pd.Timedelta(hours=int(rng.integers(1, 300)))
        if rng.random() < 0.5:
            rows.append((*about, "Lost", at))
    path = tmp_path_factory.mktemp("secretfolder") / "deals.csv"
    pd.DataFrame(rows, columns=["id", "who", "firm", "way", "worth", "step", "on"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def log(export):
    return fs.read_crm(export, mapping=SPEC, as_of="2026-06-30", on_problem="set_aside")


@pytest.fixture(scope="module")
def safe(log):
    return fs.pseudonymise(log)


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_no_identifier_of_the_input_is_in_the_output(log, safe, offline, unsampled):
    said = [cards_json([fs.quantity(safe, name, seed=1).card for name in QUANTITIES if not of_orders(name)]), repr(safe), repr(safe.audit()),
            safe.audit().found.to_csv(), safe.stages(["owner", "account"]).frame.to_csv(), safe._repr_html_(),
            fs.quantity(safe, "member_rate", seed=1).card._repr_html_()]  # fmt: skip
    for text in said:
        for identifier in ("OPP0", "Ownername", "Firmname", "secretfolder"):
            assert identifier not in text
    assert "Ownername" in fs.quantity(log, "member_rate", seed=1).card.text()  # and the search would have found it


def test_counts_stay_what_they_are_under_other_names(log, safe):
    for by in ("owner", "account", "channel"):
        one, two = (sorted(which.stages(by).frame[["stage", "entered", "advanced", "lost", "open"]].itertuples(index=False, name=None))
                    for which in (log, safe))  # fmt: skip
        assert one == two
    assert set(safe.stages("channel").frame["channel"]) == {"Web", "Fair"}
    assert safe.stages().digest == log.stages().digest
    assert log.stages("owner").frame["owner"][0] == "Ownername0"


def test_pseudonyms_are_stable_with_a_key_and_change_with_it(log):
    one, same, other = (
        sorted(set(fs.pseudonymise(log, key=key).stages("owner").frame["owner"])) for key in (KEY, KEY, KEY + "x")
    )
    assert one == same
    assert not set(one) & set(other)
    assert all(name.startswith("consultant-") for name in one)
    counts = fs.pseudonymise(log.stages("owner"), key=KEY)
    assert sorted(set(counts.frame["owner"])) == one


def test_key_made_of_the_content_agrees_between_runs_and_not_between_exports(export, log):
    again = fs.read_crm(pd.read_csv(export), mapping=SPEC, as_of="2026-06-30", on_problem="set_aside")
    other = fs.read_crm(export, mapping=SPEC, as_of="2026-06-29", on_problem="set_aside")
    names = [set(fs.pseudonymise(which).stages("owner").frame["owner"]) for which in (log, again, other)]
    assert names[0] == names[1]
    assert not names[0] & names[2]


def test_many_names_get_different_pseudonyms():
    values = [f"name {n}" for n in range(3000)]
    found = names_for("owner", values, KEY.encode())
    assert len({found[value] for value in values}) == 3000


def test_a_card_under_pseudonyms_is_verified(export, log, monkeypatch):
    card = fs.quantity(fs.pseudonymise(log), "member_rate", seed=1).card
    assert fs.verify(card, data=export).reproduces
    own = fs.quantity(fs.pseudonymise(log, key=KEY), "member_rate", seed=1).card
    assert "names were replaced with a key of your own" in str(fs.verify(own, data=export))
    assert fs.verify(own, data=export, key=KEY).reproduces
    assert not fs.verify(own, data=export, key=KEY + "x").reproduces
    monkeypatch.setenv("FUNNELSTATS_KEY", KEY)
    assert read_key() == KEY.encode()


def test_a_short_key_is_refused(log):
    with pytest.raises(fs.DataError, match="at least 16 bytes"):
        fs.pseudonymise(log, key="short")


def test_counts_only_has_no_record_and_no_small_group(log):
    safe = fs.counts_only(log, by="account")
    assert safe.stages("account").frame.query("stage == 'Lead'")["entered"].min() >= 10
    assert safe.stages().frame["entered"].tolist() == log.stages().frame["entered"].tolist()
    with pytest.raises(fs.DataError, match="counts only"):
        safe.hazards()


# -- small cells ---------------------------------------------------------------------------------------------------
def funnel(entered, advanced, lost):
    rows = []
    for name, *numbers in zip("abcdef", entered, advanced, lost, strict=False):
        n, k, gone = numbers
        rows += [(name, "Lead", n, k, gone, n - k - gone), (name, "Won", k, 0, 0, 0)]
    return pd.DataFrame(rows, columns=["owner", "stage", "entered", "advanced", "lost", "open"])


COLUMNS = ["entered", "advanced", "lost", "open"]


@pytest.mark.parametrize("seed", range(25))
def test_no_small_cell_is_shown_or_follows_from_what_is_shown(seed):
    rng = np.random.default_rng(seed)
    entered = rng.integers(12, 80, size=5)
    advanced = rng.binomial(entered, 0.3)
    lost = rng.binomial(entered - advanced, 0.6)
    frame = funnel(entered, advanced, lost)
    hidden = fs.suppress_small(frame, counts=COLUMNS)
    values, shown = frame[COLUMNS].to_numpy(), hidden.table[COLUMNS]
    small = (values > 0) & (values < 10)
    assert shown.isna().to_numpy()[small].all()
    assert (shown.to_numpy(dtype=object, na_value=-1)[~shown.isna().to_numpy()] == values[~shown.isna().to_numpy()]).all()
    assert not len(_determined(shown.isna().to_numpy().ravel(), small.ravel(), _equations(frame, COLUMNS, True)))


def test_the_cell_that_gives_another_away_is_hidden_by_hand():
    frame = pd.DataFrame({"owner": list("abc"), "won": [40, 3, 17]})
    assert fs.suppress_small(frame, counts=["won"]).table["won"].tolist() == [40, pd.NA, pd.NA]
    assert fs.suppress_small(frame, counts=["won"], total=False).table["won"].tolist() == [40, pd.NA, 17]
    nothing = fs.suppress_small(frame, counts=["won"], k=3)
    assert (nothing.table is frame, nothing.cells, nothing.said) == (True, 0, "")


def test_every_other_solution_of_the_equations_is_possible():
    """By enumeration: the hidden small cell can have several values that agree with all that is shown."""
    frame = pd.DataFrame({"stage": ["Lead", "Won"], "entered": [60, 4], "advanced": [4, 0], "lost": [30, 0], "open": [26, 0]})
    shown = fs.suppress_small(frame, counts=COLUMNS, total=False).table
    lead = shown.iloc[0]
    fits = {a for a, lost, still in itertools.product(range(1, 10), range(61), range(61))
            if (pd.isna(lead["lost"]) or lost == lead["lost"]) and (pd.isna(lead["open"]) or still == lead["open"])
            and a + lost + still == 60}  # fmt: skip
    assert pd.isna(shown["advanced"][0])
    assert pd.isna(shown["entered"][1])
    assert len(fits) == 9


def test_small_groups_are_merged_until_other_is_not_small():
    rows = [(name, stage, n) for name, n in (("a", 50), ("b", 4), ("c", 3), ("d", 12)) for stage in ("Lead", "Won")]
    counts = fs.StageCounts.of(pd.DataFrame(rows, columns=["owner", "stage", "entered"]), by=["owner"])
    merged = fs.suppress_small(counts)
    assert merged.table.frame.query("stage == 'Lead'").set_index("owner")["entered"].to_dict() == {"a": 50, "other": 19}
    assert merged.table.total().frame["entered"].tolist() == counts.total().frame["entered"].tolist()
    assert "3 groups, together 19" in merged.table.note
    with pytest.raises(fs.DataError, match="expected at least 10 in all, found 8"):
        fs.suppress_small(fs.StageCounts.of({"Lead": 8, "Won": 2}))


def test_rates_go_with_their_counts():
    frame = pd.DataFrame({"owner": list("abc"), "won": [40, 3, 17], "rate": [0.4, 0.3, 0.5]})
    hidden = fs.suppress_small(frame, depends={"won": ["rate"]}).table
    assert hidden["rate"].isna().tolist() == [False, True, True]


def test_cards_of_counts_only_say_their_n(log):
    card = fs.quantity(fs.counts_only(log, by="channel"), "overall_rate", seed=1).card
    assert json.loads(cards_json([card]))["cards"][0]["n"] == log.stages().frame["entered"].iloc[0]
