"""How the documentation is built: Sphinx, MyST, the committed outputs of the notebooks, formulas as MathML."""

import shutil
import sys
from importlib.metadata import version as installed_version
from itertools import groupby
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

import funnelstats

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
from generate import llms_text, priors_table  # noqa: E402

project = "funnelstats"
author = "The funnelstats authors"
copyright = "2026, The funnelstats authors"
version = release = installed_version("funnelstats")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode", "numpydoc"]
html_theme = "furo"
html_title = "funnelstats"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_extra_path = ["generated/llms.txt"]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]
html_math_renderer = "mathml"

nb_execution_mode = "off"  # what readers see is what was committed
nb_mime_priority_overrides = [("html", "application/vnd.funnelstats.result+json", None)]
myst_enable_extensions = ["dollarmath", "deflist", "attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]  # the machine-readable twin of a published sentence

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False

# -- pages made from what there is: notebooks are read where Sphinx looks, the reference lists the public names -------

shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(ROOT / "notebooks", HERE / "notebooks", ignore=shutil.ignore_patterns(".*"))

TITLES = {
    "data": "What was observed", "models": "The two joined: models of conversion", "decisions": "What follows",
    "report": "How to say it", "inference": "How draws are obtained", "distributions": "What could have produced the data",
}  # fmt: skip


def _layer(name: str) -> str:
    module = funnelstats._PUBLIC[name]
    return module.split(".")[0] if "." in module else ""


page = ["# Reference", "", "Every name below is imported from `funnelstats` itself.", ""]
order = ["", *TITLES]
for layer, names in groupby(sorted(funnelstats.__all__, key=lambda name: (order.index(_layer(name)), name.lower())), key=_layer):
    page += [f"## {TITLES.get(layer, 'Values, units and errors')}", "", "```{eval-rst}", ".. autosummary::"]
    page += ["   :toctree: generated", "   :nosignatures:", "", *(f"   funnelstats.{name}" for name in names), "```", ""]
(HERE / "reference.md").write_text("\n".join(page), encoding="utf-8")

(HERE / "generated").mkdir(exist_ok=True)
(HERE / "generated" / "priors.txt").write_text(priors_table(), encoding="utf-8")
(HERE / "generated" / "llms.txt").write_text(llms_text(), encoding="utf-8")

# -- formulas as MathML: the pages need nothing from outside -----------------------------------------------------------


def _inline(self, node):
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(self, node):
    self.body.append(f"<div class='math'>{convert(node.astext().replace('{aligned}', '{split}'), display='block')}</div>")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
