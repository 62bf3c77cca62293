"""Pages that are made from what there is, each time the documentation is built: priors of the models, and llms.txt."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import nbformat

import funnelstats
from funnelstats.inference.priors import Prior

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: Arguments without which a model cannot be made; they change no prior.
NEEDED = {"groups": ("owner",)}


def priors_table() -> str:
    """Return the default priors of all public models as a Markdown table."""
    rows = ["| model | parameter | prior | median | 5 % | 95 % |", "|---|---|---|---:|---:|---:|"]
    for name in funnelstats.__all__:
        model = getattr(funnelstats, name)
        if not (inspect.isclass(model) and dataclasses.is_dataclass(model) and callable(getattr(model, "fit", None))):
            continue
        needed = {f.name: NEEDED[f.name] for f in dataclasses.fields(model) if f.name in NEEDED}
        made = model(**needed)
        for field in dataclasses.fields(model):
            prior = getattr(made, field.name)
            if isinstance(prior, Prior):
                low, middle, high = prior._frozen.ppf([0.05, 0.5, 0.95])
                rows.append(f"| `{name}` | `{field.name}` | {prior} | {middle:.3g} | {low:.3g} | {high:.3g} |")
    return "\n".join(rows) + "\n"


def llms_text() -> str:
    """Return llms.txt: what the package is, its pages, its notebooks and its public names, one line each."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = ["# funnelstats", "", "> " + " ".join(readme.split("\n\n")[1].split()), ""]
    lines += ["Rules: every fit takes seed=; as_of is the end of observation and must be given; every number is an Estimate with",
              "draws, unit and interval; NotIdentified(reason) stands where the data cannot say; open deals are not lost.", ""]  # fmt: skip
    lines += ["## Pages", ""]
    lines += [
        f"- [{_title(path)}]({path.stem}.html)" for path in sorted(HERE.glob("*.md")) if path.stem not in ("index", "reference")
    ]
    lines += ["- [Reference](reference.html)", "", "## Notebooks", ""]
    lines += [f"- [{title}](notebooks/{path.stem}.html): {question}" for path, title, question in notebooks()]
    lines += ["", "## Public names (from funnelstats import ...)", ""]
    lines += [f"- [{name}](generated/funnelstats.{name}.html): {_first(name)}" for name in funnelstats.__all__]
    lines += ["", "## Modules", ""]
    for path in sorted((ROOT / "src" / "funnelstats").rglob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if said and path.name != "__init__.py":
            lines.append(f"- {path.relative_to(ROOT / 'src').as_posix()}: {' '.join(said.split(chr(10) * 2)[0].split())}")
    return "\n".join(lines) + "\n"


def notebooks() -> list[tuple[Path, str, str]]:
    """Return path, title and first question of each notebook, in the order of the article."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        parts = [part for part in nbformat.read(path, 4).cells[0].source.split("\n\n") if part.strip()]
        found.append((path, parts[0].lstrip("# ").strip(), " ".join(parts[2].split()) if len(parts) > 2 else ""))
    return found


def _title(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if included := re.search(r"```\{include\} (\S+)", text):
        text = text if text.startswith("# ") else (path.parent / included[1]).read_text(encoding="utf-8")
    return re.search(r"^# (.+)$", text, flags=re.MULTILINE)[1]


def _first(name: str) -> str:
    said = inspect.getdoc(getattr(funnelstats, name)) or ""
    return " ".join(said.split("\n\n")[0].split())
