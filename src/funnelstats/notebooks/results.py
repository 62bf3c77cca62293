"""Which numbers did a run give, and from which data?"""

import platform
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from funnelstats.data.datasets import dataset_card, dataset_path
from funnelstats.data.fingerprint import sha256_of
from funnelstats.data.public import PREFIX, public_copy, public_set
from funnelstats.errors import DataError
from funnelstats.notebooks.run import Run
from funnelstats.report.cards import Card
from funnelstats.report.citation import identify


def results_of(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that the notebooks published, with the data it comes from; the same run gives the same text."""
    notebooks = [
        {"name": run.name, "title": run.title, "status": "failed" if run.failure else "ok", "data": data_of(run.parameters),
         "sources": sources_of(run.parameters), "parameters": _open(run.parameters), "failure": str(run.failure) if run.failure else None}
        for run in runs
    ]  # fmt: skip
    results = [{"notebook": run.name} | result for run in runs for result in _with_recipes(run)]
    headline = next((result for result in results if result["name"] == "headline"), None)
    if headline is not None:
        headline = headline | {"data": next(row["data"] for row in notebooks if row["name"] == headline["notebook"])}
    return {"package": "funnelstats", "version": version("funnelstats"), "python": platform.python_version(),
            "headline": headline, "notebooks": notebooks, "results": results}  # fmt: skip


# -- the recipe of a notebook's number -------------------------------------------------------------------------------
def _with_recipes(run: Run) -> list[dict[str, Any]]:
    """What a run published; a card without a named quantity gets the notebook itself for a recipe."""
    if not any("card" in result for result in run.results):
        return list(run.results)
    files = {
        _bare(source): source_of(source, folder=run.parameters.get("folder"))["sha256"] for _, source in _named(run.parameters)
    }
    parameters = {name: _bare(value) for name, value in _open(run.parameters).items()}
    # what a mapping says is in the digest of the data, and on the card whole, so it is no part of the question
    reads = {name: value for name, value in parameters.items() if _names(value, files) or name in ("mapping", "mappings")}
    recipe = {"notebook": run.name, "cells": code_digest(run.notebook), "reads": reads, "files": files,
              "parameters": {name: value for name, value in parameters.items() if name not in reads}}  # fmt: skip
    return [_with_recipe(result, recipe) for result in run.results]


def _with_recipe(result: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    card = Card.from_dict(result["card"]) if "card" in result else None
    if card is None or card.recipe.get("quantity"):
        return result
    files = "".join(f"{digest}  {name}\n" for name, digest in sorted(recipe["files"].items()))
    whole = (
        next(iter(recipe["files"].values())) if len(recipe["files"]) == 1 else sha256(files.encode()).hexdigest() if files else ""
    )
    card = replace(card, recipe=card.recipe | recipe | {"result": result["name"]}, file_sha256=card.file_sha256 or whole or "")
    return result | {"card": replace(card, id=identify(card)).to_dict()}


def _open(parameters: dict[str, Any]) -> dict[str, Any]:
    """Without the key of pseudonyms: whoever has it can undo them."""
    return {name: value for name, value in parameters.items() if name != "key"}


def code_digest(notebook: Any) -> str:
    """SHA-256 of the code of a notebook, its parameters left out."""
    tags = ({"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])) for cell in notebook.cells)
    code = [cell.source for cell, tagged in zip(notebook.cells, tags, strict=True) if cell.cell_type == "code" and not tagged]
    return sha256("\n\n".join(code).encode()).hexdigest()


def _bare(value: Any) -> Any:
    """Paths without the folders of this machine."""
    if isinstance(value, list):
        return [_bare(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _names(value: Any, files: dict[str, Any]) -> bool:
    return any(isinstance(one, str) and one in files for one in (value if isinstance(value, list) else [value]))


# -- the data ----------------------------------------------------------------------------------------------------------
#: Parameters that name data whatever they hold; any other does when it names a bundled or public table, or a file that is there.
SOURCES = ("data", "orders", "periods")
#: Parameters that hold a file without being data.
_BESIDE = ("mapping", "mappings", "folder")


def data_of(parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Name the data a notebook read: source, SHA-256, end of observation, mapping; None when it takes no data.

    Its own data are the first that it declares, and it is they whose end of observation and mapping its parameters give.
    """
    first = next(iter(_named(parameters)), None)
    if first is None:
        return None
    found = source_of(first[1], folder=parameters.get("folder"))
    return found | {key: parameters[key] for key in ("as_of", "mapping") if isinstance(parameters.get(key), str)}


def sources_of(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """All data that a notebook was told to read, each with the parameter that named it."""
    return [{"parameter": name} | source_of(source, folder=parameters.get("folder")) for name, source in _named(parameters)]


def source_of(source: str, *, folder: str | None = None) -> dict[str, Any]:
    """Describe one source; a public table has the SHA-256 of the copy that was read and, besides, that of its content, the same for every copy."""
    known: dict[str, Any] = {"source": source, "sha256": None, "as_of": None, "mapping": None}
    try:
        return known | _described(source, folder)
    except DataError:  # no such table: the notebook has said so
        return known


def _described(source: str, folder: str | None) -> dict[str, Any]:
    if source.startswith("bundled:"):
        name = source.removeprefix("bundled:")
        card = dataset_card(name.split("/")[0])
        return {"sha256": sha256_of(dataset_path(name)), "as_of": card.as_of or None, "mapping": card.mapping or None}
    if source.startswith(PREFIX):
        spec, copy = public_set(source), public_copy(source, folder=folder)
        return {"sha256": sha256_of(copy) if copy else None, "content_sha256": spec.digest, "as_of": spec.as_of or None}
    return {"sha256": sha256_of(Path(source))}


def _named(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    """Parameter and source, in the order in which they are declared."""
    texts = [(name, value) for name, given in parameters.items() if name not in _BESIDE
             for value in (given if isinstance(given, list) else [given]) if isinstance(value, str) and value]  # fmt: skip
    return [(name, value) for name, value in texts
            if name in SOURCES or value.startswith(("bundled:", PREFIX)) or Path(value).is_file()]  # fmt: skip


def sentence_of(result: dict[str, Any]) -> str:
    """The sentence a result came with, or one made of its parts."""
    if result.get("sentence"):
        return str(result["sentence"])
    if result.get("point") is None:
        return f"{result['description']}: no number"
    unit = f" {result['unit']}" if result.get("unit") else ""
    bounds = f"{result['interval']}: {result['lower']:.4g} to {result['upper']:.4g}"
    return f"{result['description']}: {result['point']:.4g}{unit} ({bounds})"
