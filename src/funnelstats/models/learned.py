"""How do learned parameters become a fit? Shapes in the data's units, the maximum with its errors, record and diagnosis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.inference.diagnose import Check, Diagnosis
from funnelstats.inference.parametric import Learned, Parameter
from funnelstats.inference.tree import tree_of
from funnelstats.models.record import Record

#: Not part of what a fit is: they change how long it takes.
_SILENT = ("cores", "progress")


def parts_of(
    model: Any, learned: Learned, parameters: Sequence[Parameter], to_shapes: Callable[..., dict[str, Any]], *, shift: float,
    checks: tuple[Check, ...], request: dict[str, Any], sampling: dict[str, Any], **known: Any,
) -> dict[str, Any]:  # fmt: skip
    """Build ``model``, ``tree``, ``record`` and ``diagnosis`` of a fit.

    Parameters
    ----------
    to_shapes : callable
        From free parameters by name to the shapes of the density, in the data's units.
    shift : float
        Added to the log likelihood for the change of units.
    request : dict
        ``method``, ``seed``, ``draws``, ``chains``.
    **known
        Further attributes of :class:`~funnelstats.models.record.Record`.
    """
    shapes = to_shapes(**learned.draws)
    groups: dict[str, Any] = {}
    if request["method"] == "mle" and learned.maximum is not None:
        groups["maximum"] = _maximum(learned, parameters, to_shapes, shift)
    if learned.statistics is not None:
        groups["sample_stats"] = learned.statistics
    settings = tuple((key, value) for key, value in sampling.items() if key not in _SILENT)
    record = Record.of(model=model, settings=settings, **request, **known)
    diagnosis = Diagnosis(checks=(*learned.diagnosis.checks, *checks), method=learned.diagnosis.method)
    return {"model": model, "tree": tree_of(shapes, **groups), "record": record, "diagnosis": diagnosis}


def maximum_of(tree: xr.DataTree, method: str) -> pd.DataFrame:
    """Estimates and standard errors of a fit by maximum likelihood, one row per parameter."""
    if "/maximum" not in tree.groups:
        fix = 'use method="mle"'
        raise DataError("the maximum", [Problem("method", f"expected a fit by maximum likelihood, found method {method!r}", fix)])
    stored = tree["maximum"].to_dataset()
    names = [str(name) for name in tree["posterior"].data_vars]
    columns = {"estimate": [float(stored[n]) for n in names], "se": [float(stored[f"{n}_se"]) for n in names]}
    frame = pd.DataFrame(columns, index=pd.Index(names, name="parameter"))
    frame.attrs["log_likelihood"] = float(stored["log_likelihood"])
    return frame


def effective(table: pd.DataFrame, diagnosis: Diagnosis) -> pd.DataFrame:
    """Put the importance sampler's effective sample size into a summary: resampled draws are not all different."""
    found = {check.name: check.value for check in diagnosis.checks}.get("importance ESS", np.inf)
    return table.assign(ess=np.minimum(table["ess"], found))


def _maximum(
    learned: Learned, parameters: Sequence[Parameter], to_shapes: Callable[..., dict[str, Any]], shift: float
) -> xr.Dataset:  # fmt: skip
    """Estimates, standard errors by the delta method, and the log likelihood in the data's units."""
    best = learned.maximum
    assert best is not None

    def at(point: np.ndarray) -> dict[str, float]:
        free = {one.name: one.natural(u) for one, u in zip(parameters, point, strict=True)}
        return {name: float(value) for name, value in to_shapes(**free).items()}

    steps = 1e-6 * np.eye(len(parameters))
    sides = [(list(at(best.point + h).values()), list(at(best.point - h).values())) for h in steps]
    jacobian = np.stack([(np.array(up) - np.array(down)) / 2e-6 for up, down in sides], axis=1)
    se = np.sqrt(np.diag(jacobian @ best.covariance @ jacobian.T))
    found = at(best.point)
    errors = {f"{name}_se": float(value) for name, value in zip(found, se, strict=True)}
    return xr.Dataset({**found, **errors, "log_likelihood": best.log_likelihood + shift})
