"""What does a report say, whatever the format? Its sections in order, made from one log, with the cards of their numbers.

``report`` goes from an export to files: a page (HTML), Markdown, a Word document, JSON with the cards, or tables (XLSX), by the
ending of the path. All are written from the same sections, after all of them are made, so that a run that fails writes nothing.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from funnelstats.data.counts import CountsLog
from funnelstats.data.events import EventLog
from funnelstats.data.fingerprint import content_digest
from funnelstats.errors import DataError, FitError, ImmatureWarning, NotIdentifiedError, Problem
from funnelstats.models.model import Fit
from funnelstats.report import sections_ahead, sections_changes, sections_funnel, sections_members, sections_money, sections_trust
from funnelstats.report.cards import Card
from funnelstats.report.material import Material
from funnelstats.report.section import Section, Sentence

#: Sections of a log, in order: the key, whether or not there is something to say; what is said while it is made, and the function.
OF_A_LOG: dict[str, tuple[str, Callable[[Material], Section]]] = {
    "funnel": ("The funnel", sections_funnel.funnel),
    "time": ("Time in stage", sections_funnel.time),
    "bottleneck": ("The bottleneck", sections_members.bottleneck),
    "league": ("Members compared", sections_members.league),
    "forecast": ("The time ahead", sections_ahead.ahead),
    "value": ("What it is worth", sections_money.value),
    "customers": ("Customers", sections_money.customers),
    "audit": ("The data", sections_trust.audit),
}
#: What may be wrong with data, and is said in place of a section; anything else is a defect of ours and is raised.
SAID = (DataError, FitError, NotIdentifiedError)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Document:
    """A report before it is written.

    Attributes
    ----------
    title, source, period : str
    data_sha256, version : str
    sections : tuple of Section
    """

    title: str
    source: str
    period: str
    data_sha256: str
    version: str
    sections: tuple[Section, ...]

    @property
    def headlines(self) -> list[Sentence]:
        """The first sentence of each section that has one."""
        return [
            section.sentences[0] for section in self.sections if section.headline and section.sentences and not section.missing
        ]

    @property
    def cards(self) -> list[Card]:
        """Cards of all sections, each once."""
        return list({card.id: card for section in self.sections for card in section.cards}.values())

    def section(self, key: str) -> Section:
        """One section by its key; DataError with the keys there are."""
        for one in self.sections:
            if one.key == key:
                return one
        known = ", ".join(one.key for one in self.sections)
        raise DataError("the report", [Problem("section", f"expected one of {known}, found {key!r}")])

    def __repr__(self) -> str:
        return "\n".join([f"<Report on {self.source}, {self.period}", *(f"  {one.text}" for one in self.headlines)]) + ">"


def compose(m: Material, *, compare: Path | None = None, on_section: Callable[[str], None] | None = None) -> Document:
    """Make every section from the material.

    Parameters
    ----------
    m : Material
    compare : Path, optional
        JSON of an earlier report.
    on_section : function, optional
        Told the title of each section before it is made.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImmatureWarning)  # the sentences say "so far"
        sections = list(_sections(m, on_section or (lambda _: None)))
        sections += [sections_changes.changes(compare, sections)] if compare else []
        sections += [sections_trust.methods(m, sections), sections_trust.diagnostics(m)]
    digest = content_digest(m.log) if m.log is not None else m.fits[0].record.data_digest
    period = str(m.counts.window or "no dates") if m.log is not None else m.fits[0].record.window
    source = m.counts.source if m.log is not None else m.fits[0].record.source
    return Document(title="Sales funnel report", source=_bare(source), period=period, data_sha256=digest, version=version("funnelstats"),
                    sections=tuple(sections))  # fmt: skip


def _bare(source: str) -> str:
    """The name of a file without the folders of this machine."""
    path, *rest = source.split(" (", 1)
    return " (".join([path if path.startswith("bundled:") else PurePath(path).name or path, *rest])


def count_of_sections() -> int:
    """How many sections of a log there are to wait for."""
    return len(OF_A_LOG)


def _sections(m: Material, told: Callable[[str], None]) -> Iterator[Section]:
    chosen = [*OF_A_LOG.items()] if m.log is not None else []
    chosen += [("fits", ("Fits", sections_trust.fits))] if m.fits else []
    for key, (title, make) in chosen:
        told(title)
        try:
            yield make(m)
        except SAID as error:
            yield Section(key=key, title=title, missing=str(error))


def parts_of(data: Any) -> tuple[EventLog | CountsLog | None, tuple[Fit, ...]]:
    """The log and the fits among what was given; DataError for anything else."""
    given = tuple(data) if isinstance(data, list | tuple) else (data,)
    logs = [one for one in given if isinstance(one, EventLog | CountsLog)]
    made = tuple(one for one in given if isinstance(one, Fit))
    odd = [type(one).__name__ for one in given if not isinstance(one, EventLog | CountsLog | Fit)]
    problems = [Problem("data", f"expected a log or fits, found {', '.join(odd)}", "read an export with read_crm")] if odd else []
    if len(logs) > 1 or not given:
        problems.append(Problem("data", f"expected one log, or fits, found {len(logs)} logs", "make a report of each"))
    if problems:
        raise DataError("the report", problems)
    return (logs[0] if logs else None), made
