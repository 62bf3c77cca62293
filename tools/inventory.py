"""Write the inventory of docs/architecture.md anew: one line for each module, with what its docstring says it answers."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "funnelstats"
PAGE = ROOT / "docs" / "architecture.md"
HEADING = "## Inventory\n"
TITLES = {
    "": "Leaves and doors",
    "data": "`data/`: what was observed",
    "distributions": "`distributions/`: what could have produced it",
    "inference": "`inference/`: how draws are obtained",
    "models": "`models/`: the two joined",
    "decisions": "`decisions/`: what follows",
    "report": "`report/`: how to say it",
    "notebooks": "`notebooks/`: the notebooks as programs",
}


def modules() -> list[Path]:
    """Return the modules that git knows; all of them where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z", "src"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    known = {ROOT / name for name in filter(None, listed.split("\0"))}
    return [path for path in sorted(SOURCE.rglob("*.py")) if not known or path in known]


def inventory() -> str:
    """Return the tables, folder by folder."""
    rows: dict[str, list[str]] = {}
    for path in modules():
        relative = path.relative_to(SOURCE)
        if path.name == "__init__.py" and len(relative.parts) > 1:
            continue
        said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        said = " ".join(said.split()).replace("``", "`").replace("|", "\\|")
        rows.setdefault(relative.parts[0] if len(relative.parts) > 1 else "", []).append(f"| `{relative.as_posix()}` | {said} |")
    tables = [
        f"### {TITLES[name]}\n\n| module | what it answers |\n|---|---|\n" + "\n".join(rows[name])
        for name in TITLES
        if name in rows
    ]
    return "\n\n".join(tables) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(text[: text.index(HEADING) + len(HEADING)] + "\n" + inventory(), encoding="utf-8")
