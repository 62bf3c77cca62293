"""Does the number of a notebook come out again? Its card names the notebook, the parameters and the files: running it is the recipe.

A number that no named quantity gives, such as one of two sources or of a simulated world, is computed again in this way.
"""

import tempfile
from pathlib import Path
from typing import Any

from funnelstats.errors import DataError, Problem
from funnelstats.notebooks.find import find_notebooks
from funnelstats.notebooks.results import results_of
from funnelstats.notebooks.run import run_notebook
from funnelstats.report.cards import Card
from funnelstats.report.verify import located


def card_again(card: Card, data: Any = None, near: tuple[str, ...] = ()) -> Card:
    """Run the notebook of a card again, and find the card of the same result.

    Parameters
    ----------
    card : Card
        As a run of notebooks left it in ``results.json``.
    data : path, optional
        Where the first of its sources is now.
    near : tuple of str
        Paths and folders in which its files may lie.

    Returns
    -------
    Card

    Raises
    ------
    DataError
        There is no such notebook any more, it fails, or it publishes nothing of that name.
    """
    recipe = card.recipe
    path = next((one for one in find_notebooks() if one.stem == recipe["notebook"]), None)
    if path is None:
        raise DataError(card.id, [Problem(recipe["notebook"], "no notebook of this version is called so")])
    with tempfile.TemporaryDirectory() as working:
        run = run_notebook(path, parameters=_parameters(recipe, data, near), folder=Path(working))
    if run.failure:
        raise DataError(card.id, [Problem(run.name, f"the notebook stopped: {run.failure}")])
    found = [result["card"] for result in results_of([run])["results"] if result["name"] == recipe["result"] and "card" in result]
    if not found:
        raise DataError(card.id, [Problem(run.name, f"the notebook publishes no {recipe['result']!r} with a card")])
    return Card.from_dict(found[0])


def _parameters(recipe: dict[str, Any], data: Any, near: tuple[str, ...]) -> dict[str, Any]:
    """The values of the card, files by the place where they are now; a mapping by its content, which the card has."""
    given = {name: _placed(value, near) for name, value in recipe["reads"].items()}
    if "mapping" in given and recipe.get("mapping"):
        given["mapping"] = recipe["mapping"]
    first = next((name for name in given if name not in ("mapping", "mappings")), None)
    if data is not None and first:
        given[first] = _placed(str(data), near)
    return recipe["parameters"] | given


def _placed(value: Any, near: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_placed(one, near) for one in value]
    path = Path(located(value, near)).expanduser() if isinstance(value, str) else None
    return str(path.resolve()) if path is not None and path.exists() else value
