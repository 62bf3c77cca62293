"""May these draws be relied on? Numbers first, then PASS, REVIEW or FAIL.

R-hat (rank-normalised), bulk and tail effective sample size: Vehtari, Gelman, Simpson, Carpenter & Buerkner (2021), Bayesian
Analysis 16:667-718.  E-BFMI: Betancourt (2016), arXiv:1604.00695.  Draws that are independent by construction (a grid, a
formula, a Laplace approximation) need none of these; their own checks are reported as named numbers instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.inference.tree import rows_of

Verdict = Literal["PASS", "REVIEW", "FAIL"]
RHAT_MAX, RHAT_FAIL = 1.01, 1.05
ESS_MIN, ESS_FAIL = 400, 100
EBFMI_MIN = 0.3
#: More than this share of divergent draws says that a part of the posterior was not visited at all.
DIVERGENT_FAIL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One number beside the bound it must keep.

    Attributes
    ----------
    name : str
        Such as ``"largest R-hat"``.
    value : float
        What was found.
    bound : str
        The rule in words, such as ``"at most 1.01"``.
    verdict : {"PASS", "REVIEW", "FAIL"}
    where : str
        The parameter concerned, or the remedy.
    """

    name: str
    value: float
    bound: str
    verdict: Verdict
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Every check of a fit, and the worst of them as the verdict.

    Parameters
    ----------
    checks : tuple of Check
        In the order of looking.
    method : str
        How the draws came about.

    Examples
    --------
    >>> print(Diagnosis(method="quadrature", checks=(Check(name="edge mass", value=1e-9, bound="below 1e-05", verdict="PASS"),)))
    PASS (quadrature): edge mass 1e-09
    """

    checks: tuple[Check, ...]
    method: str

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the checks."""
        found = {check.verdict for check in self.checks}
        return "FAIL" if "FAIL" in found else "REVIEW" if "REVIEW" in found else "PASS"

    @property
    def passed(self) -> bool:
        """Whether the verdict is PASS."""
        return self.verdict == "PASS"

    def to_frame(self) -> pd.DataFrame:
        """One row per check: value, bound, verdict, where."""
        return pd.DataFrame([(c.value, c.bound, c.verdict, c.where) for c in self.checks],
                            columns=["value", "bound", "verdict", "where"], index=[c.name for c in self.checks])  # fmt: skip

    def __getitem__(self, name: str) -> float:
        return next(check.value for check in self.checks if check.name == name)

    def __str__(self) -> str:
        shown = [c for c in self.checks if c.verdict != "PASS"] or list(self.checks)
        if not self.checks:
            return f"{self.verdict} ({self.method}): independent draws from a formula"
        parts = [f"{c.name} {c.value:.4g}" + (f" ({c.where})" if c.where and c.verdict != "PASS" else "") for c in shown]
        return f"{self.verdict} ({self.method}): {', '.join(parts)}"

    def __repr__(self) -> str:
        return f"<Diagnosis {self}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{self.verdict}</b> ({self.method})</p>{self.to_frame().to_html(float_format='{:.4g}'.format)}"


def diagnose_chains(tree: xr.DataTree, *, sampler: str = "") -> Diagnosis:
    """Diagnose Markov chains: R-hat, effective sample sizes, divergences, E-BFMI.

    Parameters
    ----------
    tree : DataTree
        With ``posterior`` and, where the sampler gives them, ``sample_stats``.
    sampler : str
        Named in the verdict.

    Returns
    -------
    Diagnosis
        R-hat at most 1.01, bulk and tail ESS at least 400, no divergence, E-BFMI at least 0.3 in every chain. REVIEW when
        one is missed; FAIL at R-hat above 1.05, ESS under 100, over 1 % divergent draws, or one chain only.
    """
    table = convergence(tree["posterior"].to_dataset())
    table = table.dropna(subset=["ess_bulk"])  # a constant (the diagonal of a correlation) cannot fail to converge
    checks = []
    chains = tree["posterior"].sizes["chain"]
    if chains < 2:
        why = "R-hat needs more than one chain"
        checks.append(Check(name="chains", value=chains, bound="at least 2", verdict="FAIL", where=why))
    rhat = table["rhat"].dropna()
    if len(rhat):
        value = float(rhat.max())
        verdict: Verdict = "PASS" if value <= RHAT_MAX else "REVIEW" if value <= RHAT_FAIL else "FAIL"
        where = str(rhat.idxmax())
        checks.append(Check(name="largest R-hat", value=value, bound=f"at most {RHAT_MAX}", verdict=verdict, where=where))
    for part in ("bulk", "tail"):
        size = table[f"ess_{part}"]
        value, where = float(size.min()), str(size.idxmin())
        verdict = "PASS" if value >= ESS_MIN else "REVIEW" if value >= ESS_FAIL else "FAIL"
        checks.append(Check(name=f"smallest {part} ESS", value=value, bound=f"at least {ESS_MIN}", verdict=verdict, where=where))
    return Diagnosis(checks=(*checks, *_energy_checks(tree)), method=f"NUTS {sampler}".strip())


def _energy_checks(tree: xr.DataTree) -> list[Check]:
    if "/sample_stats" not in tree.groups:
        return []
    from arviz_stats.base import array_stats

    stats = tree["sample_stats"].to_dataset()
    divergent = int(stats["diverging"].sum())
    share = divergent / stats["diverging"].size
    verdict: Verdict = "PASS" if divergent == 0 else "REVIEW" if share <= DIVERGENT_FAIL else "FAIL"
    remedy = "raise target_accept or tune longer"
    checks = [Check(name="divergences", value=divergent, bound="0", verdict=verdict, where=remedy)]
    if "energy" in stats:
        ebfmi = float(np.min(array_stats.bfmi(stats["energy"].values, chain_axis=0, draw_axis=1)))
        verdict = "PASS" if ebfmi >= EBFMI_MIN else "REVIEW"
        where = "heavy tails: check the priors of scales"
        checks.append(Check(name="smallest E-BFMI", value=ebfmi, bound=f"at least {EBFMI_MIN}", verdict=verdict, where=where))
    return checks


def convergence(dataset: xr.Dataset, *, independent: bool = False) -> pd.DataFrame:
    """R-hat and effective sample sizes of every scalar of a posterior.

    Parameters
    ----------
    dataset : Dataset, dims (chain, draw, ...)
        The posterior.
    independent : bool
        Draws that are independent by construction: their effective sample size is their number and R-hat is 1.

    Returns
    -------
    DataFrame
        One row per scalar: ``rhat``, ``ess_bulk``, ``ess_tail``; missing where the draws are constant.
    """
    rows = rows_of(dataset)
    stacked = np.stack(list(rows.values()), axis=-1)  # (chain, draw, scalar)
    if independent:
        size = float(stacked.shape[0] * stacked.shape[1])
        return pd.DataFrame({"rhat": 1.0, "ess_bulk": size, "ess_tail": size}, index=list(rows))
    from arviz_stats.base import array_stats

    moves = stacked.std(axis=(0, 1)) > 0
    options: dict[str, Any] = {"chain_axis": 0, "draw_axis": 1}
    measured: Mapping[str, Any] = {
        "rhat": lambda x: array_stats.rhat(x, **options) if x.shape[0] > 1 else np.full(x.shape[-1], np.nan),
        "ess_bulk": lambda x: array_stats.ess(x, method="bulk", **options),
        "ess_tail": lambda x: array_stats.ess(x, method="tail", prob=(0.05, 0.95), **options),
    }
    table = pd.DataFrame(np.nan, index=list(rows), columns=list(measured))
    for name, measure in measured.items():
        table.loc[moves, name] = measure(stacked[..., moves])
    return table
