"""What will the pipeline bring, and would such a forecast have been right? The section of a report on the time ahead."""

from dataclasses import replace

import pandas as pd

from funnelstats.data.events import EventLog
from funnelstats.decisions.forecast import ALL, forecast
from funnelstats.decisions.forecast_backtest import ForecastBacktest, backtest_forecast
from funnelstats.errors import DataError
from funnelstats.estimate import Estimate
from funnelstats.report.answers import plural
from funnelstats.report.asked_ahead import foretold
from funnelstats.report.forecast_figures import plot_forecast, plot_forecast_backtest
from funnelstats.report.material import Material, said
from funnelstats.report.section import Column, Grid, Picture, Section, Sentence
from funnelstats.window import DAYS_PER

_TITLE = "The time ahead"
#: How far it is looked ahead, in days, and into how many periods that is divided.
AHEAD, PERIODS = 91, 3
#: Forecasts of the past that are made, and draws of each chain of them.
ORIGINS, PAST_DRAWS = 4, 100
#: Of the forecast itself.
DRAWS, CHAINS = 500, 4
_WORDS = {"wins": "Deals won", "revenue": "Revenue"}


def ahead(m: Material) -> Section:
    """Wins and revenue of the next three months, beside how the same forecast would have done in the past."""
    if m.events is None:
        return Section(key="forecast", title=_TITLE, missing="The data are counts without dates, so nothing can be foretold.")
    log, each = m.events, max(1, round(AHEAD / PERIODS / DAYS_PER[m.events.window.unit]))
    size = {"horizon": each * PERIODS, "periods": PERIODS, "draws": DRAWS, "chains": CHAINS}
    found = foretold(log, m.seed, *size.values())
    past, why = _past(log, each, m.seed)
    made = {
        name: replace(m.ask(f"forecast_{name}", **size).card, posterior_check=str(past or "")) for name in ("wins", "revenue")
    }
    wins, money = found.whole("wins"), found.whole("revenue")
    span = f"{each * PERIODS} {log.window.unit}s after {log.window.as_of:%d %B %Y}"
    sentences = [said(made["wins"], f"In the {span}, {plural(wins) if isinstance(wins, Estimate) else wins} are expected to be won."),
                 said(made["revenue"], f"They are expected to bring {money}." if isinstance(money, Estimate) else f"What they will bring is {money}.")]  # fmt: skip
    share = float(found.standing.draws.sum("period").mean()) / max(float(found.wins.draws.sum("period").mean()), 1e-12)
    sentences.append(Sentence(text=f"Of the wins expected, {share:.0%} are open today; the others have yet to come in."))
    sentences += [Sentence(text=text) for text in (_judged(past) if past else [f"No back-test: {why}."])]
    first, *grids = _tables(m, found.table(), "period", "by period")
    pictures = [Picture(title="Wins and revenue by period", chart=plot_forecast(found), twin=first)]
    if past:
        twin = _past_table(m, past)
        pictures += [] if twin.hidden else [Picture(title="Forecasts of the past", chart=plot_forecast_backtest(past), twin=twin)]
        grids += [twin] if twin.hidden else []
    for name in dict.fromkeys(one for one in (m.group, m.segment) if one):
        table = forecast(log, horizon=each * PERIODS, seed=m.seed, by=name).table()
        grids += _tables(
            m, table[table["period"] == ALL].sort_values("mean", ascending=False), name, f"by {name}, all periods together"
        )
    return Section(key="forecast", title=_TITLE, sentences=tuple(sentences), pictures=tuple(pictures), cards=tuple(made.values()),
                   grids=tuple(grids), references=("gneiting2007", "allison1982"))  # fmt: skip


def _past(log: EventLog, each: int, seed: int) -> tuple[ForecastBacktest | None, str]:
    """The forecasts of the past, or why there are none: a young log has no past to speak of."""
    try:
        return backtest_forecast(log, horizon=each * PERIODS, periods=PERIODS, origins=ORIGINS, seed=seed, draws=PAST_DRAWS), ""
    except DataError as error:
        return None, "; ".join(str(problem) for problem in error.problems)


def _judged(past: ForecastBacktest) -> list[str]:
    """How the forecasts of the past did, and whether they said more than the weighted pipeline."""
    said = []
    for name, row in past.scores().to_dict("index").items():
        skill = row["skill_weighted"]
        better = (
            f"nearer to what came than the weighted pipeline by {skill:.0%}"
            if skill > 0
            else "no nearer to what came than the weighted pipeline"
        )
        said.append(f"{_WORDS[str(name)]}, forecast as of {past.table['origin'].nunique()} days of the past: {row['inside']} of {row['forecasts']} periods lay inside "
                    f"their {past.interval}, and the forecasts were {better if skill == skill else 'not to be compared'}.")  # fmt: skip
    return said


def _tables(m: Material, table: pd.DataFrame, key: str, title: str) -> list[Grid]:
    """P10, P50 and P90 of wins and of revenue, one row for each label."""
    grids = []
    for name, part in table.groupby("quantity", sort=False):
        unit, digits = str(part["unit"].iloc[0]), 1 if name == "wins" else 0
        shown = part.assign(label=part[key].astype(str).replace({ALL: "all periods"}))
        columns = {"label": Column(head=key.capitalize()),
                   **{mark: Column(head=mark.upper(), kind="number", digits=0) for mark in ("p10", "p50", "p90")},
                   "mean": Column(head="Mean", kind="number", digits=digits, bounds=("lower", "upper"))}  # fmt: skip
        grids.append(
            m.grid(
                f"{_WORDS[str(name)]} {title}",
                shown,
                columns,
                note=f"In {unit if name != 'wins' else 'deals'}; in brackets the {part['interval'].iloc[0]}.",
            )
        )
    return grids


def _past_table(m: Material, past: ForecastBacktest) -> Grid:
    whole = past.table[past.table["period"] == ALL]
    count = whole["quantity"] == "wins"
    table = pd.DataFrame({"origin": whole["origin"].dt.date.astype(str), "quantity": whole["quantity"].map(_WORDS), "p50": whole["p50"], "lower": whole["lower"],
                          "upper": whole["upper"], "weighted": whole["weighted"], "deals": whole["observed"].where(count),
                          "money": whole["observed"].mask(count)})  # fmt: skip
    columns = {"origin": Column(head="Made at the end of"), "quantity": Column(head="Quantity"),
               "p50": Column(head="P50", kind="number", digits=0, bounds=("lower", "upper")),
               "weighted": Column(head="Weighted pipeline", kind="number", digits=0), "deals": Column(head="Deals that came", kind="count"),
               "money": Column(head="Revenue that came", kind="number", digits=0, of=("deals",))}  # fmt: skip
    return m.grid(f"Forecasts of the past, {past.horizon} ahead", table, columns, note=f"In brackets the {past.interval}.")
