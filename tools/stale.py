"""Say which committed notebooks no longer show what a run of them gives; exit 1 when there is one.

Usage: python tools/stale.py build/results.json, after a run on the notebooks' own data.
"""

import json
import sys
from itertools import zip_longest
from pathlib import Path

from funnelstats.notebooks.find import find_notebooks, read_notebook
from funnelstats.notebooks.run import published

report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
stale = []
for path in find_notebooks():
    shown = [(row["name"], row["sentence"]) for row in published(read_notebook(path))]
    given = [(row["name"], row["sentence"]) for row in report["results"] if row["notebook"] == path.stem]
    for one, other in zip_longest(shown, given, fillvalue=("", "nothing")):
        if one != other:
            stale.append(f"{path.stem}\n  committed: {one[1]}\n  this run:  {other[1]}")
if stale:
    print("Run `make notebooks` and commit the outputs, with the reason under 'Numbers changed' in CHANGELOG.md:")
    print("\n".join(stale))
sys.exit(bool(stale))
