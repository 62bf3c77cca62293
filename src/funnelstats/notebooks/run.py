"""What does a notebook say about these data?

A run replaces values of the parameters cell, executes the cells in a kernel of this interpreter, and collects the results
that cells displayed (``application/vnd.funnelstats.result+json``), in the order of the reading.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from funnelstats.notebooks.find import declared_parameters, read_notebook, title_of
from funnelstats.report.say import RESULT_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a notebook stopped.

    Attributes
    ----------
    cell : int
        Place of the cell in the notebook, counted from 1; 0 when no single cell is to blame.
    line : str
        First line of that cell.
    cause : str
        Name and message of the error.
    """

    cell: int
    line: str
    cause: str

    def __str__(self) -> str:
        return f"cell {self.cell} ({self.line}): {self.cause}" if self.cell else self.cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One notebook after its run.

    Attributes
    ----------
    name, title : str
        File name without its ending; first heading.
    parameters : dict
        The values it ran with.
    notebook : NotebookNode or None
        With outputs; None when it failed.
    results : tuple of dict
        What it published, in order.
    failure : Failure or None
        Why it stopped.
    """

    name: str
    title: str
    parameters: dict[str, Any]
    notebook: Any = None
    results: tuple[dict[str, Any], ...] = ()
    failure: Failure | None = None


class _ThisInterpreter(AsyncKernelManager):
    """Start kernels with the running interpreter, whatever another environment has registered as ``python3``."""

    @property
    def kernel_spec(self) -> KernelSpec:
        # what a cell raises comes as a message; on stderr a kernel only talks about its sockets
        return KernelSpec(**get_kernel_dict(extra_arguments=["--log-level=CRITICAL"]))


def run_notebook(
    path: Path, *, parameters: Mapping[str, Any] | None = None, folder: Path | None = None,
    on_cell: Callable[[], object] = lambda: None,
) -> Run:  # fmt: skip
    """Run a notebook from top to bottom; nothing is written.

    Parameters
    ----------
    path : Path
        The notebook.
    parameters : mapping
        Values to put in place of those declared; names that the notebook does not declare are left out.
    folder : Path, optional
        Working folder of the kernel.
    on_cell : callable
        Called after each code cell.

    Returns
    -------
    Run
        With a :class:`Failure` instead of a notebook when a cell raised.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    source = read_notebook(path)
    declared = declared_parameters(source)
    given = {name: value for name, value in (parameters or {}).items() if name in declared}
    if "data" in (parameters or {}) and "data" not in declared:  # what was said of other data holds for them alone
        given = {name: value for name, value in given.items() if name not in ("mapping", "as_of")}
    about: dict[str, Any] = {"name": path.stem, "title": title_of(source), "parameters": declared | given}
    try:
        done = papermill.execute_notebook(
            str(path), None, parameters=given, kernel_name="python3", language="python", progress_bar=False,
            cwd=None if folder is None else str(folder), kernel_manager_class=_ThisInterpreter,
            on_cell_executed=lambda **_: on_cell(),
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        at = error.cell_index - (1 if given and _first_tagged(source) < error.cell_index else 0)
        first = error.source.strip().split("\n")[0]
        return Run(**about, failure=Failure(cell=at + 1, line=first, cause=f"{error.ename}: {error.evalue}"))
    except DeadKernelError:
        return Run(**about, failure=Failure(cell=0, line="", cause="the kernel died, most often for lack of memory"))
    return Run(**about, notebook=done, results=published(done))


def _first_tagged(notebook: Any) -> int:
    """Place of the parameters cell; the values given are injected right after it."""
    return next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))


def published(notebook: Any) -> tuple[dict[str, Any], ...]:
    """Results that an executed notebook displayed, in order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return tuple(dict(output.data[RESULT_TYPE]) for output in outputs if RESULT_TYPE in output.get("data", {}))
