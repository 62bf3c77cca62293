"""Which numbers did a run give, and from which data?"""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from funnelstats.data.datasets import dataset_card, dataset_path
from funnelstats.data.fingerprint import sha256_of
from funnelstats.notebooks.run import Run


def results_of(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that the notebooks published, with the data it comes from; the same run gives the same text."""
    notebooks = [
        {"name": run.name, "title": run.title, "status": "failed" if run.failure else "ok", "data": data_of(run.parameters),
         "parameters": run.parameters, "failure": str(run.failure) if run.failure else None}
        for run in runs
    ]  # fmt: skip
    results = [{"notebook": run.name} | result for run in runs for result in run.results]
    headline = next((result for result in results if result["name"] == "headline"), None)
    if headline is not None:
        headline = headline | {"data": next(row["data"] for row in notebooks if row["name"] == headline["notebook"])}
    return {"package": "funnelstats", "version": version("funnelstats"), "python": platform.python_version(),
            "headline": headline, "notebooks": notebooks, "results": results}  # fmt: skip


#: Parameters that name data, the first that a notebook declares being its own.
SOURCES = ("data", "orders", "periods")


def data_of(parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Name the data a notebook read: source, SHA-256, end of observation, mapping; None when it takes no data."""
    source = next((parameters[name] for name in SOURCES if parameters.get(name)), None)
    if not source:
        return None
    as_of, mapping, path = parameters.get("as_of"), parameters.get("mapping"), Path(str(source))
    if str(source).startswith("bundled:"):
        name = str(source).removeprefix("bundled:")
        card, path = dataset_card(name), dataset_path(name)
        as_of, mapping = as_of or card.as_of or None, mapping or card.mapping or None
    return {"source": str(source), "sha256": sha256_of(path), "as_of": as_of, "mapping": mapping}


def sentence_of(result: dict[str, Any]) -> str:
    """The sentence a result came with, or one made of its parts."""
    if result.get("sentence"):
        return str(result["sentence"])
    if result.get("point") is None:
        return f"{result['description']}: no number"
    unit = f" {result['unit']}" if result.get("unit") else ""
    bounds = f"{result['interval']}: {result['lower']:.4g} to {result['upper']:.4g}"
    return f"{result['description']}: {result['point']:.4g}{unit} ({bounds})"
