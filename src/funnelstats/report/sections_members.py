"""Which stage holds the funnel back, and do consultants differ? The sections of a report on the bottleneck and on the league."""

from dataclasses import replace

import numpy as np

from funnelstats.decisions.bottleneck import CLEAR, Bottleneck
from funnelstats.decisions.league import League, league_table
from funnelstats.estimate import Estimate, NotIdentified
from funnelstats.report.cards import Card
from funnelstats.report.citation import card
from funnelstats.report.decision_figures import plot_bottleneck, plot_league
from funnelstats.report.material import Material, said, worded
from funnelstats.report.section import Column, Grid, Picture, Section, Sentence

_NO_GROUP = "The data name no consultants (owner) or other groups of two members or more, so there is nothing to compare."
_BOTTLENECK, _LEAGUE = "The bottleneck", "Members compared"


def bottleneck(m: Material) -> Section:
    """Which stage falls furthest short of what the best tenth of the group reaches there."""
    if m.group is None:
        return Section(
            key="bottleneck", title=_BOTTLENECK, missing=f"{_NO_GROUP} A benchmark of your own can be given in Python."
        )
    pooled, group = m.pooled, m.group
    if isinstance(pooled, NotIdentified):
        return Section(key="bottleneck", title=_BOTTLENECK, missing=f"Not identified: {pooled.reason}.")
    found = pooled.bottleneck
    stage = str(found.probability.idxmax())
    chance, gain = m.ask("bottleneck_probability", group=group), m.ask("bottleneck_gain", group=group)
    clear = (
        f"{stage} is the bottleneck"
        if found.verdict != "unclear"
        else f"No stage is clearly the bottleneck; {stage} is the likeliest"
    )
    sentences = (
        said(chance.card, f"{clear}, with a probability of {found.probability[stage]:.0%}: it falls furthest short of {found.benchmark}."),
        said(gain.card, worded(gain.estimate, lambda e: f"Were {stage} brought to {found.benchmark}, wins would rise by {e} of their present number.")),
        Sentence(text=f"A stage is named only with a probability of {CLEAR:.0%} or more. The lowest rate is not the bottleneck for being the lowest."),
    )  # fmt: skip
    picture = Picture(title="Which stage is the bottleneck", chart=plot_bottleneck(found), twin=_stages(m, found))
    return Section(key="bottleneck", title=_BOTTLENECK, sentences=sentences, pictures=(picture,), cards=(chance.card, gain.card),
                   references=("gelman2013",))  # fmt: skip


def _stages(m: Material, found: Bottleneck) -> Grid:
    table = found.table().reset_index()
    columns = {"stage": Column(head="Stage"), "p_bottleneck": Column(head="P(bottleneck)", kind="percent", digits=0),
               "expected_rank": Column(head="Expected rank", kind="number", digits=2),
               "gain": Column(head=f"{found.criterion[:1].upper()}{found.criterion[1:]}", kind="percent", bounds=("lower", "upper"))}  # fmt: skip
    return m.grid(
        "Bottleneck by stage",
        table,
        columns,
        note=f"Gain on reaching {found.benchmark}; in brackets the {table['interval'].iloc[0]}.",
    )


def league(m: Material) -> Section:
    """Members ranked on one mix of leads, with how sure the order is."""
    if m.group is None:
        return Section(key="league", title=_LEAGUE, missing=_NO_GROUP)
    fit, group = m.conversion, m.group
    if fit.diagnosis.verdict == "FAIL":
        return Section(
            key="league", title=_LEAGUE, missing=f"The diagnosis of the model failed, so no ranking is printed: {fit.diagnosis}."
        )
    whole = league_table(fit.standardised_rates(group), m.needed.stages((str(group), *m.mix)), group=group, mix=m.mix,
                         top=min(3, m.labels[group]))  # fmt: skip
    shown = _of_some_size(whole, m.smallest)
    if shown.frame.empty:
        return Section(key="league", title=_LEAGUE, missing=f"No {group} has {m.smallest} entrants or more.")
    best = str(shown.frame.index[0])
    first = shown.rates.sel(**{group: best})
    made = _first(m, group, best, first)
    apart = int(shown.frame["verdict"].isin(["above the target", "below the target"]).sum())
    mixed = f"the same mix of {' and '.join(m.mix)}" if m.mix else "no case mix, for the data name none"
    sentences = [
        said(made, f"{apart} of {len(shown.frame)} can be told apart from the mean of all, {whole.target:.1%}, given {mixed}. First by expected rank is {best}, "
                   f"with {first}; the probability of being among the best {whole.top} is {shown.frame['p_top'].iloc[0]:.0%}."),
        Sentence(text="Leads are not given out by lot, so none of this is the effect of a person on a lead."),
    ]  # fmt: skip
    if len(shown.frame) < len(whole.frame):
        sentences.append(Sentence(text=f"{len(whole.frame) - len(shown.frame)} with under {m.smallest} entrants are not shown."))
    picture = Picture(title=f"Each {group}, on the same leads", chart=plot_league(shown), twin=_members(m, shown))
    return Section(key="league", title=_LEAGUE, sentences=tuple(sentences), pictures=(picture,), cards=(made,),
                   references=("goldstein1996", "tutz1991", "gelman2013", "vehtari2021"))  # fmt: skip


def _first(m: Material, group: str, best: str, rate: Estimate) -> Card:
    """The card of the first member; of a fit that the caller made there is no recipe, and the card says so."""
    if m.given_conversion is None:
        size = {"draws": m.draws, "chains": m.chains}
        return m.ask("league_first", group=group, mix=m.mix, smallest=m.smallest, **size).card
    words = f"share won of the first {group} by expected rank, on the mix of leads of all"
    remark = f"{best} is first by expected rank; by a fit that was made beforehand, so that no recipe computes it again"
    return card(rate.described(words), name="league_first", source=(m.needed, m.given_conversion), remark=remark)


def _of_some_size(league: League, smallest: int) -> League:
    """Without the members that have few entrants, and without raw rates that would tell a small count."""
    frame = league.frame[league.frame["entered"] >= smallest]
    few = (frame["won"] > 0) & (frame["won"] < smallest)
    return replace(league, frame=frame.assign(raw=frame["raw"].mask(few, np.nan)))


def _members(m: Material, league: League) -> Grid:
    table = league.frame.rename_axis("member").reset_index()
    columns = {
        "member": Column(head=str(m.group).capitalize()), "entered": Column(head="Entered", kind="count"),
        "won": Column(head="Won so far", kind="count"), "raw": Column(head="Won, of entered", kind="percent", of=("won", "entered")),
        "adjusted": Column(head="Adjusted rate", kind="percent", bounds=("lower", "upper")),
        "rank": Column(head="Expected rank", kind="number", bounds=("rank_lower", "rank_upper")),
        "p_top": Column(head=f"P(best {league.top})", kind="percent", digits=0),
        "p_below": Column(head="P(below the target)", kind="percent", digits=0), "verdict": Column(head="Verdict"),
    }  # fmt: skip
    note = f"Adjusted: {league.rates.description}; in brackets the {league.rates.interval}. Target: {league.target:.1%}."
    return m.grid(_LEAGUE, table, columns, note=note)
