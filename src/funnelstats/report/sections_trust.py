"""May these numbers be relied on, and how did they come about? The sections on audit, methods, diagnostics and cards."""

from collections.abc import Sequence

import pandas as pd

from funnelstats.interval import DEFAULT
from funnelstats.models.model import Fit
from funnelstats.report.formulas import formula_of, priors_of
from funnelstats.report.material import Material
from funnelstats.report.references import cited
from funnelstats.report.section import Column, Grid, Section, Sentence

_VERDICTS = ("PASS", "REVIEW", "FAIL")


def audit(m: Material) -> Section:
    """What is wrong with the export, and how far it moves the share won."""
    if m.events is None:
        return Section(
            key="audit", title="The data", headline=False, missing="The data are counts, and an audit looks at single records."
        )
    found = m.events.audit()
    columns = {"check": Column(head="Finding"), "entities": Column(head="Records", kind="count"), "rule": Column(head="How they are read"),
               "effect": Column(head="Share won without them, less the share won", kind="percent", digits=2, of=("entities",))}  # fmt: skip
    if m.names:
        columns["first"] = Column(head="First of them")
    table = found.found
    moved = float(table["effect"].abs().max()) if len(table) else 0.0
    sentences = [Sentence(text=f"{len(table)} kinds of defect were found in {found.entities:,} records; the largest moves the share won by {moved:.2%}."
                               if len(table) else f"Nothing was found wrong with {found.entities:,} records.")]  # fmt: skip
    sentences += [Sentence(text=f"Not checked: {text}.") for text in found.not_checked]
    grids = (m.grid("Findings, those that move most first", table, columns),) if len(table) else ()
    return Section(key="audit", title="The data", sentences=tuple(sentences), grids=grids)


def methods(m: Material, sections: Sequence[Section]) -> Section:
    """How the numbers came about, from the options in fact used."""
    sentences = []
    if m.log is not None:
        counts = m.counts
        sentences.append(f"The funnel is {' > '.join(counts.stages)}. What counts as entering a stage: {counts.definition}.")
        sentences.append(f"Observed: {counts.window}. Records that were open then count as neither won nor lost." if counts.window else
                         "The data are counts without dates; nothing is said about how young the open are.")  # fmt: skip
        sentences.append(
            "Observed shares have Wilson's interval; their draws come from Jeffreys' prior, the overall share being the product of the steps."
        )
    sentences += _of_fits(m.used())
    if m.group and any(section.key == "league" and not section.missing for section in sections):
        mixed = (
            f"adjusted to the mix of {' and '.join(m.mix)} of all"
            if m.mix
            else "not adjusted, for want of columns with few labels"
        )
        sentences.append(
            f"Members are compared by {m.group}, {mixed}. The benchmark of the bottleneck is their best decile, after pooling."
        )
    sentences.append(
        f"Intervals of draws are the {DEFAULT}. Every fit and every quantity has the seed {m.seed}; no clock enters."
    )
    if m.smallest > 1:
        sentences.append(f"Counts from 1 to {m.smallest - 1} are not shown in tables, nor what they could be computed back from.")
    works = cited(key for section in sections for key in (*section.references, "kruschke2021"))
    return Section(key="methods", title="Methods and references", headline=False, sentences=tuple(Sentence(text=text) for text in sentences),
                   grids=(Grid.of("References", pd.DataFrame({"work": works}), {"work": Column(head="Work")}),))  # fmt: skip


def _of_fits(used: Sequence[Fit]) -> list[str]:
    """One sentence for each specification, however many sets of counts it was fitted to."""
    alike: dict[tuple[object, ...], list[Fit]] = {}
    for fit in used:
        record = fit.record
        alike.setdefault(
            (record.model, record.specification, record.method, record.draws, record.chains, record.settings), []
        ).append(fit)
    sentences = []
    for group in alike.values():
        record = group[0].record
        fitted = "; ".join(f"{fit.record.n:,} {fit.record.counted} (record {fit.record.id})" for fit in group)
        settings = "".join(f", {name} {value}" for name, value in record.settings)
        priors = "; ".join(priors_of(group[0].model)) or "as specified"
        sentences.append(f"{record.model}: {formula_of(group[0].model) or record.specification}. Priors: {priors}. Method: {record.method}, {record.chains} x "
                         f"{record.draws:,} draws{settings}. Fitted to {fitted}.")  # fmt: skip
    return sentences


def diagnostics(m: Material) -> Section:
    """PASS, REVIEW or FAIL of every fit, with the numbers behind it."""
    fits = m.used()
    if not fits:
        return Section(
            key="diagnostics",
            title="Diagnostics",
            headline=False,
            missing="No model was fitted; the numbers are counts and formulas.",
        )
    rows = [
        (
            fit.record.model,
            f"{fit.record.n:,} {fit.record.counted}",
            fit.diagnosis.method,
            fit.diagnosis.verdict,
            str(fit.diagnosis).partition(": ")[2],
            fit.record.id,
        )
        for fit in fits
    ]
    worst = max((row[3] for row in rows), key=_VERDICTS.index)
    meaning = {"PASS": "all of them may be relied on", "REVIEW": "what is marked REVIEW should be read before the number is used",
               "FAIL": "what is marked FAIL may not be cited, and its numbers are not printed"}[worst]  # fmt: skip
    columns = {"model": Column(head="Model"), "data": Column(head="Fitted to"), "method": Column(head="Method"), "verdict": Column(head="Verdict"), "numbers": Column(head="Numbers"),
               "record": Column(head="Record")}  # fmt: skip
    grid = Grid.of("Every fit", pd.DataFrame(rows, columns=list(columns)), columns)
    return Section(key="diagnostics", title="Diagnostics", headline=False, grids=(grid,),
                   sentences=(Sentence(text=f"The worst verdict of {len(fits)} fits is {worst}: {meaning}."),))  # fmt: skip


def fits(m: Material) -> Section:
    """Parameters of the fits that were given."""
    own = Section(key="fits", title="Fits", headline=False, missing="No fit was given.")
    if not m.fits:
        return own
    grids = []
    for fit in m.fits:
        if fit.diagnosis.verdict == "FAIL":
            continue
        table = fit.summary().reset_index()
        if not m.names:
            table = table[table["parameter"].str.partition("[")[0].isin(_nameless(fit))]
        columns = {"parameter": Column(head="Parameter"), "mean": Column(head="Mean", kind="number", digits=3, bounds=("lower", "upper")),
                   "sd": Column(head="Sd", kind="number", digits=3), "ess": Column(head="Effective size", kind="number", digits=0),
                   "rhat": Column(head="R-hat", kind="number", digits=3)}  # fmt: skip
        grids.append(
            Grid.of(f"{fit.record.model} {fit.record.id}", table, columns, note=f"In brackets the {table['interval'].iloc[0]}.")
        )
    failed = [fit.record.model for fit in m.fits if fit.diagnosis.verdict == "FAIL"]
    said = [f"{fit.record.model}: {fit.record.n:,} {fit.record.counted}, {fit.diagnosis}." for fit in m.fits]
    said += [f"No parameters of {', '.join(failed)} are printed: the diagnosis failed."] if failed else []
    return Section(
        key="fits", title="Fits", headline=False, sentences=tuple(Sentence(text=text) for text in said), grids=tuple(grids)
    )


def _nameless(fit: Fit) -> list[str]:
    """Parameters that are not told apart by members, whose labels may be names."""
    known = {"chain", "draw", "stage", "cell"}
    return [str(name) for name, values in fit.parameters().data_vars.items() if known.issuperset(map(str, values.dims))]
