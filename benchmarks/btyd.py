"""Customers from transactions, and what they will buy: this package beside hand-written DuckDB SQL, pandas, lifetimes and pymc-marketing.

*Summary.* Frequency, recency, age and mean value of each customer from a Parquet order book, purchases of one day merged. *Fits.* Maximum likelihood
(pymc-marketing: its ``map``, which has priors) on the same histories in days, each as its package keeps them; the parameters stand beside the times.
*Customers* is what it takes this package to check histories, copy them and take their SHA-256 before the first fit. *Posterior* is this package's
Laplace draws, importance-weighted. *Value* is a table with mean and interval of the discounted value of every customer over 12 months, fits not
included in the time. At 100,000 customers and more the peers' Pareto/NBD takes minutes to hours, and was not run. The peers run in an environment of
their own, as they ask for older packages: `python -m benchmarks btyd --peer PYTHON` with an interpreter that has lifetimes 0.11, setuptools below 80
and pymc-marketing. Every contender has a fresh process and one thread for linear algebra; the median of the calls after the first counts: three of
this package's and one of a peer's, and more until two seconds are over.
"""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import THREADS, Timing, in_child, load, machine, report, timed

SUMMARIES = (1_000_000, 10_000_000)
CUSTOMERS = (2_357, 100_000, 1_000_000)
REPEATS = 3
LASTING = 2.0
AS_OF = "1998-12-31"


# -- one row for each customer ---------------------------------------------------------------------------------------------
def summary_ours(path: str) -> Any:
    """Through the engine, checks included."""
    from funnelstats.data.transactions import Transactions

    found = Transactions.of(path).customers(unit="day", as_of=AS_OF)
    return [found.n, int(found.frequency.sum()), float(found.T.sum())]


def summary_sql(path: str) -> Any:
    """Two groupings, fetched as arrays."""
    import duckdb

    days = f"select customer, \"at\"::date as day, sum(amount) as amount from '{path}' group by all"
    people = f"""select customer, count(*) - 1 as x, max(day) - min(day) as recency, '{AS_OF}'::date - min(day) as age,
                 sum(amount) - arg_min(amount, day) as value from ({days}) group by customer order by customer"""
    found = duckdb.connect(config={"threads": THREADS}).execute(people).fetchnumpy()
    return [len(found["x"]), int(found["x"].sum()), float(found["age"].sum())]


def summary_pandas(path: str) -> Any:
    """As a pandas user would."""
    import pandas as pd

    frame = pd.read_parquet(path)
    frame["day"] = frame["at"].dt.normalize()
    days = frame.groupby(["customer", "day"], as_index=False)["amount"].sum()
    people = days.groupby("customer").agg(n=("day", "size"), first=("day", "min"), last=("day", "max"), value=("amount", "sum"))
    age = (pd.Timestamp(AS_OF) - people["first"]).dt.days
    return [len(people), int((people["n"] - 1).sum()), float(age.sum())]


def summary_lifetimes(path: str) -> Any:
    """``summary_data_from_transaction_data``."""
    import pandas as pd
    from lifetimes.utils import summary_data_from_transaction_data as summary

    found = summary(pd.read_parquet(path), "customer", "at", "amount", observation_period_end=AS_OF)
    return [len(found), int(found["frequency"].sum()), float(found["T"].sum())]


def summary_pymc_marketing(path: str) -> Any:
    """``rfm_summary``, whose frequency and recency are those of lifetimes."""
    import pandas as pd
    from pymc_marketing.clv.utils import rfm_summary

    found = rfm_summary(pd.read_parquet(path), "customer", "at", "amount", observation_period_end=AS_OF)
    return [len(found), int(found["frequency"].sum()), float(found["T"].sum())]


_TABLES: dict[str, Any] = {}
_CUSTOMERS: dict[str, Any] = {}


def _table(path: str) -> Any:
    import pandas as pd

    if path not in _TABLES:
        _TABLES[path] = pd.read_parquet(path)
    return _TABLES[path]


# -- fits ------------------------------------------------------------------------------------------------------------------
def customers_ours(path: str) -> Any:
    """Check, copy and take the SHA-256."""
    from funnelstats.data.customers import Customers

    table = _table(path)
    return Customers.of(table["frequency"], table["recency"], table["T"], unit="day", monetary_value=table["monetary_value"])


def _ours(path: str, model: str, method: str) -> Any:
    from funnelstats.models.purchases import BgNbd, ParetoNbd
    from funnelstats.models.spend import GammaGamma

    if path not in _CUSTOMERS:
        _CUSTOMERS[path] = customers_ours(path)
    data = _CUSTOMERS[path]
    fit = {"BG/NBD": BgNbd, "Pareto/NBD": ParetoNbd, "Gamma-Gamma": GammaGamma}[model]().fit(
        data, seed=1, method=method, draws=1000
    )  # type: ignore[operator]
    return {name: float(values.values.mean()) for name, values in fit.parameters().data_vars.items()}


def _lifetimes(path: str, model: str) -> Any:
    import lifetimes

    table = _table(path)
    if model == "Gamma-Gamma":
        back = table[table["frequency"] > 0]
        fitter = lifetimes.GammaGammaFitter().fit(back["frequency"], back["monetary_value"])
    else:
        fitter = {"BG/NBD": lifetimes.BetaGeoFitter, "Pareto/NBD": lifetimes.ParetoNBDFitter}[model]()
        fitter.fit(table["frequency"], table["recency"], table["T"])
    return {name: float(value) for name, value in fitter.params_.items()}


def _pymc_marketing(path: str, model: str) -> Any:
    from pymc_marketing import clv

    table = _table(path).rename_axis("customer_id").reset_index()
    if model == "Gamma-Gamma":
        table = table[table["frequency"] > 0]
    kind = {"BG/NBD": clv.BetaGeoModel, "Pareto/NBD": clv.ParetoNBDModel, "Gamma-Gamma": clv.GammaGammaModel}[model]
    fitted = kind()
    fitted.fit(table, method="map", progressbar=False)
    names = {"BG/NBD": ("r", "alpha", "a", "b"), "Pareto/NBD": ("r", "alpha", "s", "beta"), "Gamma-Gamma": ("p", "q", "v")}[model]
    return {name: float(fitted.fit_result[name].mean()) for name in names}


_FITS: dict[str, Any] = {}


def value_ours(path: str) -> Any:
    """Value every customer; the two fits are made once, before the first call is over."""
    from funnelstats.decisions.lifetime_value import lifetime_value
    from funnelstats.models.purchases import BgNbd
    from funnelstats.models.spend import GammaGamma

    if path not in _FITS:
        data = customers_ours(path)
        _FITS[path] = BgNbd().fit(data, seed=1), GammaGamma().fit(data, seed=1)
    found = lifetime_value(*_FITS[path], horizon=12, margin=0.3, discount_rate=0.01, period="month").table()
    return {"mean value": float(found["mean"].mean())}


MODELS = ("BG/NBD", "Pareto/NBD", "Gamma-Gamma")
PEERS = ("lifetimes", "pymc-marketing")
TASKS: dict[str, Any] = {
    "summary funnelstats": summary_ours, "summary DuckDB SQL by hand": summary_sql, "summary pandas": summary_pandas,
    "summary lifetimes": summary_lifetimes, "summary pymc-marketing": summary_pymc_marketing, "value funnelstats": value_ours,
    "customers funnelstats": lambda path: customers_ours(path).n,
    **{f"{model} funnelstats": lambda path, model=model: _ours(path, model, "mle") for model in MODELS},
    **{f"{model} funnelstats, posterior": lambda path, model=model: _ours(path, model, "laplace") for model in MODELS},
    **{f"{model} lifetimes": lambda path, model=model: _lifetimes(path, model) for model in MODELS},
    **{f"{model} pymc-marketing": lambda path, model=model: _pymc_marketing(path, model) for model in MODELS},
}  # fmt: skip


def _measure(name: str, path: Path, peer: str) -> Timing | None:
    if not name.endswith(PEERS):
        return in_child("benchmarks.btyd", "--child", name, str(path), str(REPEATS))
    try:
        return in_child("benchmarks.btyd", "--child", name, str(path), "1", python=peer) if peer else None
    except subprocess.CalledProcessError:
        return None


def _versions(peer: str) -> str:
    """Name what the peers' environment holds."""
    if not peer:
        return ""
    code = "from importlib.metadata import version; print(*(f'{n} {version(n)}' for n in ('lifetimes', 'pymc-marketing', 'pymc', 'pandas')), sep=', ')"
    return f"Peers: {subprocess.run([peer, '-c', code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()}. "


def _rows(kind: str, size: int, path: Path, names: list[str], peer: str) -> list[list[str]]:
    found = {name: _measure(f"{kind} {name}", path, peer) for name in names}
    base, rows = found["funnelstats"], []
    assert base is not None
    for name, timing in found.items():
        if timing is None:
            rows.append([kind, f"{size:,}", name, "not run", "", "", ""])
            continue
        result = timing.result
        shown = ", ".join(f"{key} {value:.4g}" for key, value in result.items()) if isinstance(result, dict) else ""
        rows.append(
            [kind, f"{size:,}", name, f"{timing.median:.3f}", f"{timing.median / base.median:.1f}", f"{timing.peak:.2f}", shown]
        )
        if isinstance(result, list) and result != base.result:
            rows[-1][-1] = f"{result[0]:,} customers, {result[1]:,} repeats, others {base.result[0]:,} and {base.result[1]:,}"
    print("\n".join(" | ".join(row) for row in rows), flush=True)
    return rows


def main(arguments: list[str]) -> None:
    """Measure summaries and fits; ``--peer PYTHON`` adds the peers."""
    if arguments[:1] == ["--child"]:
        _, name, path, repeats = arguments
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            report(timed(lambda: TASKS[name](path), repeats=int(repeats), lasting=LASTING))
        return
    from benchmarks.document import markdown_table, write_section
    from benchmarks.orders import write_histories, write_orders

    peer = arguments[arguments.index("--peer") + 1] if "--peer" in arguments else ""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SUMMARIES:
            path = Path(folder) / f"orders_{size}.parquet"
            write_orders(path, rows=size)
            rows += _rows("summary", size, path, ["funnelstats", "DuckDB SQL by hand", "pandas", *PEERS], peer)
        for size in CUSTOMERS:
            path = Path(folder) / f"histories_{size}.parquet"
            write_histories(path, customers=size)
            rows += _rows("customers", size, path, ["funnelstats"], peer)
            for model in MODELS:
                peers = () if model == "Pareto/NBD" and size > min(CUSTOMERS) else PEERS  # they take minutes, and hours
                rows += _rows(model, size, path, ["funnelstats", "funnelstats, posterior", *peers], peer)
            rows += _rows("value", size, path, ["funnelstats"], peer)
    header = ["task", "rows or customers", "contender", "warm, s", "ratio to funnelstats", "peak, GB", "parameters"]
    table = markdown_table(header, [[row[0], *row[1:]] for row in rows])
    about = f"{machine('duckdb', 'ibis-framework', 'scipy', 'pandas')} {_versions(peer)}{load()}"
    body = f"{' '.join((__doc__ or '').split())}\n\n{about}\n\n{table}"
    write_section("btyd", "Customers: summaries and fits", body)


if __name__ == "__main__":
    main(sys.argv[1:])
