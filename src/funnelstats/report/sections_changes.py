"""What changed since the last report? A section on every number that both have, and on what is new or gone."""

from collections.abc import Sequence
from pathlib import Path

from funnelstats.report.changes import what_changed
from funnelstats.report.section import Column, Grid, Section, Sentence

_MOVED = ("higher", "lower")


def changes(previous: Path, sections: Sequence[Section]) -> Section:
    """Compare the cards of an earlier report with those of these sections."""
    cards = [card for section in sections for card in section.cards if card.citable]
    table = what_changed(previous, cards)
    both = table[table["p_real"].notna()]
    moved = both[both["verdict"].isin(_MOVED)]
    sentences = [f"{len(moved)} of {len(both)} numbers that both reports have are clearly higher or lower than in the last."]
    sentences += [f"{row['name']}{', ' + row['label'] if row['label'] else ''}: {row['old']} then, {row['new']} now; {row['verdict']} with a probability of "
                  f"{row['p_real']:.0%}, because of {row['because'] or 'nothing named'}." for row in moved.to_dict("records")]  # fmt: skip
    sentences.append(
        "The probabilities take the two reports as independent. They share most of their records, so the true ones lie nearer to one."
    )
    columns = {"name": Column(head="Number"), "label": Column(head="Of"), "old": Column(head="Then"), "new": Column(head="Now"),
               "p_real": Column(head="P(the change is real)", kind="percent", digits=0), "verdict": Column(head="Verdict"),
               "because": Column(head="Because of")}  # fmt: skip
    return Section(key="changes", title="What changed", sentences=tuple(Sentence(text=text) for text in sentences),
                   grids=(Grid.of("Numbers then and now", table, columns),))  # fmt: skip
