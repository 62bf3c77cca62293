"""What do all models have in common? A specification without data, a fit that is a value, and a record to cite.

A **model** is a frozen dataclass: a hypothesis with its priors, no data and no state. ``model.fit(data, seed=, method=)``
returns a **fit**: model + data + draws + record. "Not fitted yet" cannot be written down.

How to write one: a frozen dataclass with ``fit``; inside, build a tree of draws (``inference.mcmc.sample`` or
``inference.tree.tree_of``), a :class:`Diagnosis` and a :class:`Record`, and return a subclass of :class:`Fit` that says how to
``predict`` and ``simulate`` (``@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)``: the card of
:class:`Fit` is its repr). Then register it in a ``tests/test_contract*.py``, where five laws are asked of every model.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate
from funnelstats.inference.diagnose import Diagnosis, convergence
from funnelstats.inference.tree import copy_of, read, rows_of, write
from funnelstats.interval import DEFAULT, Interval
from funnelstats.models.encode import class_of, decode, encode
from funnelstats.models.record import Record

SUMMARY = ("mean", "sd", "lower", "upper", "interval", "ess", "rhat")


class Model(Protocol):
    """A hypothesis: priors and structure, no data."""

    def fit(self, data: Any, *, seed: int, method: Any = ..., draws: int = ..., chains: int = ...) -> "Fit":
        """Condition on data.

        Parameters
        ----------
        data : StageCounts, StageHazards, Trials, ...
            Sufficient statistics. They come back unchanged.
        seed : int
            Same model, data, method and seed: same draws.
        method : str
            How draws are obtained. ``"prior"`` looks at the design only (who had how many trials), not at the outcome:
            its ``predict`` and ``simulate`` are the prior's.
        draws, chains : int
            Kept draws of each chain, and chains; independent draws are arranged in the same shape.
        """
        ...


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class Fit[M, D](ABC):
    """A model, its data, the draws and the record of how they came about.

    Attributes
    ----------
    model, data
        As given; data that arrived in another form are kept in the model's own.
    tree : DataTree
        Draws under ArviZ 1 group names; use :meth:`to_datatree` for a copy that may be edited.
    record : Record
        Everything needed to cite or repeat the fit.
    diagnosis : Diagnosis
        Judged once, when the draws were made.
    """

    model: M
    data: D
    tree: xr.DataTree
    record: Record
    diagnosis: Diagnosis

    # -- the five verbs ------------------------------------------------------------------------------------------
    def summary(self, *, interval: Interval = DEFAULT) -> pd.DataFrame:
        """One row per parameter.

        Returns
        -------
        DataFrame
            Columns ``mean``, ``sd``, ``lower``, ``upper``, ``interval`` (the rule of the bounds), ``ess`` (the smaller of
            bulk and tail effective sample size) and ``rhat``.
        """
        dataset = self.parameters()
        rows = rows_of(dataset)
        values = np.stack([draws.ravel() for draws in rows.values()])
        lower, upper = interval.of(values)
        table = convergence(dataset, independent=self.record.method != "mcmc")
        columns = [values.mean(axis=1), values.std(axis=1, ddof=1), lower, upper, [str(interval)] * len(rows),
                   table[["ess_bulk", "ess_tail"]].min(axis=1).to_numpy(), table["rhat"].to_numpy()]  # fmt: skip
        return pd.DataFrame(dict(zip(SUMMARY, columns, strict=True)), index=pd.Index(list(rows), name="parameter"))

    @abstractmethod
    def predict(self, new: Any = None) -> Estimate:
        """Return what the model expects, on the scale of the response, without observation noise."""

    @abstractmethod
    def simulate(self, *, seed: int) -> D:
        """Return what could have been observed: one draw of the parameters, then one of data of the same type."""

    def diagnose(self) -> Diagnosis:
        """Numbers and PASS, REVIEW or FAIL."""
        return self.diagnosis

    def to_datatree(self) -> xr.DataTree:
        """Return a copy of the draws under ArviZ 1 group names, for anyone's tools."""
        tree = copy_of(self.tree)
        for name, dataset in {"posterior": self.parameters(), **self.groups()}.items():
            tree[name] = xr.DataTree(dataset.copy(deep=True))
        return tree

    # -- what they share -----------------------------------------------------------------------------------------
    def parameters(self) -> xr.Dataset:
        """Draws of what the model speaks of, dims (chain, draw, ...); auxiliaries left out."""
        return self.tree["posterior"].to_dataset()

    def groups(self) -> dict[str, xr.Dataset]:
        """Other ArviZ groups to show: ``observed_data``, ``log_likelihood`` (dims chain, draw, ...); computed when asked."""
        return {}

    def estimate(self, name: str, *, description: str, unit: str = "") -> Estimate:
        """Draws of one named parameter as an :class:`~funnelstats.estimate.Estimate`."""
        return Estimate(draws=self.tree["posterior"].to_dataset()[name], description=description, unit=unit)

    def rng(self, purpose: str, seed: int | None = None) -> np.random.Generator:
        """Random numbers that depend on the seed (the fit's own by default) and on what they are for."""
        return np.random.default_rng([self.record.seed if seed is None else seed, crc32(purpose.encode())])

    def one_draw(self, seed: int) -> dict[str, np.ndarray]:
        """Pick one joint draw of the posterior: name to value."""
        posterior = self.tree["posterior"].to_dataset()
        at = self.rng("one draw", seed).integers([posterior.sizes["chain"], posterior.sizes["draw"]])
        picked = posterior.isel(chain=int(at[0]), draw=int(at[1]))
        return {str(name): value.values for name, value in picked.data_vars.items()}

    # -- keeping -------------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> Path:
        """Write to one NetCDF file (draws) with a JSON document inside (model, data, record); never a pickle.

        The data are the sufficient statistics, with their labels: names of consultants are in the file.
        """
        parts = {"model": self.model, "data": self.data, "record": self.record, "diagnosis": self.diagnosis}
        name = f"{type(self).__module__}:{type(self).__qualname__}"
        return write(self.tree, {"fit": name, **{key: encode(part) for key, part in parts.items()}}, path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model}\n" + "\n".join(f"  {k:9} {v}" for k, v in self._card()) + ">"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in self._card())
        return f"<p><b>{escape(str(self.model))}</b></p><table>{rows}</table>"

    def _card(self) -> list[tuple[str, str]]:
        return [*self.record.card(), ("diagnosis", str(self.diagnosis)), ("id", self.record.id)]


def load(path: str | Path) -> Fit:
    """Read a fit written by :meth:`Fit.save`.

    Raises
    ------
    DataError
        No such file, or not a fit of this package.
    """
    tree, document = read(path)
    missing = [Problem(key, "expected in the file, not found") for key in ("fit", "model", "data", "record", "diagnosis")
               if key not in document]  # fmt: skip
    if missing:
        raise DataError(str(path), missing)
    kind = class_of(document.pop("fit"))
    return kind(tree=tree, **{key: decode(part) for key, part in document.items()})
