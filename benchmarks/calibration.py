"""Is the posterior right, whatever the data? Simulation-based calibration.

Parameters are drawn from the prior, data from them, and the model is fitted to these data: over many repetitions the rank of the true
value among the draws is uniform if the inference is right (Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv:1804.06788). *chi2*
is the p-value of a chi-square test on 20 bins of ranks (10 where there are few repetitions), *band* the p-value of the largest distance
of the ranks' distribution from uniform, both by simulation of uniform ranks; *coverage* is the share of 90 % intervals that hold the
truth. The priors are those of the models, but for the sampled one, where a narrower spread keeps rates away from 0 and 1.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import binom

from benchmarks import calibration_chain, calibration_customers, document
from benchmarks.document import markdown_table, write_section
from benchmarks.measure import machine
from funnelstats.data.stages import StageCounts
from funnelstats.inference.priors import Prior
from funnelstats.models.exchangeable import BetaBinomial
from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.models.trials import Trials

#: Ranks among this many draws: chains are thinned to it, so that neighbours hardly depend on one another.
LEVELS = 99
HEAD = f"""# Calibration

Every table is written by `make calibration` (or `python -m benchmarks.calibration NAME`), from seeds, in one run on one machine.

{" ".join((__doc__ or "").split())}
"""
Ranks = dict[str, int]


def quadrature(repetition: int) -> Ranks:
    """Twelve groups with 5 to 80 trials, default priors, exact by quadrature."""
    rng = np.random.default_rng([1, repetition])
    design = Trials.of(np.zeros(12, dtype=int), np.random.default_rng(0).integers(5, 80, 12))
    truth = BetaBinomial().fit(design, seed=repetition, method="prior", draws=1, chains=1)
    rates = truth.predict().draws.values.ravel()
    data = Trials.of(rng.binomial(design.trials, rates), design.trials)
    fit = BetaBinomial().fit(data, seed=repetition + 10_000, draws=LEVELS, chains=1)
    real, drawn = truth.parameters(), fit.parameters()
    ranks = {name: int((drawn[name] < real[name].item()).sum()) for name in ("mean", "concentration")}
    return ranks | {f"rate of group {at + 1}": int((drawn["rate"][0, :, at].values < rates[at]).sum()) for at in (0, 11)}


def multilevel(repetition: int) -> Ranks:
    """Twelve owners by two channels, two steps, correlated effects of owners, by NUTS."""
    model = HierarchicalConversion(
        groups=("owner", "channel"), average=Prior.of("normal", 0, 1), spread=Prior.of("half_normal", 0.7)
    )
    sizes = np.random.default_rng(0).integers(15, 60, 24)
    rows = [{"owner": f"{cell // 2:02d}", "channel": str(cell % 2), "stage": stage, "entered": int(n) if stage == "Lead" else 0}
            for cell, n in enumerate(sizes) for stage in ("Lead", "Deal", "Won")]  # fmt: skip
    empty = StageCounts.of(pd.DataFrame(rows), by=["owner", "channel"])
    truth = model.fit(empty, seed=repetition, method="prior", draws=1, chains=1)
    fit = model.fit(truth.simulate(seed=repetition), seed=repetition + 10_000, draws=990, chains=2, tune=500)
    real, drawn = (f.parameters().assign(rate=f.stage_rates("owner").draws) for f in (truth, fit))
    wanted = {"typical, step 1": ("typical", (0,)), "typical, step 2": ("typical", (1,)), "sd of owners, step 1": ("sd_owner", (0,)),
              "sd of channels, step 1": ("sd_channel", (0,)), "correlation of owners": ("corr_owner", (0, 1)),
              "step rate of owner 1, step 1": ("rate", (0, 0)), "step rate of owner 12, step 2": ("rate", (11, 1))}  # fmt: skip
    ranks = {}
    for name, (variable, index) in wanted.items():
        values = drawn[variable].values[(..., *index)].ravel()[::20]
        ranks[name] = int((values[:LEVELS] < real[variable].values[(0, 0, *index)]).sum())
    return ranks


def judged(ranks: np.ndarray, rng: np.random.Generator) -> list[str]:
    """p-values of uniformity, and coverage of 90 % intervals; ranks run from 0 to LEVELS."""
    size = len(ranks)
    bins = 20 if size >= 500 else 10
    uniform = rng.integers(0, LEVELS + 1, (4000, size))

    def chi2(sample: np.ndarray) -> np.ndarray:
        counts = np.stack([(sample * bins // (LEVELS + 1) == b).sum(axis=-1) for b in range(bins)], axis=-1)
        return np.asarray(((counts - size / bins) ** 2).sum(axis=-1))

    def distance(sample: np.ndarray) -> np.ndarray:
        at = np.arange(LEVELS + 1)
        below = np.apply_along_axis(lambda row: np.bincount(row, minlength=LEVELS + 1).cumsum() / size, -1, sample)
        return np.asarray(np.abs(below - (at + 1) / (LEVELS + 1)).max(axis=-1))

    p = [float((measure(uniform) >= measure(ranks)).mean()) for measure in (chi2, distance)]
    held = float(((ranks >= 5) & (ranks < LEVELS - 4)).mean())
    return [f"{p[0]:.2f}", f"{p[1]:.2f}", f"{held:.1%}"]


def run(name: str, title: str, one: Callable[[int], Ranks], repetitions: int) -> None:
    """Repeat, judge, and write a section of docs/calibration.md."""
    start = time.perf_counter()
    found = pd.DataFrame([one(repetition) for repetition in range(repetitions)])
    seconds = time.perf_counter() - start
    rng = np.random.default_rng(1)
    rows = [[str(column), f"{found[column].mean() / LEVELS:.3f}", *judged(found[column].to_numpy(), rng)] for column in found]
    table = markdown_table(["quantity", "mean rank, 0.5 expected", "chi2, p", "band, p", "coverage of 90 %"], rows)
    print(table)
    error = np.sqrt(0.9 * 0.1 / repetitions)
    text = f"{one.__doc__} {repetitions:,} repetitions, {seconds:,.0f} s; the standard error of a coverage is {error:.1%}."
    publish(name, title, f"{text} {machine('nutpie', 'scipy')}\n\n{table}")


def plans(worlds: int) -> None:
    """Plan a budget in each of many worlds and write how often it brings its target."""
    found = calibration_chain.planned(worlds).groupby("assurance")["chance"].agg(["mean", "std"])
    rows = [[f"{asked:.0%}", f"{row['mean']:.1%}", f"{row['std'] / np.sqrt(worlds):.1%}"] for asked, row in found.iterrows()]
    table = markdown_table(["assurance asked for", "chance of the target, in truth", "standard error"], rows)
    print(table)
    text = f"{calibration_chain.planned.__doc__} {worlds:,} worlds; links by least squares."
    publish("plan", "Budgets that were planned", f"{text} {machine('scipy')}\n\n{table}")


def band(repetitions: int, coverages: int) -> str:
    """Say between what all coverages of right 90 % intervals lie at once (binomial, Bonferroni)."""
    low, high = binom.ppf([0.025 / coverages, 1 - 0.025 / coverages], repetitions, 0.9) / repetitions
    return f"of {repetitions:,} repetitions all {coverages} coverages lie between {low:.1%} and {high:.1%}"


def customers(repetitions: int) -> None:
    """Fit each model of customers to histories drawn from it, by maximum likelihood and by the corrected normal."""
    rows = []
    for method, size in (("mle", repetitions), ("laplace", repetitions // 2)):
        for model in calibration_customers.MODELS:
            rows += [[row[0], method, f"{size:,}", *row[1:]] for row in calibration_customers.judged(model, size, method)]
    table = markdown_table(["model", "method", "repetitions", "parameter", "median distance, in standard errors", "coverage of 90 %",
                            "diagnosis not PASS"], rows)  # fmt: skip
    print(table)
    publish("customers", "Models of customers, fitted again", f"{' '.join((calibration_customers.__doc__ or '').split())} "
            f"Truths are draws of the maximum-likelihood fit; the corrected normal has its default priors. Where intervals are right, "
            f"with a probability of 95 % or more {band(repetitions, len(rows) // 2)}, and {band(repetitions // 2, len(rows) // 2)}. {machine('scipy')}\n\n{table}")  # fmt: skip


def nuts() -> None:
    """Compare the corrected normal with NUTS on CDNOW."""
    header = ["model", "parameter", "distance of means, in sd", "ratio of sd", "ESS of NUTS", "NUTS, s"]
    table = markdown_table(header, calibration_customers.against_nuts())
    print(table)
    publish(
        "nuts",
        "NUTS beside the corrected normal",
        f"{calibration_customers.against_nuts.__doc__} {machine('nutpie', 'scipy')}\n\n{table}",
    )


def publish(name: str, title: str, body: str) -> None:
    """Write a section of docs/calibration.md."""
    document.PAGE, document.HEAD = document.PAGE.with_name("calibration.md"), HEAD
    write_section(name, title, body)


#: Title, one repetition, and how many of them.
WORKS = {
    "quadrature": ("Exchangeable groups by quadrature", quadrature, 2000),
    "multilevel": ("Crossed effects by NUTS", multilevel, 100),
    "chain": ("The chain by quadrature", calibration_chain.independent, 2000),
    "correlated": ("The chain with shared noise, by NUTS", calibration_chain.correlated, 50),
}


def calibrate(arguments: list[str]) -> None:
    """Run one of ``WORKS``, ``plan``, ``customers`` or ``nuts``, or all; a number after the name is that of repetitions."""
    for name in arguments[:1] or [*WORKS, "plan", "customers", "nuts"]:
        size = int(arguments[1]) if len(arguments) > 1 else 0
        if name == "plan":
            plans(size or 500)
        elif name == "customers":
            customers(size or 200)
        elif name == "nuts":
            nuts()
        else:
            title, one, usual = WORKS[name]
            run(name, title, one, size or usual)


if __name__ == "__main__":
    calibrate(sys.argv[1:])
