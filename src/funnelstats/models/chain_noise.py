"""How far do periods scatter about the chain? Noise of every link carried to the end, density of a period, periods made anew.

``Var(R | M) = (ec)^2 s1^2 + e^2 s2^2 + s3^2`` where links do not share their noise; with correlations ``rho_jk`` it is the
quadratic form.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.estimate import SAMPLE_DIMS
from funnelstats.models.chain_paths import Paths


def outcome_sd(paths: Paths, values: Mapping[str, Any], posterior: xr.Dataset, *, held: Collection[str] = ()) -> xr.DataArray:
    """Standard deviation of the last variable given the first and those ``held`` at a value, dims (chain, draw)."""
    free = replace(paths, arrows=tuple(arrow for arrow in paths.arrows if arrow.target not in held))
    onward = {**free.totals(values), **dict.fromkeys(held, 0.0)}
    like = xr.zeros_like(posterior["sigma"].isel(variable=0, drop=True))
    reach = xr.concat([onward[target] + like for target, _ in paths.baselines], dim="variable")
    weight = reach.assign_coords(variable=posterior["variable"]) * posterior["sigma"]
    if "correlation" not in posterior:
        return np.sqrt((weight**2).sum("variable"))
    parts = weight.transpose(*SAMPLE_DIMS, "variable").values
    variance = np.einsum(
        "cdv,cdvw,cdw->cd", parts, matrix(posterior["correlation"].values, parts.shape[-1]), parts, optimize=True
    )
    return like.copy(data=np.sqrt(variance))


def log_likelihood(paths: Paths, table: pd.DataFrame, labels: list[str], posterior: xr.Dataset) -> xr.DataArray:
    """Log density of each period's variables after the first, all links together, dims (chain, draw, period)."""
    given = {name: xr.DataArray(table[name].to_numpy(), dims=("period",), coords={"period": labels}) for name in paths.variables}
    apart = []
    for target, baseline in paths.baselines:
        line = posterior[baseline] + sum(posterior[arrow.name] * given[arrow.source] for arrow in paths.into(target))
        apart.append((given[target] - line) / posterior["sigma"].sel(variable=target, drop=True))
    scaled = xr.concat(apart, dim="variable").transpose(*SAMPLE_DIMS, "period", "variable")
    log_scale = np.log(posterior["sigma"].values).sum(axis=-1)
    if "correlation" in posterior:
        correlation = matrix(posterior["correlation"].values, len(paths.baselines))
        squares = np.einsum("cdpv,cdvw,cdpw->cdp", scaled.values, np.linalg.inv(correlation), scaled.values, optimize=True)
        log_scale = log_scale + 0.5 * np.log(np.linalg.det(correlation))
    else:
        squares = (scaled.values**2).sum(axis=-1)
    constant = -0.5 * np.log(2 * np.pi) * len(paths.baselines)
    return scaled.isel(variable=0, drop=True).copy(data=constant - log_scale[..., None] - 0.5 * squares)


def made_anew(
    paths: Paths, source: np.ndarray, draw: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Variables after the first, given its values and one draw of coefficients, ``sigma`` and perhaps ``correlation``."""
    size = len(paths.baselines)
    root = np.linalg.cholesky(matrix(draw["correlation"], size)) if "correlation" in draw else np.eye(size)
    noise = (rng.standard_normal((len(source), size)) @ root.T) * draw["sigma"]
    made = {paths.source: source}
    for at, (target, baseline) in enumerate(paths.baselines):
        line = float(draw[baseline]) + sum(float(draw[arrow.name]) * made[arrow.source] for arrow in paths.into(target))
        made[target] = line + noise[:, at]
    return {name: values for name, values in made.items() if name != paths.source}


def matrix(pairs: np.ndarray, size: int) -> np.ndarray:
    """Correlation matrices, shape (..., size, size), from their parts below the diagonal, row by row."""
    full = np.zeros((*pairs.shape[:-1], size, size)) + np.eye(size)
    for at, (late, early) in enumerate((row, column) for row in range(size) for column in range(row)):
        full[..., late, early] = full[..., early, late] = pairs[..., at]
    return full
