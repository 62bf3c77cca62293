"""Does the interval hold the truth? Where a world is simulated, its truth stands beside the estimate."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from funnelstats.errors import DataError, Problem
from funnelstats.estimate import Estimate


def against_truth(estimate: Estimate, truth: pd.Series | Mapping[Any, float] | float, *, quantity: str) -> pd.DataFrame:
    """Put the truth beside an estimate, label by label.

    Parameters
    ----------
    estimate : Estimate
        A number, or one for each label.
    truth : Series, mapping or float
        Label -> truth, with the labels in the order of the estimate's dims; a single number for a single number.
    quantity : str
        What it is, in words.

    Returns
    -------
    DataFrame
        Columns ``quantity, label, truth, estimate, lower, upper, covered, interval``.

    Raises
    ------
    DataError
        Labels whose truth is not given.

    Examples
    --------
    >>> import numpy as np
    >>> rate = Estimate.of(np.random.default_rng(1).beta(50, 50, size=(4000, 2)), description="rate", coords={"stage": ["Lead", "Won"]})
    >>> against_truth(rate, {"Lead": 0.5, "Won": 0.9}, quantity="rate")["covered"].tolist()
    [True, False]
    """
    frame = estimate.to_frame()
    single = isinstance(truth, int | float)
    known = pd.Series([truth], index=frame.index) if single else pd.Series(truth).reindex(frame.index)
    missing = [str(label) for label in frame.index[known.isna().to_numpy()]]
    if missing:
        raise DataError(quantity, [Problem(label, "expected a truth, found none") for label in missing])
    labels = [" | ".join(map(str, label)) if isinstance(label, tuple) else "" if single else str(label) for label in frame.index]
    return pd.DataFrame({
        "quantity": quantity, "label": labels, "truth": known.to_numpy(float), "estimate": frame["mean"].to_numpy(),
        "lower": frame["lower"].to_numpy(), "upper": frame["upper"].to_numpy(),
        "covered": ((frame["lower"] <= known) & (known <= frame["upper"])).to_numpy(), "interval": frame["interval"].to_numpy(),
    })  # fmt: skip
