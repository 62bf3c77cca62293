"""Is the house built as docs/architecture.md draws it: imports one way, small modules, one list of dependencies?"""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import funnelstats

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "funnelstats"
MODULES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()

each_module = pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(SOURCE)) for path in MODULES])

LEAVES = {"errors", "digits", "units", "window", "interval", "estimate"}
#: Layer -> layers it may import; itself always.
MAY_IMPORT = {
    "errors": set(),
    "digits": set(),
    "bundle": set(),
    "distributions": set(),
    "units": {"errors"},
    "window": {"errors"},
    "interval": {"errors"},
    "estimate": {"errors", "digits", "units", "window", "interval"},
    "data": {"errors", "window", "bundle", "distributions"},
    "inference": {"errors", "interval", "distributions"},
    "models": {*LEAVES, "data", "distributions", "inference"},
    "decisions": {*LEAVES, "data", "distributions", "models"},
    "report": {*LEAVES, "bundle", "data", "distributions", "inference", "models", "decisions"},
}
MAY_IMPORT["notebooks"] = set(MAY_IMPORT)
MAY_IMPORT["cli_report"] = {*LEAVES, "data", "report"}
MAY_IMPORT["cli_cite"] = {*MAY_IMPORT["cli_report"], "notebooks"}
MAY_IMPORT["cli"] = {*MAY_IMPORT, "notebooks"}
MAY_IMPORT["__init__"] = set()

#: Third-party package -> the only layers that may import it.
ONLY_IN = {
    "pymc": {"inference"}, "pytensor": {"inference"}, "arviz": {"inference"}, "arviz_base": {"inference"},
    "arviz_stats": {"inference"}, "nutpie": {"inference"},
    "matplotlib": {"report"}, "great_tables": {"report"}, "arviz_plots": {"report"},
    "papermill": {"notebooks"}, "nbconvert": {"notebooks"}, "typer": {"cli", "cli_cite", "cli_report"}, "docx": {"report"}, "openpyxl": {"report"},
}  # fmt: skip


def layer_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def module_of(path):
    return ".".join(["funnelstats", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")


NAMES = {module_of(path) for path in MODULES}


def git_files(*where):
    """Files that git knows; none where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z", *where], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {ROOT / name for name in filter(None, listed.split("\0"))}


def imports(tree):
    """Every imported module, with the node: ``from funnelstats.data import crm`` is ``funnelstats.data.crm``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in NAMES else node.module), node


def wrong_imports(path, text):
    """What the layers forbid in the text of the module at ``path``."""
    layer, wrong = layer_of(path), []
    for name, node in imports(ast.parse(text)):
        first, *rest = name.split(".")
        if first == "funnelstats":
            target = rest[0] if rest else "__init__"
            if target != layer and target not in MAY_IMPORT[layer]:
                wrong.append(f"{layer} imports {name}")
            # the one module that loads PyTensor on import, which nobody should pay for before a sampler is asked for
            if node.col_offset and name != "funnelstats.inference.tensors":
                wrong.append(f"line {node.lineno}: {name} is imported inside a block; imports of the package stand at the top")
        elif layer == "distributions" and first not in {"numpy", "scipy", *sys.stdlib_module_names}:
            wrong.append(f"distributions imports {name}: NumPy and SciPy only")
        elif layer not in ONLY_IN.get(first, {layer}):
            wrong.append(f"{layer} imports {name}: only {', '.join(ONLY_IN[first])} may")
    return wrong


@each_module
def test_imports_run_one_way(path):
    assert wrong_imports(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("where", "text", "complaints"),
    [
        ("models/x.py", "from funnelstats.report.figures import plot", 1),
        ("models/x.py", "import matplotlib.pyplot as plt", 1),
        ("models/x.py", "def f():\n    import pymc", 1),
        ("data/x.py", "from funnelstats import estimate", 1),
        ("data/x.py", "def f():\n    from funnelstats.window import DAYS_PER", 1),
        ("distributions/x.py", "import pandas, numpy, math", 1),
        ("errors.py", "from funnelstats.units import same", 1),
        ("decisions/x.py", "from funnelstats.models.rates import step_rates\nimport pandas", 0),
    ],
)
def test_a_wrong_import_is_seen(where, text, complaints):
    assert len(wrong_imports(SOURCE / where, text)) == complaints


def test_no_import_cycle():
    graph = {
        module_of(path): {name for name, _ in imports(ast.parse(path.read_text(encoding="utf-8"))) if name in NAMES}
        for path in MODULES
    }
    done: set[str] = set()

    def visit(name, trail):
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in graph[name] - {name}:
                visit(target, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])
    assert done == NAMES


@each_module
def test_modules_stay_small(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 300


@each_module
def test_module_says_what_it_is_for(path):
    first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
    assert len(first) > 15


def test_no_drawer_module():
    assert [path.name for path in MODULES if path.stem in {"utils", "helpers", "common", "misc"}] == []


def test_public_names_are_defined_where_the_table_says():
    for name in funnelstats.__all__:
        value = getattr(funnelstats, name)
        home = importlib.import_module(f"funnelstats.{funnelstats._PUBLIC[name]}")
        assert value is getattr(home, name)
        assert getattr(value, "__module__", home.__name__) == home.__name__, f"{name} is only passed through {home.__name__}"
        assert value.__doc__, f"{name} has no docstring"
    assert dir(funnelstats) == sorted([*funnelstats.__all__, "__version__"])
    assert funnelstats.__version__ == PROJECT["version"]
    with pytest.raises(AttributeError, match="did you mean 'read_crm'"):
        funnelstats.read_cmr  # noqa: B018


def test_import_loads_no_engine_and_no_sampler():
    code = "import funnelstats, json, sys; dir(funnelstats); print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout))
    assert "funnelstats" in loaded
    assert {
        "pymc",
        "pytensor",
        "arviz",
        "numba",
        "pandas",
        "ibis",
        "duckdb",
        "matplotlib",
        "scipy",
        "statsmodels",
    } & loaded == set()


def test_architecture_page_lists_every_module():
    """Modules that git does not know yet are left aside: ``make inventory`` lists what is committed."""
    tracked = git_files("src")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([\w/]+\.py)` \|", page, flags=re.MULTILINE)
    there = [
        path.relative_to(SOURCE).as_posix()
        for path in MODULES
        if (path.name != "__init__.py" or path.parent == SOURCE) and (not tracked or path in tracked)
    ]
    assert sorted(listed) == sorted(there), "make inventory"


# -- dependencies -----------------------------------------------------------------------------------------------------

#: Name on PyPI -> name on conda-forge, where they differ.
CONDA = {"ibis-framework[duckdb]": "ibis-duckdb", "matplotlib": "matplotlib-base", "jupyter-client": "jupyter_client"}
EXTRAS = ("test", "docs", "bench", "build")


def requirements():
    return [*PROJECT["dependencies"], *(line for extra in EXTRAS for line in PROJECT["optional-dependencies"][extra])]


def test_environment_is_the_twin_of_pyproject():
    twin = yaml.safe_load((ROOT / "environment.yml").read_text())
    wanted = {f"python{PROJECT['requires-python']}", "pip"}
    for line in requirements():
        name = re.match(r"[\w.\-]+(\[[\w,]+\])?", line)[0]
        wanted.add(CONDA.get(name, name) + line[len(name) :])
    assert set(twin["dependencies"]) == wanted
    assert len(twin["dependencies"]) == len(wanted)
    assert twin["channels"] == ["conda-forge"]


def test_lock_pins_every_requirement_with_hashes_and_no_address():
    assert "://" not in LOCK
    assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links|-f|-e)\b", LOCK, flags=re.MULTILINE)
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK.strip())
    pins: dict[str, list[str]] = {}
    for block in blocks:
        found = re.match(r"([A-Za-z0-9_.\-]+)==([^\s;\\]+)", block)
        assert found, f"not pinned: {block[:60]}"
        assert "--hash=sha256:" in block, f"no hash: {found[0]}"
        pins.setdefault(canonicalize_name(found[1]), []).append(found[2])
    for line in requirements():
        wanted = Requirement(line)
        assert canonicalize_name(wanted.name) in pins, f"make lock: {line} is not in requirements.lock"
        for version in pins[canonicalize_name(wanted.name)]:
            assert wanted.specifier.contains(version), f"make lock: {line} is pinned to {version}"


def test_wheel_holds_notebooks_and_data(tmp_path):
    """An unpacked wheel finds what it brings, with nothing of this checkout on the path."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    code = "import funnelstats.bundle as b; print(*map(b.bundled_path, ('data', 'notebooks', 'docs')), sep='\\n')"
    alone = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=alone, check=True, capture_output=True, text=True
    ).stdout
    for kind, found in zip(("data", "notebooks", "docs"), said.splitlines(), strict=True):
        assert Path(found) == tmp_path / "site" / "funnelstats" / "_bundled" / kind
        committed = [path for path in (ROOT / kind).rglob("*") if path.is_file() and "/." not in str(path)]
        if kind == "docs":  # the pages with measurements
            committed = [ROOT / kind / "calibration.md", ROOT / kind / "benchmarks.md"]
        assert committed
        for path in committed:
            assert (Path(found) / path.relative_to(ROOT / kind)).read_bytes() == path.read_bytes()


def test_repository_names_no_folder_of_one_machine():
    files = git_files()
    if not files:
        pytest.skip("not a git checkout")
    pattern = re.compile(rb"(?<![\w.~}])/(?:home|root|Users|work|shared|mnt)/\w")
    named = []
    for path in files:
        if path.is_file() and path != Path(__file__).resolve() and path.suffix not in {".lock", ".gz", ".parquet", ".png"}:
            found = pattern.search(path.read_bytes())
            if found:
                named.append(f"{path.relative_to(ROOT)}: {found[0].decode()}")
    assert named == []
