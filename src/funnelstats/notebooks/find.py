"""Which notebooks come with the package, and what can be set in each?

A notebook is a program: its cell tagged ``parameters`` holds literals, which a run may replace.
"""

import ast
import copy
import difflib
import fnmatch
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from funnelstats.bundle import bundled_path
from funnelstats.errors import DataError, Problem

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}")
_WIDGETS = "application/vnd.jupyter.widget-view+json"


def find_notebooks(patterns: Sequence[str] = (), *, folder: Path | None = None) -> list[Path]:
    """Find numbered notebooks.

    Parameters
    ----------
    patterns : sequence of str
        Beginnings of names (``"21"``, ``"2"``) or shell patterns (``"*funnel*"``); all notebooks when empty.
    folder : Path, optional
        Where to look; the bundled notebooks by default.

    Returns
    -------
    list of Path
        In the order of their numbers.

    Raises
    ------
    DataError
        A pattern that no notebook answers to, with the names there are.
    """
    folder = bundled_path("notebooks") if folder is None else folder
    known = {path.stem: path for path in sorted(folder.glob("[0-9]*.ipynb"))}
    chosen: set[str] = set()
    problems = []
    for pattern in patterns or ["*"]:
        wanted = pattern.removesuffix(".ipynb")
        found = {name for name in known if name.startswith(wanted) or fnmatch.fnmatch(name, wanted)}
        if not found:
            close = difflib.get_close_matches(wanted, known, n=1)
            fix = (f"did you mean {close[0]!r}? " if close else "") + f"there are {', '.join(known) or 'none'}"
            problems.append(Problem("pattern", f"expected the beginning of a notebook's name, found {pattern!r}", fix))
        chosen |= found
    if problems:
        raise DataError(f"the notebooks in {folder}", problems)
    return [path for name, path in known.items() if name in chosen]


def read_notebook(path: Path) -> Any:
    """Read a notebook in the current format."""
    import nbformat

    return nbformat.read(path, as_version=4)


def title_of(notebook: Any) -> str:
    """First heading, without its mark."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = re.search(r"^#\s+(.+)$", text, flags=re.MULTILINE)
    return found.group(1).strip() if found else ""


def declared_parameters(notebook: Any) -> dict[str, Any]:
    """Names and literal values in the cell tagged ``parameters``.

    Raises
    ------
    DataError
        A line there that is not ``name = literal``.
    """
    values: dict[str, Any] = {}
    problems = []
    for cell in notebook.cells:
        if "parameters" not in cell.metadata.get("tags", []):
            continue
        for line in ast.parse(cell.source).body:
            try:
                values |= _literal(line)
            except ValueError:
                problems.append(Problem(f"line {line.lineno}", f"expected name = literal, found {ast.unparse(line)!r}"))
    if problems:
        raise DataError("the parameters cell", problems)
    return values


def _literal(line: ast.stmt) -> dict[str, Any]:
    match line:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return {name: ast.literal_eval(value)}
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return {name: ast.literal_eval(value)}
    raise ValueError


def given_settings(settings: Sequence[str], notebooks: Sequence[Path]) -> dict[str, Any]:
    """Read ``name=value`` for parameters of these notebooks.

    Parameters
    ----------
    settings : sequence of str
        The value is a literal (``draws=500``) or plain text; the path of a file that is there is made independent of the folder.
    notebooks : sequence of Path
        At least one of them must declare the name.

    Raises
    ------
    DataError
        A setting without ``=``, or a name that no notebook declares, with the names there are.
    """
    known = sorted({name for path in notebooks for name in declared_parameters(read_notebook(path))})
    values: dict[str, Any] = {}
    problems = []
    for setting in settings:
        name, sign, text = (part.strip() for part in setting.partition("="))
        if not sign:
            problems.append(Problem("--set", f"expected name=value, found {setting!r}"))
        elif name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            problems.append(Problem("--set", f"expected a parameter of a notebook, found {name!r}", fix))
        else:
            values[name] = _value(text)
    if problems:
        raise DataError("the settings of this run", problems)
    return values


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        path = Path(text).expanduser()
        return str(path.resolve()) if path.exists() else text


def tidy(notebook: Any) -> Any:
    """Copy an executed notebook without what changes from run to run: times, the machine's versions, addresses, widget state."""
    clean = copy.deepcopy(notebook)
    clean.metadata = type(clean.metadata)(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"}, language_info={"name": "python"}
    )
    for cell in clean.cells:
        for name in ("papermill", "execution", "collapsed", "scrolled"):
            cell.metadata.pop(name, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _WIDGETS not in output.get("data", {})]
            for data in (output.data for output in cell.outputs if "text/plain" in output.get("data", {})):
                data["text/plain"] = _ADDRESS.sub("", data["text/plain"])
    return clean


def copy_notebooks(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy the bundled notebooks to ``folder``; a file that is there stays as it is.

    Returns
    -------
    tuple of two lists of Path
        Those copied, and those that were there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    targets = [(path, folder / path.name) for path in find_notebooks()]
    kept = [target for _, target in targets if target.exists()]
    copied = [Path(shutil.copyfile(path, target)) for path, target in targets if target not in kept]
    return copied, kept
