"""How are the special functions of a density spelled for a sampler? By the names of ``distributions.ops``, in PyTensor.

Import this module only where a model is built for sampling: it loads PyTensor.
"""

from typing import Any

from numpy import inf
from pytensor.tensor import as_tensor_variable, exp, expm1, gammaln, log, log1p, logaddexp, maximum, minimum, where
from pytensor.tensor import max as largest
from pytensor.tensor import sum as total
from pytensor.tensor.special import betaln

__all__ = [
    "betaln", "exp", "expm1", "gammaln", "inf", "largest", "log", "log1p", "logaddexp", "maximum", "minimum", "total", "where",
    "widen",
]  # fmt: skip


def widen(x: Any) -> Any:
    """Add an axis at the end, for a sum over nodes or periods."""
    return as_tensor_variable(x)[..., None]
