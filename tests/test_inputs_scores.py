"""What is refused, and how it is said: roles that do not fit, leaks, separation, files that are not the ones meant."""

import gzip
import http.server
import io
import threading
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.cases import Cases, read_cases
from funnelstats.data.public import PUBLIC, PublicSet, checked, digest_of, load_public, parsed, public_set
from funnelstats.data.transactions import Transactions
from funnelstats.decisions.credit import loss_given_default
from funnelstats.decisions.exploration import simulate_exploration
from funnelstats.decisions.offers import rank_offers
from funnelstats.errors import DataError, FitError, LeakageWarning
from funnelstats.estimate import NotIdentified
from funnelstats.models.hierarchical_scores import HierarchicalScore
from funnelstats.models.scores import LogisticScore
from funnelstats.models.scoring import score_table
from funnelstats.report.score_figures import plot_calibration

RNG = np.random.default_rng(2)
FRAME = pd.DataFrame({f"x{place}": RNG.standard_normal(600) for place in range(5)} | {"kind": RNG.choice(["a", "b"], 600)})
FRAME["yes"] = np.where(RNG.random(600) < 1 / (1 + np.exp(1 - 0.5 * FRAME["x0"])), "yes", "no")
FRAME["minutes"] = np.where(FRAME["yes"] == "yes", 3.0, 1.0) + RNG.standard_normal(600)
FEATURES = [f"x{place}" for place in range(5)]


def test_roles_are_checked_all_at_once():
    with pytest.raises(DataError) as caught:
        Cases.of(FRAME, outcome="yes", features=["x0", "x9", "minutes"], known_after=["minutes"], segment="nobody")
    assert [problem.where for problem in caught.value.problems] == ["x9", "nobody", "minutes"]
    with pytest.raises(DataError, match=r"expected yes or no in every row, found \['a', 'b'\]"):
        Cases.of(FRAME, outcome="kind", features=["x0"])
    with pytest.raises(DataError, match=r"outcome: which column is it.*\n.*features: which"):
        read_cases(FRAME)
    with pytest.raises(DataError, match="public:bank"):
        read_cases("no such file.csv")


def test_a_file_is_read_with_its_roles(tmp_path):
    FRAME.to_csv(tmp_path / "calls.csv", index=False, sep=";")
    cases = read_cases(tmp_path / "calls.csv", outcome="yes", features=FEATURES, known_after=["minutes"])
    assert cases.outcome.sum() == (FRAME["yes"] == "yes").sum()
    with pytest.raises(DataError, match="no column of time"):
        cases.split(seed=1, by="time")


def test_what_is_known_after_is_refused_and_what_looks_like_it_is_warned_of():
    cases = Cases.of(FRAME, outcome="yes", features=FEATURES, known_after=["minutes"])
    for model in (LogisticScore, HierarchicalScore):
        with pytest.raises(DataError, match="minutes: is known only after the outcome"):
            model(features=[*FEATURES, "minutes"]).fit(cases, seed=1)
    unnamed = Cases.of(FRAME, outcome="yes", features=[*FEATURES, "minutes"])
    with pytest.warns(LeakageWarning, match="'minutes' alone holds"):
        LogisticScore().fit(unnamed, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = LogisticScore(exclude=["minutes"]).fit(unnamed, seed=1)
    assert "minutes" not in fit.data.design.columns


def test_separation_is_named_not_estimated():
    frame = FRAME.assign(code=np.where(FRAME["yes"] == "yes", RNG.choice(["p", "q"], 600), "q"))
    with pytest.raises(FitError, match=r"code: level 'p' has \d+ yes of \d+: its coefficient has no finite value"):
        LogisticScore().fit(Cases.of(frame, outcome="yes", features=["x0", "code"]), seed=1)
    frame = FRAME.assign(score=np.where(FRAME["yes"] == "yes", 1, -1) * (1 + RNG.random(600)))
    with pytest.raises(FitError, match="score: a threshold parts yes from no"):
        LogisticScore().fit(Cases.of(frame, outcome="yes", features=["score"]), seed=1)
    side = RNG.standard_normal(600)
    frame = FRAME.assign(one=side, two=np.where(FRAME["yes"] == "yes", 1, -1) * (0.1 + RNG.random(600)) - side)  # only together
    with pytest.raises(FitError, match="without exception"):
        LogisticScore().fit(Cases.of(frame, outcome="yes", features=["one", "two"]), seed=1)
    with pytest.raises(FitError, match="expected yes and no, found 0 yes of"):
        LogisticScore().fit(Cases.of(FRAME.assign(yes="no"), outcome="yes", features=["x0"]), seed=1)


def test_columns_that_follow_from_others_are_named_and_held():
    frame = FRAME.assign(twice=2 * FRAME["x0"])
    fit = LogisticScore().fit(Cases.of(frame, outcome="yes", features=["x0", "twice"]), seed=1)
    assert fit.diagnose().verdict == "REVIEW"
    assert "twice" in str(fit.diagnose())
    alone = LogisticScore().fit(Cases.of(frame, outcome="yes", features=["x0"]), seed=1)
    np.testing.assert_allclose(fit.scores(frame)["probability"], alone.scores(frame)["probability"], atol=1e-8)


def test_scores_and_offers_refuse_what_they_cannot_answer():
    cases = Cases.of(FRAME, outcome="yes", features=FEATURES)
    with pytest.raises(DataError, match="found shape"):
        score_table({"short": [0.5]}, cases, base=0.3)
    with pytest.raises(DataError, match="expected probabilities"):
        score_table({"odds": np.full(600, 2.0)}, cases, base=0.3)
    with pytest.raises(DataError, match=r"segment: which column.*\n.*offer: which column"):
        rank_offers(cases, seed=1)
    with pytest.raises(DataError, match="two offers or more"):
        rank_offers(Cases.of(FRAME.assign(offer="A"), outcome="yes", features=["x0"], segment="kind", offer="offer"), seed=1)
    with pytest.raises(DataError, match=r"expected one of \['a', 'b'\], found 'c'"):
        rank_offers(
            Cases.of(
                FRAME.assign(offer=RNG.choice(["A", "B"], 600)), outcome="yes", features=["x0"], segment="kind", offer="offer"
            ),
            seed=1,
        ).next_offer("c", seed=1)
    with pytest.raises(DataError, match=r"rates: expected probabilities.*\n.*visits: expected at least 1.*\n.*policies"):
        simulate_exploration({"A": 0.5, "B": 1.5}, visits=0, seed=1, policies=["best"])
    assert isinstance(loss_given_default([1.0] * 3, [0.5] * 3, seed=1), NotIdentified)
    with pytest.raises(DataError, match="expected 1 to 5, found 0"):
        plot_calibration({})


# -- public files: small made ones stand for the real -----------------------------------------------------------------

TABLE = pd.DataFrame(
    {"age": [30, 41, 55], "rate": [1.5, 2.0, 0.25], "weekend": ["TRUE", "FALSE", "TRUE"], "y": ["yes", "no", "no"]}
)
SPEC = PublicSet(names=("calls.csv", "calls-full.csv"), digest=digest_of(TABLE), rows=3, outcome="y", yes=1, source="made for this test",
                 roles={"outcome": "y", "features": ("age",)})  # fmt: skip


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_csv", ".csv").replace("_zip", ".zip"), content)
    return buffer.getvalue()


@pytest.fixture
def serve():
    """Serve bytes on the loopback interface."""
    servers = []

    def start(content):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/archive"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_same_table_however_it_is_written_has_one_digest():
    comma = TABLE.to_csv(index=False).encode()
    others = [TABLE.to_csv(index=False, sep=";", quoting=2).encode(), gzip.compress(comma),
              TABLE.assign(weekend=[True, False, True], age=TABLE["age"].astype(float)).to_csv(index=False).encode()]  # fmt: skip
    assert {digest_of(parsed(content)) for content in [comma, *others]} == {SPEC.digest}
    assert digest_of(TABLE.assign(age=[30, 41, 56])) != SPEC.digest
    assert digest_of(TABLE.iloc[::-1]) != SPEC.digest


def test_copies_are_found_and_checked(tmp_path, monkeypatch):
    monkeypatch.delenv("FUNNELSTATS_PUBLIC", raising=False)
    (tmp_path / "calls-full.csv.gz").write_bytes(gzip.compress(TABLE.to_csv(index=False, sep=";").encode()))
    assert len(load_public(SPEC, folder=tmp_path, cache=tmp_path / "none")) == 3
    monkeypatch.setenv("FUNNELSTATS_PUBLIC", str(tmp_path))
    assert len(load_public(SPEC, cache=tmp_path / "none")) == 3
    with pytest.raises(DataError, match="content: expected SHA-256"):
        checked(TABLE.assign(rate=[1.5, 2.0, 0.26]), SPEC)
    with pytest.raises(DataError, match=r"rows: expected 3, found 2\n  y: expected 1 with yes, found 0"):
        checked(TABLE.iloc[1:], SPEC)


def test_a_download_is_unpacked_checked_and_kept(tmp_path, serve, monkeypatch):
    monkeypatch.delenv("FUNNELSTATS_PUBLIC", raising=False)
    inner = zipped(bank__calls_csv=b"age;y\n1;no\n", **{"calls-full_csv": TABLE.to_csv(index=False, sep=";").encode()})
    wrong = replace(SPEC, url=serve(zipped(names_csv=b"a;b\n1;2\n")))
    with pytest.raises(DataError, match="in the archive, found none"):
        load_public(wrong, cache=tmp_path)
    spec = replace(SPEC, names=("calls-full.csv",), url=serve(zipped(more_zip=inner, readme=b"x")))
    assert load_public(spec, cache=tmp_path)["rate"].tolist() == [1.5, 2.0, 0.25]
    assert [path.name for path in tmp_path.iterdir()] == ["calls-full.csv"]
    assert len(load_public(replace(spec, url="http://127.0.0.1:9/gone"), cache=tmp_path)) == 3  # nothing is fetched twice
    spoilt = replace(spec, digest="0" * 64, url=serve(zipped(more_zip=inner)))
    with pytest.raises(DataError, match="some cells differ"):
        load_public(spoilt, cache=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_server_that_does_not_answer_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.delenv("FUNNELSTATS_PUBLIC", raising=False)
    with pytest.raises(DataError, match=r"did not answer.*FUNNELSTATS_PUBLIC"):
        load_public(replace(SPEC, url="http://127.0.0.1:9/nobody"), cache=tmp_path)
    with pytest.raises(DataError, match=r"no address to fetch it from"):
        load_public(SPEC, cache=tmp_path)
    with pytest.raises(DataError, match="expected one of bank"):
        public_set("public:banks")


def test_published_counts_of_the_public_sets_stand_in_the_table():
    found = {name: (spec.rows, spec.yes) for name, spec in PUBLIC.items()}
    assert found == {"bank": (45_211, 5_289), "bank_additional": (41_188, 4_640), "shoppers": (12_330, 1_908),
                     "online_retail": (22_190, 0), "online_retail_ii": (44_876, 0)}  # fmt: skip
    assert all(len(spec.digest) == 64 for spec in PUBLIC.values())
    assert "duration" in PUBLIC["bank"].roles["known_after"]


def test_public_orders_are_transactions(tmp_path, monkeypatch):
    orders = pd.DataFrame(
        {
            "customer_id": [1, 1, 2],
            "invoice": ["a", "b", "c"],
            "date": ["2020-01-01", "2020-02-01", "2020-01-05"],
            "value": [5.0, 7.5, -1.0],
        }
    )
    made = PublicSet(names=("orders.csv",), digest=digest_of(orders), rows=3, source="made", currency="GBP", as_of="2020-03-01")
    monkeypatch.setitem(PUBLIC, "made_orders", made)
    orders.to_csv(tmp_path / "orders.csv", index=False)
    monkeypatch.setenv("FUNNELSTATS_PUBLIC", str(tmp_path))
    read = Transactions.of("public:made_orders")
    assert (read.currency, read.as_of, read.customers(unit="day").repeaters) == ("GBP", "2020-03-01", 1)
