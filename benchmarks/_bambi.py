"""bambi on the groups of :mod:`benchmarks.hierarchical`, in an environment of its own: ``python -m benchmarks._bambi GROUPS``.

A logit-normal model, ``p(wins, trials) ~ 1 + (1 | group)``, is what bambi has for exchangeable groups; its posterior is not that of the
beta-binomial, so seconds and effective draws can be set beside each other, estimates cannot.
"""

import os
import sys
import time
import warnings

import numpy as np

from benchmarks.measure import Timing, report


def main() -> None:
    """Fit once and report the seconds with the smaller bulk effective sample size of intercept and spread."""
    import arviz as az
    import bambi
    import pandas as pd

    groups = int(sys.argv[1])
    rng = np.random.default_rng(groups)  # as in benchmarks.hierarchical
    trials = rng.integers(5, 60, groups)
    wins = rng.binomial(trials, rng.beta(3, 7, groups))
    frame = pd.DataFrame({"wins": wins, "trials": trials, "group": [f"{k:05d}" for k in range(groups)]})
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = bambi.Model("p(wins, trials) ~ 1 + (1 | group)", frame, family="binomial")
        tree = model.fit(draws=1000, chains=4, cores=os.cpu_count(), random_seed=1, progressbar=False)
        seconds = time.perf_counter() - start
        effective = min(float(az.ess(tree["posterior"][name].values)) for name in ("Intercept", "1|group_sigma"))
    report(Timing(cold=seconds, result=effective))


if __name__ == "__main__":
    main()
