"""Make the simulated data sets again from the calls on their cards: ``python -m funnelstats.data.rebuild [FOLDER]``.

The same call gives the same bytes, so the SHA-256 on a card changes only when the simulator does.
"""

import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from funnelstats.bundle import bundled_path
from funnelstats.data.datasets import Card, dataset_card, list_datasets
from funnelstats.data.export import write_hubspot, write_salesforce
from funnelstats.data.export_plain import write_counts, write_log, write_tables
from funnelstats.data.simulate import simulate_crm
from funnelstats.data.simulate_chain import simulate_chain
from funnelstats.data.simulate_customers import simulate_orders
from funnelstats.data.simulate_ecommerce import simulate_ecommerce
from funnelstats.data.simulate_finance import simulate_finance
from funnelstats.data.simulate_retail import simulate_retail

FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (simulate_crm, simulate_orders, simulate_chain, simulate_finance, simulate_ecommerce, simulate_retail)
}
WRITERS: dict[str, Callable[..., object]] = {
    "salesforce": lambda world, path: write_salesforce(world, path.parent),
    "hubspot": write_hubspot,
    "log": write_log,
    "counts": write_counts,
    "orders": lambda world, path: world.orders.to_csv(path, index=False, lineterminator="\n"),
    "tables": write_tables,
    "periods": lambda world, path: world.periods.to_csv(path, index=False, lineterminator="\n"),
}


def rebuild(card: Card, folder: str | Path) -> list[Path]:
    """Write the files of one simulated data set.

    Parameters
    ----------
    card : Card
        Its ``made_by`` names the function, its arguments, the writer, and how it writes where it has a choice.
    folder : path
        Where the files go, under the names on the card.

    Returns
    -------
    list of Path
        The files, in the card's order.
    """
    paths = [Path(folder) / table.path for table in card.tables]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    WRITERS[card.made_by["writer"]](remake(card), paths[0], **card.made_by.get("as_written", {}))
    return paths


def remake(card: Card) -> Any:
    """Simulate the world behind a data set again, with its truth.

    Parameters
    ----------
    card : Card
        Of a simulated data set.

    Returns
    -------
    SimulatedCrm, SimulatedOrders, SimulatedChain or SimulatedChoices

    Examples
    --------
    >>> remake(dataset_card("crm_second")).world.currency
    'EUR'
    """
    return FUNCTIONS[card.made_by["function"]](**card.made_by["arguments"])


def stamp(card_path: Path, folder: Path, card: Card) -> None:
    """Write the SHA-256 of each file into its card."""
    text = card_path.read_text(encoding="utf-8")
    for table in card.tables:
        digest = hashlib.sha256((folder / table.path).read_bytes()).hexdigest()
        pattern = re.escape(f'[files."{table.path}"]\nsha256 = "') + "[0-9a-f]*"
        text = re.sub(pattern, f'[files."{table.path}"]\nsha256 = "{digest}', text)
    card_path.write_text(text, encoding="utf-8", newline="\n")


def main(folder: str | None = None) -> None:
    """Rebuild every simulated data set; stamp the cards when they lie in the same folder."""
    target = Path(folder) if folder else bundled_path("data")
    for name in list_datasets():
        card = dataset_card(name)
        if card.kind != "simulated":
            continue
        for path in rebuild(card, target):
            print(path)
        if (target / f"{name}.toml").is_file():
            stamp(target / f"{name}.toml", target, card)


if __name__ == "__main__":
    main(*sys.argv[1:2])
