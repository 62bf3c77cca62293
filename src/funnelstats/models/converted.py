"""How many have converted, how many will have by a given time, and how many in the end? Three answers that are often one word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from funnelstats.estimate import SAMPLE_DIMS, ClosedForm, Estimate
from funnelstats.interval import Interval


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Converted:
    """Three shares of those who enter each stage, dims ([group,] stage).

    Attributes
    ----------
    so_far : Estimate
        Advanced by the end of observation, the young included: a count, which will rise, and depends on how young they are.
    within : Estimate, optional
        Advanced within a time of entering the stage.
    eventually : Estimate
        Advanced in the end; its description says what is assumed of those still open at the last age watched.
    notes : tuple of str
        Stages in which so many are open at the last age that "eventually" rests on that assumption; empty when none.
    """

    so_far: Estimate
    within: Estimate | None
    eventually: Estimate
    notes: tuple[str, ...] = ()

    def table(self) -> pd.DataFrame:
        """One row per label: the three shares, each with its bounds and their rule."""
        parts = {"so_far": self.so_far, "within": self.within, "eventually": self.eventually}
        columns: dict[str, pd.Series] = {}
        for name, part in parts.items():
            if part is not None:
                frame = part.to_frame()
                columns |= {name: frame["mean"], f"{name}_lower": frame["lower"], f"{name}_upper": frame["upper"],
                            f"{name}_interval": frame["interval"]}  # fmt: skip
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        said = [f"  {name}: {part.description}" for name, part in (("so far", self.so_far), ("within", self.within),
                                                                   ("eventually", self.eventually)) if part is not None]  # fmt: skip
        return "\n".join(["<Converted", *said, f"{self.table()}>"])

    def _repr_html_(self) -> str:
        return self.table().to_html(float_format="{:.3g}".format)


def so_far(
    advanced: np.ndarray, entered: np.ndarray, *, coords: Mapping[str, Sequence[Any]], rng: np.random.Generator,
    shape: tuple[int, int], unit: str,
) -> Estimate:  # fmt: skip
    """Share advanced by the end of observation: Wilson bounds, and draws of a Jeffreys posterior for arithmetic.

    Parameters
    ----------
    advanced, entered : ndarray
        Counts; a cell that nobody entered has the whole of (0, 1).
    coords : mapping
        Labels of their axes.
    rng, shape
        Of the draws (chains, draws).
    unit : str
        Of age.
    """
    dims = tuple(coords)
    draws = rng.beta(0.5 + advanced, 0.5 + entered - advanced, size=(*shape, *np.shape(advanced)))
    wilson, some = Interval(kind="wilson"), entered > 0
    lower, upper = wilson.of_counts(advanced, np.maximum(entered, 1))
    shares = (np.where(some, advanced / np.maximum(entered, 1), 0.5), np.where(some, lower, 0.0), np.where(some, upper, 1.0))
    point, low, high = (xr.DataArray(part, dims=dims, coords=dict(coords)) for part in shares)
    form = ClosedForm(point, low, high, wilson)
    words = f"share advanced so far, of those who entered and were watched for a {unit} at least"
    return Estimate(
        draws=xr.DataArray(draws, dims=(*SAMPLE_DIMS, *dims), coords=dict(coords)), description=words, closed_form=form
    )
