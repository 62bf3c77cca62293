"""Which model foretells better? Leave-one-out predictive density by Pareto-smoothed importance sampling, warnings included.

Vehtari, Gelman & Gabry (2017), Statistics and Computing 27:1413-1432; Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72).
One observation is one cell of aggregated counts. Differences below 4, or below twice their standard error, are ties (Sivula,
Magnusson, Matamoros & Vehtari 2025, Bayesian Analysis).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, LeaveOneOutWarning, Problem
from funnelstats.inference.tree import SAMPLE_DIMS

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
    found = _LeftOut.of(_tree(fit, "the fit"))
    if found.bad:
        warnings.warn(LeaveOneOutWarning(_said({"the fit": found.bad})), stacklevel=2)
    return pd.DataFrame({"elpd": found.elpd, "khat": found.khat, "reliable": found.khat <= found.limit}, index=found.observations)


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
    found = {name: _LeftOut.of(tree) for name, tree in trees.items()}
    best = max(found, key=lambda name: float(found[name].elpd.sum()))
    rows = {name: _row(result, found[best], is_best=name == best) for name, result in found.items()}
    counted = {name: result.bad for name, result in found.items() if result.bad}
    if counted:
        warnings.warn(LeaveOneOutWarning(_said(counted)), stacklevel=2)
    return pd.DataFrame(rows).T.sort_values("elpd", ascending=False).infer_objects().rename_axis("fit")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _LeftOut:
    """For each observation its log predictive density by the others (``elpd``) and by all (``lpd``), and k-hat with its limit."""

    observations: pd.Index
    elpd: np.ndarray
    lpd: np.ndarray
    khat: np.ndarray
    limit: float

    @classmethod
    def of(cls, tree: xr.DataTree) -> Self:
        """Ask ArviZ; its own warning says the same of one fit without a name."""
        from arviz_stats import loo as leave_one_out

        values = next(iter(tree["log_likelihood"].to_dataset().data_vars.values()))
        (dim,) = [dim for dim in values.dims if dim not in SAMPLE_DIMS]
        draws = values.stack(sample=SAMPLE_DIMS).transpose(dim, "sample").values
        top = draws.max(axis=1)
        lpd = np.log(np.exp(draws - top[:, None]).mean(axis=1)) + top
        # no draw says anything else of such an observation, so that there is nothing to weigh, and ArviZ refuses to
        moves = np.ptp(draws, axis=1) > 1e-12
        elpd, khat = lpd.copy(), np.zeros(len(lpd))
        if moves.any():
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
                kept = values.isel({dim: np.flatnonzero(moves)}).to_dataset(name="wins")
                part = xr.DataTree.from_dict({"/posterior": tree["posterior"].to_dataset(), "/log_likelihood": kept})
                result = leave_one_out(part, pointwise=True, reff=1.0 if _independent(tree) else None)
            elpd[moves], khat[moves] = np.asarray(result.elpd_i).ravel(), np.asarray(result.pareto_k).ravel()
        limit = min(1 - 1 / np.log10(draws.shape[1]), 0.7)
        return cls(observations=pd.Index(values[dim].values, name=dim), elpd=elpd, lpd=lpd, khat=khat, limit=float(limit))

    @property
    def bad(self) -> int:
        """How many observations are above the limit."""
        return int((self.khat > self.limit).sum())


def _independent(tree: xr.DataTree) -> bool:
    """Draws from a grid or a formula bring no statistics of a sampler."""
    return "/sample_stats" not in tree.groups


def _row(result: _LeftOut, best: _LeftOut, *, is_best: bool) -> dict[str, Any]:
    apart = result.elpd - best.elpd
    difference, error = float(apart.sum()), _error(apart)
    tie = abs(difference) < TIE or abs(difference) < TIE_ERRORS * error
    verdict = "best" if is_best else "tie" if tie else "worse"
    return {"elpd": float(result.elpd.sum()), "se": _error(result.elpd), "difference": difference, "difference_se": error,
            "p": float((result.lpd - result.elpd).sum()), "worst_khat": float(result.khat.max()), "bad_khat": result.bad,
            "verdict": verdict + (", unreliable" if result.bad else "")}  # fmt: skip


def _error(parts: np.ndarray) -> float:
    """Standard error of a sum of observations."""
    return float(np.sqrt(len(parts) * parts.var()))


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
