"""Do the intervals of the customer models hold the truth? Parametric bootstraps: histories drawn from a fit, and fitted again.

The truth of each repetition is one draw of a fit to published data (CDNOW, donors, a contractual cohort), so that it wanders over what these data allow.
"""

import time
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.data.customers import Customers
from funnelstats.data.datasets import load_dataset
from funnelstats.data.transactions import Transactions
from funnelstats.models.occasions import BgBb
from funnelstats.models.purchases import BgNbd, MbgNbd, ParetoNbd
from funnelstats.models.retention import Renewals, ShiftedBetaGeometric
from funnelstats.models.spend import GammaGamma

MODELS = {
    "BG/NBD": BgNbd(), "MBG/NBD": MbgNbd(), "Pareto/NBD": ParetoNbd(), "Gamma-Gamma": GammaGamma(),
    "BG/BB": BgBb(), "sBG": ShiftedBetaGeometric(),
}  # fmt: skip
DRAWS = 250


@cache
def published(name: str) -> Any:
    """Return the fit whose draws are the truths."""
    if name == "sBG":
        data: Any = Renewals.of_survival([1, 0.869, 0.743, 0.653, 0.593, 0.551, 0.517, 0.491], customers=1000)
    elif name == "BG/BB":
        rows = load_dataset("donations")
        data = Customers.of(rows["frequency"], rows["recency"], rows["periods"], unit="year", weight=rows["donors"])
    else:
        data = Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30")
    return MODELS[name].fit(data, seed=1, method="mle", draws=DRAWS)


def bootstrap(name: str, repetitions: int, method: str) -> pd.DataFrame:
    """One row for each repetition and parameter: the distance in standard errors, and whether the 90 % interval held the truth."""
    truth, rows = published(name), []
    for seed in range(repetitions):
        real = truth.one_draw(seed)
        fit = MODELS[name].fit(truth.simulate(seed=seed), seed=seed, method=method, draws=DRAWS)
        summary = fit.summary()
        at_edge = fit.diagnose().verdict != "PASS"
        for parameter, row in summary.iterrows():
            value = float(real[str(parameter)])
            free = np.log(fit.parameters()[parameter].values)
            spread = free.std() or np.nan  # a maximum at the boundary has no spread; its diagnosis says so
            rows.append({"parameter": parameter, "distance": (free.mean() - np.log(value)) / spread,
                         "held": row["lower"] <= value <= row["upper"], "edge": at_edge})  # fmt: skip
    return pd.DataFrame(rows)


def judged(name: str, repetitions: int, method: str) -> list[list[str]]:
    """One row for each parameter: median distance, coverage, and how often the diagnosis was not PASS."""
    found = bootstrap(name, repetitions, method).groupby("parameter", sort=False)
    return [[name, str(parameter), f"{part['distance'].median():+.2f}", f"{part['held'].mean():.1%}", f"{part['edge'].mean():.0%}"]
            for parameter, part in found]  # fmt: skip


def against_nuts() -> list[list[str]]:
    """CDNOW by NUTS (two chains of 500 draws) and by the corrected normal: the distance of the means in standard deviations, and the ratio of these."""
    data, rows = Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30"), []
    for name in ("BG/NBD", "MBG/NBD", "Pareto/NBD", "Gamma-Gamma"):
        start = time.perf_counter()
        nuts = MODELS[name].fit(data, seed=1, method="mcmc", draws=500, chains=2, tune=500).summary()
        seconds, normal = time.perf_counter() - start, MODELS[name].fit(data, seed=2, draws=2000).summary()
        gap, ratio = (nuts["mean"] - normal["mean"]) / normal["sd"], nuts["sd"] / normal["sd"]
        rows += [
            [name, str(at), f"{gap[at]:+.3f}", f"{ratio[at]:.3f}", f"{nuts['ess'][at]:,.0f}", f"{seconds:.0f}"]
            for at in gap.index
        ]
    return rows
