"""Which model foretells better? Leave-one-out predictive density by Pareto-smoothed importance sampling, warnings included.

Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413-1432; Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72).
One observation is one cell of aggregated counts. Differences below 4, or below twice their standard error, are ties (Sivula,
Magnusson, Matamoros & Vehtari 2025, Bayesian Analysis).
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, LeaveOneOutWarning, Problem

TIE = 4.0
TIE_ERRORS = 2.0


def loo(fit: Any) -> pd.DataFrame:
    """Leave each observation out in turn.

    Parameters
    ----------
    fit : fit or DataTree
        With ``log_likelihood`` and ``observed_data``.

    Returns
    -------
    DataFrame
        One row per observation: ``elpd`` (log predictive density of the observation given all others), ``khat`` and ``reliable``,
        whether k-hat is at most ``min(1 - 1/log10(draws), 0.7)``.

    Warns
    -----
    LeaveOneOutWarning
        Observations that pull so hard that the others' fit cannot be had from these draws.
    """
    result, bad = _loo(_tree(fit, "the fit"))
    if bad:
        warnings.warn(LeaveOneOutWarning(_said({"the fit": bad})), stacklevel=2)
    khat = np.asarray(result.pareto_k).ravel()
    observation = result.elpd_i[result.elpd_i.dims[0]].values
    return pd.DataFrame({"elpd": np.asarray(result.elpd_i).ravel(), "khat": khat, "reliable": khat <= result.good_k},
                        index=pd.Index(observation, name=result.elpd_i.dims[0]))  # fmt: skip


def compare_fits(fits: Mapping[str, Any]) -> pd.DataFrame:
    """Rank fits of the same data by leave-one-out prediction.

    Parameters
    ----------
    fits : mapping of str to fit or DataTree
        Each with ``log_likelihood`` and ``observed_data``. Models with different groups are compared on the same counts: by all
        the columns that any of them uses.

    Returns
    -------
    DataFrame
        Best first: ``elpd``, ``se``, ``difference`` from the best (negative is worse), ``difference_se``, ``p`` (effective number of
        parameters), ``worst_khat``, ``bad_khat`` (observations above the limit) and ``verdict``: ``best``, ``tie`` or ``worse``, with
        ``unreliable`` added where a k-hat is above its limit.

    Raises
    ------
    DataError
        Fewer than two fits, or fits of different data.

    Warns
    -----
    LeaveOneOutWarning
        Some k-hat above its limit.
    """
    if len(fits) < 2:
        raise DataError("a comparison of fits", [Problem("fits", f"expected at least two, found {len(fits)}")])
    trees = {name: _tree(fit, name) for name, fit in fits.items()}
    _require_same_data(trees)
    found = {name: _loo(tree) for name, tree in trees.items()}
    best = max(found, key=lambda name: float(found[name][0].elpd))
    rows = {name: _row(result, found[best][0], bad, is_best=name == best) for name, (result, bad) in found.items()}
    counted = {name: bad for name, (_, bad) in found.items() if bad}
    if counted:
        warnings.warn(LeaveOneOutWarning(_said(counted)), stacklevel=2)
    return pd.DataFrame(rows).T.sort_values("elpd", ascending=False).infer_objects().rename_axis("fit")


def _loo(tree: xr.DataTree) -> tuple[Any, int]:
    """ArviZ's answer, and how many observations are above its limit; its own warning says the same of one fit without a name."""
    from arviz_stats import loo as leave_one_out

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        result = leave_one_out(tree, pointwise=True)
    return result, int((np.asarray(result.pareto_k) > result.good_k).sum())


def _row(result: Any, best: Any, bad: int, *, is_best: bool) -> dict[str, Any]:
    apart = np.asarray(result.elpd_i).ravel() - np.asarray(best.elpd_i).ravel()
    difference, error = float(apart.sum()), float(np.sqrt(len(apart) * apart.var()))
    tie = abs(difference) < TIE or abs(difference) < TIE_ERRORS * error
    verdict = "best" if is_best else "tie" if tie else "worse"
    return {"elpd": float(result.elpd), "se": float(result.se), "difference": difference, "difference_se": error,
            "p": float(result.p), "worst_khat": float(np.max(result.pareto_k)), "bad_khat": bad,
            "verdict": verdict + (", unreliable" if bad else "")}  # fmt: skip


def _said(bad: Mapping[str, int]) -> str:
    named = ", ".join(f"{count} of {name}" for name, count in bad.items())
    return f"leave-one-out is not reliable for every cell: k-hat is above its limit in {named}; refit without these cells or pool more"


def _tree(fit: Any, name: str) -> xr.DataTree:
    tree = fit if isinstance(fit, xr.DataTree) else fit.to_datatree()
    problems = [Problem(name, f"group {group} expected, not found") for group in ("log_likelihood", "observed_data")
                if f"/{group}" not in tree.groups]  # fmt: skip
    if problems:
        raise DataError("leave-one-out", problems)
    return tree


def _require_same_data(trees: Mapping[str, xr.DataTree]) -> None:
    first, *others = trees
    seen = trees[first]["observed_data"].to_dataset()
    fix = "fit all models to the same counts, by all the columns that any of them uses"
    problems = [Problem(name, f"expected the data of {first!r}, found other data", fix)
                for name in others if not trees[name]["observed_data"].to_dataset().equals(seen)]  # fmt: skip
    if problems:
        raise DataError("a comparison of fits", problems)
