"""Is a change called real as often as it is, and is it laid to what changed?"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import funnelstats as fs
from funnelstats.interval import Interval
from funnelstats.report.changes import because, change_words
from funnelstats.report.shelf import cards_json

SPEC = {"stages": ["Lead", "Won"], "entity": "id", "stage": "step", "at": "on"}


def normal(mean, sd, seed):
    draws = np.random.default_rng(seed).normal(mean, sd, 20_000)
    return fs.card(fs.Estimate.of(draws, description="x", unit="CNY"), name="x")


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 2.5])
def test_probability_and_bounds_are_those_of_two_independent_normals(shift):
    old, new = normal(10, 1, 1), normal(10 + shift, 0.5, 2)
    row = fs.what_changed(old, new, interval=Interval(prob=0.9)).iloc[0]
    sd = np.hypot(1, 0.5)
    higher = norm.cdf(shift / sd)
    assert row["p_real"] == pytest.approx(max(higher, 1 - higher), abs=0.015)
    assert row["change"] == pytest.approx(shift, abs=0.03)
    assert (row["upper"] - row["lower"]) / 2 == pytest.approx(norm.ppf(0.95) * sd, rel=0.03)


def test_other_way_round_the_change_has_the_other_sign():
    one, two = normal(10, 1, 1), normal(13, 1, 2)
    up, down = (fs.what_changed(a, b).iloc[0] for a, b in ((one, two), (two, one)))
    assert (up["verdict"], down["verdict"]) == ("higher", "lower")
    assert up["change"] == -down["change"]
    assert up["p_real"] == pytest.approx(down["p_real"])


def test_cards_with_other_sets_of_quantiles_are_compared_by_their_own():
    old, new = normal(10, 1, 1), normal(12, 1, 2)
    few = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    picked = tuple(old.values[0].quantiles[old.probs.index(prob)] for prob in few)
    coarse = replace(old, probs=few, values=(replace(old.values[0], quantiles=picked),))
    coarse = fs.Card.from_dict(json.loads(json.dumps(coarse.to_dict())))
    whole, rough = (fs.what_changed(one, new).iloc[0] for one in (old, coarse))
    assert rough["verdict"] == whole["verdict"]
    assert rough["p_real"] == pytest.approx(whole["p_real"], abs=0.02)
    unknown = old.to_dict() | {"values": coarse.to_dict()["values"]}  # of a version that did not say at which probabilities
    table = fs.what_changed([fs.Card.from_dict(unknown), replace(old, name="y")], [new, replace(new, name="y")])
    lacking, known = table.iloc[0], table.iloc[1]
    assert lacking["verdict"] == "not comparable"
    assert lacking["change"] == pytest.approx(2, abs=0.05)
    assert "the old card keeps no quantiles that can be read" in change_words(lacking)
    assert (known["verdict"], known["p_real"]) == (whole["verdict"], whole["p_real"])  # the others are compared all the same


def test_labels_that_both_cards_have_are_compared_and_the_others_named():
    def several(**means):
        draws = np.random.default_rng(1).normal(list(means.values()), 1, (4000, len(means)))
        return fs.card(fs.Estimate.of(draws, description="x", coords={"who": list(means)}), name="x")

    table = fs.what_changed(several(Ann=1, Bo=1), several(Ann=9, Cy=1)).set_index("label")
    assert table["verdict"].to_dict() == {"Ann": "higher", "Cy": "new", "Bo": "gone"}


def test_the_same_report_shows_no_change():
    row = fs.what_changed(normal(1, 1, 1), normal(1, 1, 1)).iloc[0]
    assert (row["verdict"], row["change"], row["because"]) == ("the same", 0.0, "")


@pytest.fixture
def export(tmp_path):
    rows = [(n, "Lead", f"2026-01-{1 + n % 28:02}") for n in range(90)] + [
        (n, "Won", f"2026-03-{1 + n % 28:02}") for n in range(30)
    ]
    path = tmp_path / "deals.csv"
    pd.DataFrame(rows, columns=["id", "step", "on"]).to_csv(path, index=False)
    return path


def rate(path, *, mapping=SPEC, as_of="2026-06-30", **settings):
    return fs.quantity(fs.read_crm(path, mapping=mapping, as_of=as_of), "overall_rate", seed=1, **settings).card


def test_a_change_is_laid_to_data_definitions_or_model(export, tmp_path):
    old = rate(export)
    more = tmp_path / "more.csv"
    more.write_text(export.read_text() + "999,Lead,2026-02-01\n")
    assert because(old, rate(more)) == "data"
    assert because(old, rate(export, as_of="2026-06-29")) == "definitions (as_of)"
    assert because(old, rate(more, as_of="2026-07-31")) == "data; definitions (as_of)"
    assert because(old, rate(export, mapping=SPEC | {"lost": ["Lost", "Dead"]})) == "definitions (reading: mapping)"
    assert because(old, replace(old, version="0.0.1", method="mcmc")) == "model (method, version)"
    assert because(old, old) == "nothing that a card records"


def test_new_gone_and_not_identified_are_said(export, tmp_path):
    old, new = rate(export), fs.card(fs.NotIdentified("won", "nobody entered"), name="overall_rate", recipe=None)
    (tmp_path / "old.json").write_text(cards_json([old, normal(1, 1, 1)]))
    table = fs.what_changed(
        tmp_path / "old.json", json.loads(cards_json([replace(new, recipe=old.recipe), replace(old, name="y")]))
    )
    assert dict(zip(table["name"], table["verdict"], strict=True)) == {"overall_rate": "not comparable", "y": "new", "x": "gone"}
    assert "not identified: nobody entered" in change_words(table.iloc[0])


def test_published_number_carries_its_card(export, monkeypatch):
    from funnelstats.report import say

    shown = []
    monkeypatch.setattr(say, "_show", lambda bundle, plain: shown.append(bundle))
    log = fs.read_crm(export, mapping=SPEC, as_of="2026-06-30")
    asked = fs.quantity(log, "overall_rate", seed=1, label="headline")
    fs.publish("headline", asked.estimate, sentence="x", source=asked.card)
    fs.publish("plain", asked.estimate, sentence="x", source=log)
    fs.publish("bare", asked.estimate, sentence="x")
    cards = [bundle[say.RESULT_TYPE].get("card") for bundle in shown]
    assert cards[0] == asked.card.to_dict()
    assert cards[1]["data_sha256"] == asked.card.data_sha256
    assert cards[2] is None
