"""Which special functions may a density use? Those named here, in NumPy's spelling.

A density takes a namespace ``xp``: this module for arrays, ``inference.tensors`` for PyTensor. One formula then serves
likelihood, prediction, simulation and sampling.
"""

from typing import Any

import numpy as np
from numpy import exp, expm1, inf, log, log1p, logaddexp, maximum, minimum, where
from numpy import max as largest
from numpy import sum as total
from scipy.special import betaln, gammaln

__all__ = [
    "betaln", "exp", "expm1", "gammaln", "inf", "largest", "log", "log1p", "logaddexp", "maximum", "minimum", "total", "where",
    "widen",
]  # fmt: skip


def widen(x: Any) -> Any:
    """Add an axis at the end, for a sum over nodes or periods; a plain number becomes an array of one."""
    return np.asarray(x)[..., None]
