"""Why can the listing of chapter 5 not run? Its pieces, each run by itself, with the error it really raises.

Pieces that need PyTorch are run where it is installed (``pip install "funnelstats[torch]"``) and are said not to have been run
where it is not: an error is shown only when it was seen.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from funnelstats.errors import DataError, Problem
from funnelstats.models.article import TESTED, training_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One expression of the listing, what it needs, and what is wrong with it."""

    what: str
    code: str
    needs_torch: bool
    remedy: str


PIECES = (
    Piece(
        what="the toolkit is imported",
        code="import torch",
        needs_torch=False,
        remedy="install it, or use least squares, which needs none",
    ),
    Piece(
        what="NumPy arrays are joined as tensors",
        code="torch.cat([L, M], dim=1)",
        needs_torch=True,
        remedy="turn the arrays into tensors first",
    ),
    Piece(
        what="a layer of single precision gets whole numbers",
        code="torch.nn.Linear(2, 1)(torch.from_numpy(np.concatenate([L, M], axis=1)))",
        needs_torch=True,
        remedy="make the arrays float32",
    ),
    Piece(
        what="the loss compares a tensor with an array",
        code="torch.nn.MSELoss()(torch.zeros(5, 1), R)",
        needs_torch=True,
        remedy="make the target a tensor of the same shape",
    ),
    Piece(
        what="the prediction uses leads that were never defined",
        code="[L_test, M_test]",
        needs_torch=False,
        remedy="say how many leads each test level brings: the model needs them",
    ),
    Piece(
        what="a target of shape (5,) meets predictions of shape (5, 1)",
        code="(np.zeros((5, 1)) - R.ravel()).shape",
        needs_torch=False,
        remedy="keep the second dimension: this raises no error and learns the mean",
    ),
)


def torch_available() -> bool:
    """Whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def run_pieces(pieces: Sequence[Piece] = PIECES) -> pd.DataFrame:
    """Run each piece by itself on the article's table.

    Returns
    -------
    DataFrame
        Columns ``piece``, ``code``, ``outcome`` (the error with its message, the value, or that it was not run) and ``remedy``.

    Examples
    --------
    >>> table = run_pieces().set_index("code")
    >>> table.loc["[L_test, M_test]", "outcome"]
    "NameError: name 'L_test' is not defined"
    >>> table.loc["(np.zeros((5, 1)) - R.ravel()).shape", "outcome"]
    'no error: (5, 5)'
    """
    rows = [{"piece": piece.what, "code": piece.code, "outcome": _outcome(piece), "remedy": piece.remedy} for piece in pieces]
    return pd.DataFrame(rows)


def _outcome(piece: Piece) -> str:
    if piece.needs_torch and not torch_available():
        return "not run: PyTorch is not installed here"
    frame = training_table().frame
    names: dict[str, Any] = {name: frame[[name]].to_numpy().astype("int64") for name in ("L", "M", "R")}
    names |= {"np": np, "M_test": np.array(TESTED)[:, None]}
    try:
        if piece.needs_torch:
            exec("import torch", names)
        if piece.code.startswith("import"):
            exec(piece.code, names)
            return "no error"
        return f"no error: {eval(piece.code, names)}"
    except Exception as error:  # whatever it raises is the answer
        return f"{type(error).__name__}: {error}"


def train_with_torch(seed: int, *, steps: int = 100, lr: float = 0.01, start: np.ndarray | None = None) -> dict[str, float]:
    """Train as the corrected listing does, in PyTorch itself; the twin of :func:`funnelstats.models.article_training.train`.

    Parameters
    ----------
    seed : int
    steps : int
    lr : float
    start : ndarray, shape (3,), optional
        Slope of L, slope of M and intercept to start from, in place of PyTorch's own start.

    Returns
    -------
    dict
        ``w_L``, ``w_M``, ``bias`` and ``loss``.

    Raises
    ------
    DataError
        PyTorch is not installed.
    """
    if not torch_available():
        problem = Problem(
            "torch",
            "expected PyTorch, found none",
            "install the extra funnelstats[torch], or use train(), the same steps in NumPy",
        )
        raise DataError("the corrected listing", [problem])
    import torch

    torch.manual_seed(seed)
    frame = training_table().frame
    inputs = torch.tensor(frame[["L", "M"]].to_numpy(), dtype=torch.float32)
    target = torch.tensor(frame[["R"]].to_numpy(), dtype=torch.float32)
    model, criterion = torch.nn.Linear(2, 1), torch.nn.MSELoss()
    if start is not None:
        with torch.no_grad():
            model.weight.copy_(torch.tensor(np.asarray(start)[None, :2], dtype=torch.float32))
            model.bias.copy_(torch.tensor(np.asarray(start)[2:], dtype=torch.float32))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(inputs), target)
        loss.backward()
        optimizer.step()
    loss = criterion(model(inputs), target)
    weight = model.weight.detach().numpy().ravel()
    return {"w_L": float(weight[0]), "w_M": float(weight[1]), "bias": float(model.bias.detach()[0]), "loss": float(loss.detach())}
