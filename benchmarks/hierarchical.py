"""Partial pooling: exchangeable groups beside `pm.sample` on the same posterior, and crossed effects on several steps.

*Exchangeable.* Beta-binomial groups: this package integrates on a grid; ``pm.sample`` with its defaults (two chains at a time) is given the
same priors and likelihood with the rates integrated out, one row for each group, as a user would write it. Both return 4,000 draws of mean and
concentration, and the ratio is of these; the rates of all groups, a beta draw for each group and draw, are timed apart, and ``pm.sample`` does not draw them.
An effective draw is the smaller bulk effective sample size of mean and log concentration; compilation counts, because a new data set is a new model
(a second run on one machine finds some of it in PyTensor's cache on disk). *Crossed.* 200 consultants by 3 channels by
4 steps, 4 chains of 1,000 draws, one after another, by this package's own density.
bambi has a logit-normal model of the same groups and runs in an environment of its own: `python -m benchmarks hierarchical --peer PYTHON`.
One process, one thread for linear algebra.
"""

import os
import subprocess
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.document import markdown_table, write_section
from benchmarks.measure import in_child, load, machine
from funnelstats.data.stages import StageCounts
from funnelstats.inference.diagnose import convergence
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.trials import Trials

SIZES = (20, 200, 2_000, 20_000)
STEPS, CHANNELS = 4, 3
DRAWS = 4_000


def exchangeable(groups: int) -> Trials:
    """Groups with rates from Beta(3, 7) and 5 to 60 trials."""
    rng = np.random.default_rng(groups)
    trials = rng.integers(5, 60, groups)
    return Trials.of(rng.binomial(trials, rng.beta(3, 7, groups)), trials)


def by_quadrature(trials: Trials) -> tuple[float, float]:
    """Seconds to 4,000 independent draws of mean and concentration, and seconds to the rates of every group given these."""
    start = time.perf_counter()
    fit = BetaBinomial().fit(trials, seed=1)
    middle = time.perf_counter()
    fit.predict()
    return middle - start, time.perf_counter() - middle


def by_pymc(trials: Trials) -> tuple[float, float]:
    """Seconds and effective draws of the same posterior."""
    import pymc as pm

    start = time.perf_counter()
    with pm.Model(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean = pm.Beta("mean", 1, 1)
        least, index = BetaBinomial().concentration.values
        concentration = pm.Pareto("concentration", alpha=index, m=least)
        pm.BetaBinomial(
            "wins", alpha=mean * concentration, beta=(1 - mean) * concentration, n=trials.trials, observed=trials.wins
        )
        tree = pm.sample(draws=1000, chains=4, random_seed=1, progressbar=False, quiet=True, nuts_sampler="pymc", cores=os.cpu_count(),
                         compute_convergence_checks=False)  # fmt: skip
    seconds = time.perf_counter() - start
    posterior = tree["posterior"].to_dataset()[["mean", "concentration"]]
    return seconds, float(convergence(np.log(posterior))["ess_bulk"].min())


def crossed(owners: int) -> StageCounts:
    """Owners by channels by steps, two to forty leads in a cell at the start."""
    rng = np.random.default_rng(owners)
    stages = [*(f"stage {k + 1}" for k in range(STEPS)), "Won"]
    effect, other = rng.normal(0, 0.35, (owners, STEPS)), rng.normal(0, 0.3, (CHANNELS, STEPS))
    rows = []
    for owner in range(owners):
        for channel in range(CHANNELS):
            reached = [int(rng.integers(2, 40))]
            for step in range(STEPS):
                logit = 0.2 + effect[owner, step] + other[channel, step]
                reached.append(int(rng.binomial(reached[-1], 1 / (1 + np.exp(-logit)))))
            rows += [{"owner": f"{owner:03d}", "channel": str(channel), "stage": stage, "entered": n}
                     for stage, n in zip(stages, reached, strict=True)]  # fmt: skip
    return StageCounts.of(pd.DataFrame(rows), by=["owner", "channel"])


def by_bambi(groups: int, peer: str) -> list[str]:
    """Seconds and effective draws of bambi, as text."""
    if not peer:
        return ["not run", ""]
    try:
        found = in_child("benchmarks._bambi", str(groups), python=peer)
    except subprocess.CalledProcessError:
        return ["failed", ""]
    return [f"{found.cold:.1f}", f"{found.result:,.0f}"]


def main(arguments: list[str]) -> None:
    """Measure the sizes given (default: 20 to 20,000 groups), then the crossed model; ``--peer PYTHON`` adds bambi up to 200 groups."""
    peer = ""
    if "--peer" in arguments:
        at = arguments.index("--peer")
        peer, arguments = arguments[at + 1], arguments[:at] + arguments[at + 2 :]
    rows = []
    by_quadrature(exchangeable(10))  # imports and caches are no part of a fit
    for size in [int(size) for size in arguments] or SIZES:
        trials = exchangeable(size)
        (ours, rates), (theirs, other) = by_quadrature(trials), by_pymc(trials)
        ratio = (DRAWS / ours) / (other / theirs)
        rows.append([f"{size:,}", f"{ours:.2f}", f"{rates:.2f}", f"{theirs:.1f}", f"{other:,.0f}", f"{ratio:,.0f}",
                     *(by_bambi(size, peer) if size <= 200 else ["", ""])])  # fmt: skip
        print(" ".join(rows[-1]), flush=True)
    header = ["groups", "this package, s", "and the rates, s", "pm.sample, s", "effective draws of pm.sample", "effective draws per second, ratio",
              "bambi, s", "effective draws of bambi"]  # fmt: skip
    more = []
    for owners in (20, 200):
        counts = crossed(owners)
        start = time.perf_counter()
        fit: Any = HierarchicalConversion(groups=("owner", "channel")).fit(counts, seed=1)
        seconds = time.perf_counter() - start
        found = fit.diagnose()
        more.append([f"{owners} x {CHANNELS} x {STEPS}", f"{seconds:.1f}", f"{found['smallest bulk ESS']:,.0f}",
                     f"{found['smallest tail ESS']:,.0f}", f"{found['largest R-hat']:.3f}", f"{found['divergences']:.0f}"])  # fmt: skip
        print(" ".join(more[-1]), flush=True)
    second = ["owners x channels x steps", "s", "smallest bulk ESS", "smallest tail ESS", "largest R-hat", "divergences"]
    body = f"{' '.join((__doc__ or '').split())}\n\n{machine('pymc', 'nutpie', 'scipy')} {load()}\n\n{markdown_table(header, rows)}\n\n{markdown_table(second, more)}"
    write_section("hierarchical", "Hierarchical conversion", body)
