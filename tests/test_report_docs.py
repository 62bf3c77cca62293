"""Does the documentation speak of what there is? Names in its tables, notebooks in its lists, priors as the models have them."""

import importlib.util
import re
from pathlib import Path

import pytest

import funnelstats
from funnelstats.bundle import bundled_path
from funnelstats.notebooks.find import find_notebooks, read_notebook
from funnelstats.report.say import RESULT_TYPE

DOCS = bundled_path("docs")
ROOT = DOCS.parent
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in Path(funnelstats.__file__).parent.rglob("*.py"))


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unknown_names(cell):
    """Names in the code of a table's cell that the package does not have."""
    code = " ".join(re.findall(r"`([^`]+)`", cell))
    code = re.sub(r'"[^"]*"', '""', code)
    called = re.findall(r"(\.?)\b([A-Za-z_]\w*)(?=\()", code)
    wrong = [name for dot, name in called if not dot and name not in funnelstats.__all__]
    wrong += [name for dot, name in called if dot and f"def {name}(" not in SOURCES]
    bare = re.findall(r"(?<![.\w=])([A-Z]\w+)(?![\w(=])", code)
    return wrong + [name for name in bare if name not in funnelstats.__all__]


def rows_of(page, place):
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [re.split(r"(?<!\\)\|", line)[place + 1] for line in lines if line.startswith("| ") and not line.startswith("|---")]


def test_what_stands_for_other_tools_is_in_the_package():
    cells = rows_of("coming_from.md", 1)
    assert len(cells) > 50
    assert {cell: found for cell in cells if (found := unknown_names(cell))} == {}


@pytest.mark.parametrize(("cell", "wrong"), [
    ("`BgNbd().fit(x, seed=1)`", []),
    ("`BetaGeo().fit(x)`", ["BetaGeo"]),
    ("`fit.no_such_thing(horizon=2)`", ["no_such_thing"]),
    ("`NoSuchModel` and more", ["NoSuchModel"]),
    ('`read_crm("Export.csv")`', []),
])  # fmt: skip
def test_a_name_that_is_not_there_is_seen(cell, wrong):
    assert unknown_names(cell) == wrong


def test_every_notebook_is_in_the_readme_and_on_the_site(generate):
    names = [path.stem for path in find_notebooks()]
    listed = re.findall(r"^\| `(\d\d_\w+)` \| .+\? \|$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert listed == names
    assert "notebooks/*\n" in (DOCS / "index.md").read_text(encoding="utf-8")
    text = generate.llms_text()
    assert [name for name in names if f"(notebooks/{name}.html): " not in text] == []


def test_llms_names_every_page_and_name(generate):
    text = generate.llms_text()
    pages = [path.stem for path in DOCS.glob("*.md") if path.stem != "index"]
    assert [page for page in [*pages, "reference"] if f"]({page}.html)" not in text] == []
    assert [name for name in funnelstats.__all__ if not re.search(rf"^- \[{name}\]\(.+\): \S", text, flags=re.MULTILINE)] == []


def test_pages_are_in_the_table_of_contents():
    trees = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    entries = {line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")}
    assert {path.stem for path in DOCS.glob("*.md")} - {"index", "reference"} <= entries


def test_priors_are_those_of_the_models(generate):
    table = generate.priors_table()
    for line in (
        "| `BetaBinomial` | `mean` | beta(a=1, b=1) | 0.5 | 0.05 | 0.95 |",
        "| `Chain` | `slope` | normal(mean=0, sd=1) | 0 | -1.64 | 1.64 |",
    ):
        assert line in table.splitlines()
    models = {
        "HierarchicalConversion",
        "CompetingExits",
        "BgNbd",
        "MbgNbd",
        "ParetoNbd",
        "BgBb",
        "ShiftedBetaGeometric",
        "GammaGamma",
    }
    assert [name for name in models if f"| `{name}` |" not in table] == []


def test_glossary_pairs_the_words_of_the_articles_chapters():
    cells = rows_of("glossary.md", 1)
    chinese = "，".join(cells)
    for word in ("潜在客户", "营销活动", "销售线索", "机会", "成交", "销售漏斗", "客户关系管理", "客户生命周期价值", "销售回报", "转化率",
                 "瓶颈", "客户分层", "复购", "信贷风险", "商品推荐", "促销", "数据安全", "跨部门协作", "客户满意度", "决策支持"):  # fmt: skip
        assert word in chinese, word
    english = rows_of("glossary.md", 0)
    assert len(english) == len(set(english))


# -- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", find_notebooks(), ids=lambda path: path.stem)
def test_a_figure_has_its_numbers_beside_it(path):
    """In the cells around a figure there is a table, or sentences that were computed."""
    code = [cell for cell in read_notebook(path).cells if cell.cell_type == "code"]
    kinds = [{kind for output in cell.get("outputs", []) for kind in output.get("data", {})} for cell in code]
    for place, found in enumerate(kinds):
        if "image/png" in found:
            near = set().union(*kinds[max(place - 3, 0) : place + 4])
            assert near & {"text/html", RESULT_TYPE}, code[place].source[:80]
