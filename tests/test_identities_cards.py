"""Is the name of a number that of its data and its question, and of nothing else?"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import funnelstats as fs
from funnelstats.data.fingerprint import content_digest
from funnelstats.report.cards import PROBS
from funnelstats.report.citation import card, identify
from funnelstats.report.quantities import QUANTITIES, of_orders
from funnelstats.report.shelf import Shelf, cards_json

SPEC = {
    "stages": ["Lead", "Talk", "Won"],
    "entity": "id",
    "stage": "step",
    "at": "on",
    "columns": {"owner": "who", "amount": "worth"},
}


#: Quantities of the crossed model take a sampler; they are asked in test_report_document.
SAMPLED = ("league_first", "adjusted_gain")


def deals(n=120, seed=1):
    """A small export: three consultants, three stages."""
    rng = np.random.default_rng(seed)
    rows = []
    for deal in range(n):
        at = pd.Timestamp("2026-01-01") + pd.Timedelta(minutes=int(rng.integers(0, 120_000)))
        reached = 1 + int(rng.random() < 0.6) + int(rng.random() < 0.3)
        for step in SPEC["stages"][: min(reached, 3)]:
            rows.append((f"D{deal:03}", step, at, ["Ann Alder", "Bo Beech", "Cy Cedar"][deal % 3], 100.0 + deal))
            at += pd.Timedelta(hours=int(rng.integers(1, 200)))
        if reached < 3 and rng.random() < 0.7:
            rows.append((f"D{deal:03}", "Lost", at, ["Ann Alder", "Bo Beech", "Cy Cedar"][deal % 3], 100.0 + deal))
    return pd.DataFrame(rows, columns=["id", "step", "on", "who", "worth"])


def read(frame, **more):
    return fs.read_crm(frame, mapping=SPEC, **({"as_of": "2026-06-30"} | more))


@pytest.fixture(scope="module")
def frame():
    return deals()


@pytest.fixture(scope="module")
def log(frame):
    return read(frame)


def test_one_changed_timestamp_changes_the_id_though_no_count_changes(frame, log):
    moved = frame.copy()
    moved.loc[0, "on"] += pd.Timedelta(milliseconds=1)
    other = read(moved)
    assert other.stages().digest == log.stages().digest
    one, two = (fs.quantity(which, "overall_rate", seed=1).card for which in (log, other))
    assert one.said == two.said
    assert one.data_sha256 != two.data_sha256
    assert one.id != two.id


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(who=f["who"].where(f.index != 3, "Dee Doe")),
        lambda f: f.assign(worth=f["worth"].where(f.index != 3, 99.0)),
        lambda f: f.iloc[1:],
        lambda f: pd.concat([f, f.iloc[[0]]]),
    ],
)
def test_any_changed_value_changes_the_digest(frame, log, change):
    assert content_digest(read(change(frame))) != content_digest(log)


def test_order_of_rows_and_form_of_the_file_do_not_change_the_id(frame, log, tmp_path):
    shuffled = read(frame.sample(frac=1, random_state=1))
    frame.to_csv(tmp_path / "deals.csv", index=False)
    frame.to_parquet(tmp_path / "deals.parquet")
    digests = {content_digest(one) for one in (log, shuffled, read(tmp_path / "deals.csv"), read(tmp_path / "deals.parquet"))}
    assert len(digests) == 1


def test_question_definition_and_seed_are_in_the_id_and_the_version_is_not(log):
    made = fs.quantity(log, "overall_rate", seed=1).card
    others = [fs.quantity(log, "overall_rate", seed=2).card, fs.quantity(log, "overall_rate", seed=1, prob=0.5).card,
              fs.quantity(log, "win_rate_of_decided", seed=1).card, fs.quantity(log, "overall_rate", seed=1, label="x").card,
              fs.quantity(log, "from_start_rate", seed=1, stage="Talk").card]  # fmt: skip
    assert len({made.id, *(one.id for one in others)}) == 6
    assert identify(replace(made, version="9.9", values=())) == made.id
    assert fs.quantity(log, "overall_rate", seed=1).card == made


def test_end_of_observation_and_order_of_stages_are_in_the_id(frame, log):
    made = fs.quantity(log, "overall_rate", seed=1).card
    assert fs.quantity(read(frame, as_of="2026-06-29"), "overall_rate", seed=1).card.id != made.id


def test_amounts_are_described_as_pandas_does(frame, log):
    won = frame[frame["id"].isin(frame.loc[frame["step"] == "Won", "id"])].drop_duplicates("id")
    found = log.won_amounts("owner").set_index("owner")
    expected = won.groupby("who")["worth"].agg(["count", "mean", "std", "sum"])
    np.testing.assert_allclose(found[["n", "mean", "sd", "total"]].to_numpy(float), expected.to_numpy(float), rtol=1e-12)
    assert log.won_amounts()["n"].tolist() == [len(won)]


@pytest.mark.parametrize("name", [name for name in QUANTITIES if name not in SAMPLED])
def test_every_quantity_gives_a_card_that_comes_back_from_json(log, name):
    data = fs.Transactions.of("bundled:cdnow") if of_orders(name) else log
    settings = {"as_of": "1997-09-30", "draws": 100} if of_orders(name) else {}
    made = fs.quantity(data, name, seed=1, **settings).card
    assert made.reason or np.isfinite(made.point)
    text = cards_json([made])
    assert fs.Card.from_dict(json.loads(text)["cards"][0]) == made
    assert cards_json([fs.quantity(data, name, seed=1, **settings).card]) == text  # two runs, the same bytes
    for item in ("0 goal", "1 data", "1 likelihood and parameters", "1 priors", "2 computation", "2 convergence", "3 posterior"):
        assert made.checklist()[item], item


def test_card_carries_the_numbers_of_the_estimate(log):
    rate = fs.overall_rate(log.stages(), seed=4)
    made = card(rate, name="won", source=log, seed=4)
    frame = log.stages().frame
    assert (made.values[0].point, made.values[0].lower, made.values[0].upper) == (rate.point, rate.lower, rate.upper)
    assert made.values[0].quantiles[PROBS.index(0.5)] == np.quantile(rate.draws, 0.5)
    assert made.n == frame["entered"].iloc[0]
    assert made.censored == frame["open"].sum()
    assert made.as_of == "2026-06-30"


def test_value_of_customers_is_by_the_model_that_was_asked_for():
    book, asked = fs.Transactions.of("bundled:cdnow"), {"seed": 1, "as_of": "1997-09-30", "draws": 100, "margin": 0.3}
    found = {name: fs.quantity(book, "customers_value", model=name, **asked) for name in ("BG/NBD", "MBG/NBD")}
    assert found["MBG/NBD"].card.id != found["BG/NBD"].card.id
    data = book.customers(unit="week", as_of="1997-09-30")
    monthly = 1.1 ** (1 / 12) - 1
    fits = fs.BgNbd().fit(data, seed=1, draws=100), fs.GammaGamma().fit(data, seed=1, draws=100)
    by_hand = fs.lifetime_value(*fits, horizon=12, period="month", discount_rate=monthly, margin=0.3).total()
    assert found["BG/NBD"].estimate.point == by_hand.point
    assert "seed = 1, model = 'BG/NBD', as_of = '1997-09-30', draws = 100, margin = 0.3" in found["BG/NBD"].card.text()
    with pytest.raises(fs.DataError, match=r"model: expected one of BG/NBD, MBG/NBD, Pareto/NBD, found 'BGNBD'"):
        fs.quantity(book, "customers_value", model="BGNBD", **asked)


def test_bottleneck_compares_the_team_with_its_members_on_the_same_trials(log, frame):
    """Young deals count neither for the team nor for the benchmark; else a stage would fall short for being young."""
    counts = log.stages("owner")
    steps = fs.pooled_steps(counts, seed=1)
    by_hand = fs.bottleneck(fs.whole_team(steps, counts), benchmark=fs.best_decile(steps, group="owner"))
    for stage in ("Lead", "Talk"):
        gain = fs.quantity(log, "bottleneck_gain", seed=1, stage=stage).estimate
        assert gain.point == pytest.approx(by_hand.gain.sel(stage=stage).point, rel=1e-12)
    talks = frame[frame["step"] == "Talk"]
    young = talks.assign(id="Y" + talks["id"], on=pd.Timestamp("2026-06-29"))
    more = read(pd.concat([frame, young, young.assign(step="Lead", on=pd.Timestamp("2026-06-28"))]))
    assert int(more.stages().frame.set_index("stage").loc["Talk", "maturing"]) >= len(young)
    gains = [fs.quantity(one, "bottleneck_gain", seed=1, stage="Talk").estimate.point for one in (log, more)]
    assert gains[1] == pytest.approx(gains[0], rel=0.1)


def test_every_source_is_in_the_digest_whatever_stands_first(log, frame):
    """A value per lead rests on the funnel and on the order book; either may change."""
    book = fs.Transactions.of(pd.DataFrame({"customer": ["A", "B"], "date": ["2026-01-01"] * 2, "amount": [1.0, 2.0]}))
    more = fs.Transactions.of(pd.DataFrame({"customer": ["A", "B"], "date": ["2026-01-01"] * 2, "amount": [1.0, 3.0]}))
    rate = fs.overall_rate(log.stages(), seed=4)
    sources = [(log, book), (log, more), (read(frame.iloc[1:]), book), (log,), (book,)]
    assert len({card(rate, name="x", source=source).data_sha256 for source in sources}) == len(sources)
    assert card(rate, name="x", source=(log, log)).data_sha256 == content_digest(log)


def test_of_several_fits_the_worst_verdict_counts_in_any_order():
    few = fs.Customers.of([1, 2, 0, 3], [5.0, 9.0, 0.0, 11.0], [20.0] * 4, unit="week", monetary_value=[5.0, 9.0, 0.0, 4.0])
    good = fs.BetaBinomial().fit(fs.Trials.of([3, 5, 4, 6], [20, 30, 25, 31]), seed=1)
    bad = fs.GammaGamma().fit(few, seed=1, draws=100)
    assert (good.diagnosis.verdict, bad.diagnosis.verdict) == ("PASS", "REVIEW")
    for fits in ((good, bad), (bad, good)):
        made = card(fs.Estimate.of([1.0, 2.0], description="x"), name="x", source=fits)
        assert made.verdict == "REVIEW"
        assert made.diagnosis == str(bad.diagnosis)
        assert made.model == "; ".join(fit.record.model for fit in fits)


def test_value_per_lead_is_the_product_of_rate_and_amount(log):
    worth, rate, each = (fs.quantity(log, name, seed=5, **more).estimate for name, more in (
        ("value_per_lead", {}), ("overall_rate", {"draws": 1000, "chains": 4}), ("mean_amount", {})))  # fmt: skip
    np.testing.assert_allclose(worth.draws, rate.draws * each.draws)


def test_rate_from_the_start_is_the_overall_rate_of_the_shorter_funnel(log):
    counts = log.stages().frame.set_index("stage")["entered"]
    assert fs.quantity(log, "from_start_rate", seed=1, stage="Talk").estimate.point == counts["Talk"] / counts["Lead"]
    whole = fs.quantity(log, "from_start_rate", seed=1).estimate
    assert whole.point == fs.quantity(log, "overall_rate", seed=1).estimate.point


def test_several_numbers_are_one_card_with_labels(log):
    made = card(fs.step_rates(log.stages(), seed=1), name="steps", source=log)
    assert [one.label for one in made.values] == ["Lead", "Talk"]
    assert made.point is None
    assert made.said.startswith("Lead: ")


def test_what_is_not_identified_gets_a_card_that_says_so():
    none = fs.NotIdentified("the slope", "M is constant")
    made = card(none, name="slope")
    assert made.text().startswith("The slope: not identified: M is constant.")
    assert "Not identified: M is constant" in made.bibtex()
    assert made.values == ()


def test_a_failed_diagnosis_blocks_citation(log):
    made = card(fs.overall_rate(log.stages(), seed=1), name="won", source=log, verdict="FAIL", diagnosis="FAIL (NUTS): R-hat 1.4")
    assert not made.citable
    assert "MAY NOT BE CITED. The diagnosis failed: FAIL (NUTS): R-hat 1.4." in made.text()
    for refused in (made.bibtex, made.csl):
        with pytest.raises(fs.DataError, match="may not be cited"):
            refused()


def test_fit_tells_the_card_its_model_priors_and_verdict(log):
    fit = fs.BetaBinomial().fit(fs.Trials.of([3, 5, 9], [30, 40, 50], labels="abc"), seed=2)
    made = card(fit.population_rate(), name="population", source=fit)
    assert (made.model, made.seed, made.method) == ("BetaBinomial", 2, "quadrature")
    assert made.priors[0].startswith("mean ~ beta(a=1, b=1)")
    assert made.data_sha256 == fit.record.data_digest
    assert made.diagnosis == str(fit.diagnosis)
    named = card(fit.population_rate(), name="population", source=(log, fit))
    assert named.data_sha256 == content_digest(log)


def test_bibtex_escapes_what_latex_would_read_and_dates_by_the_cut(log):
    made = card(fs.overall_rate(log.stages(), seed=1).described("50% of R&D_leads"), name="won", source=log)
    entry = made.bibtex(author="Ann & Bo")
    assert r"title   = {50\% of R\&D\_leads}" in entry
    assert "year    = {2026}" in entry
    assert r"author  = {Ann \& Bo}" in entry
    assert made.csl()["issued"] == {"date-parts": [[2026, 6, 30]]}


def test_folder_of_the_file_is_not_on_the_card(frame, tmp_path):
    folder = tmp_path / "secret customer"
    folder.mkdir()
    frame.to_csv(folder / "deals.csv", index=False)
    made = fs.quantity(read(folder / "deals.csv"), "mean_amount", seed=1).card
    assert "secret customer" not in cards_json([made])
    assert made.recipe["source"] == "deals.csv"


def test_shelf_finds_by_beginning_and_by_name_and_says_what_there_is(log, tmp_path):
    cards = [fs.quantity(log, "overall_rate", seed=1, label=name).card for name in ("one", "two")]
    (tmp_path / "cards.json").write_text(cards_json(cards))
    shelf = Shelf.of(tmp_path)
    assert shelf.find(cards[0].id[3:9]) == shelf.find("one") == cards[0]
    with pytest.raises(fs.DataError, match=r"no card is called 'three'.*\(two\)"):
        shelf.find("three")
