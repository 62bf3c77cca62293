"""How are draws kept, named and written? One ``xarray.DataTree`` with ArviZ 1 group names, and nothing else.

Everything that depends on the shape of a tree or on its file is here, so that a change of ArviZ changes this module only.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from funnelstats.errors import DataError, Problem

SAMPLE_DIMS = ("chain", "draw")
#: Sampler statistics that are kept; every other one is the sampler's own affair.
STATISTICS = ("diverging", "energy", "n_steps", "tree_depth", "depth", "step_size")
ENGINE = "h5netcdf"


def tree_of(
    posterior: Mapping[str, Any], *, dims: Mapping[str, Sequence[str]] | None = None,
    coords: Mapping[str, Sequence[Any]] | None = None, **groups: xr.Dataset,
) -> xr.DataTree:  # fmt: skip
    """Build a tree from plain draws.

    Parameters
    ----------
    posterior : mapping of str to array_like, shape (n_chains, n_draws, ...)
        Draws of each parameter.
    dims : mapping of str to sequence of str, optional
        Names of a parameter's axes after chain and draw.
    coords : mapping of str to sequence, optional
        Labels of those axes.
    **groups : Dataset
        Other ArviZ groups, such as ``observed_data`` or ``log_likelihood``.

    Returns
    -------
    DataTree
        Group ``posterior`` and those given.

    Examples
    --------
    >>> tree = tree_of({"rate": np.zeros((4, 10, 2))}, dims={"rate": ["group"]}, coords={"group": ["Ann", "Bo"]})
    >>> tree["posterior"]["rate"].dims
    ('chain', 'draw', 'group')
    """
    dims, coords = dims or {}, coords or {}
    variables = {name: ((*SAMPLE_DIMS, *dims.get(name, ())), np.asarray(values)) for name, values in posterior.items()}
    chains, draws = next(iter(variables.values()))[1].shape[:2]
    used = {dim for name in posterior for dim in dims.get(name, ())}
    labels = {name: list(values) for name, values in coords.items() if name in used}
    dataset = xr.Dataset(variables, coords={"chain": np.arange(chains), "draw": np.arange(draws), **labels})
    return xr.DataTree.from_dict({"/posterior": dataset, **{f"/{name}": group for name, group in groups.items()}})


def copy_of(tree: xr.DataTree) -> xr.DataTree:
    """Return a deep copy, so that a caller's edits never reach a fit."""
    return tree.copy(deep=True)


def rows_of(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Scalars of a posterior by name, ``"rate[Ann]"``, each of shape (chain, draw)."""
    rows = {}
    for name, variable in dataset.data_vars.items():
        values = variable.transpose(*SAMPLE_DIMS, ...)
        for index in np.ndindex(values.shape[2:]):
            places = zip(values.dims[2:], index, strict=True)
            labels = [str(values.coords[dim].values[i]) if dim in values.coords else str(i) for dim, i in places]
            rows[f"{name}[{', '.join(labels)}]" if labels else str(name)] = values.values[(..., *index)]
    return rows


def write(tree: xr.DataTree, document: Mapping[str, Any], path: str | Path) -> Path:
    """Write a tree and a JSON document to one NetCDF file, whole or not at all.

    The document is a string variable named ``json`` in the group ``record``. The file is written beside its place and
    moved there in one step, so that a crash or a full disk never leaves half a fit under the name.
    """
    target = Path(path)
    text = json.dumps(document, allow_nan=False)
    whole = tree.copy()
    whole["record"] = xr.DataTree(xr.Dataset({"json": ((), text)}))
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=target.name, suffix=".part")
    os.close(handle)
    try:
        whole.to_netcdf(beside, engine=ENGINE)  # type: ignore[call-overload]
        os.replace(beside, target)
    finally:
        Path(beside).unlink(missing_ok=True)
    return target


def read(path: str | Path) -> tuple[xr.DataTree, dict[str, Any]]:
    """Read what :func:`write` wrote.

    Raises
    ------
    DataError
        The file is missing, is not NetCDF, or was not written by this package.
    """
    target = Path(path)
    if not target.is_file():
        raise DataError(str(path), [Problem("path", "expected a file, found none")])
    try:
        with xr.open_datatree(target, engine=ENGINE) as opened:
            tree = opened.load().copy(deep=True)
    except (OSError, ValueError) as error:
        raise DataError(str(path), [Problem("file", f"expected a NetCDF file of a fit; {error}")]) from error
    if "/record" not in tree.groups:
        raise DataError(str(path), [Problem("record", "group expected, not found", "read it with xarray.open_datatree")])
    document = json.loads(str(tree["record"]["json"].values))
    return tree.filter(lambda node: node.name != "record"), document
