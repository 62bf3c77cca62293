"""Which columns or tables of a HubSpot export hold the stages, and in which order do they stand?

Four exports are known: contacts with their life-cycle dates ("Became a ... Date"), deals with a date for each stage
("Date entered ..."), and the tables of connectors: ``deal_stage`` (or ``deal_property_history``) with
``deal_pipeline_stage`` for names and order and ``deal`` for owner and amount, or ``deal`` alone.
"""

import re
from collections.abc import Sequence
from typing import Any

from funnelstats.data.columns import find
from funnelstats.data.mapping import Mapping
from funnelstats.data.sources import Part
from funnelstats.data.table import Table, nearest, within
from funnelstats.errors import DataError, Problem

_ENTERED = re.compile(r"""^date entered ["'“‘](?P<stage>.+?)(?: \((?P<pipeline>[^()]*)\))?["'”’]$""", re.IGNORECASE)
_INTERNAL = re.compile(r"^(?:property_)?hs_(?:v2_)?date_entered_(?P<stage>\w+)$", re.IGNORECASE)
_LIFECYCLE = {
    "Lead": "Became a Lead Date|hs_lifecyclestage_lead_date|property_hs_lifecyclestage_lead_date",
    "Marketing": "Became a Marketing Qualified Lead Date|hs_lifecyclestage_marketingqualifiedlead_date"
                 "|property_hs_lifecyclestage_marketingqualifiedlead_date?",
    "Sales Lead": "Became a Sales Qualified Lead Date|hs_lifecyclestage_salesqualifiedlead_date"
                  "|property_hs_lifecyclestage_salesqualifiedlead_date?",
    "Opportunity": "Became an Opportunity Date|hs_lifecyclestage_opportunity_date|property_hs_lifecyclestage_opportunity_date?",
    "Won": "Became a Customer Date|hs_lifecyclestage_customer_date|property_hs_lifecyclestage_customer_date?",
}  # fmt: skip
_COLUMNS = {
    "owner": "Deal owner|Contact owner|owner_id|hubspot_owner_id|property_hubspot_owner_id?",
    "channel": "Original Source|Original Traffic Source|property_hs_analytics_source?", "region": "Region|Country/Region?",
    "amount": "Amount|property_amount?", "currency": "Currency|Deal currency code|property_deal_currency_code?",
}  # fmt: skip
_RECORD = "Record ID|Deal ID|Contact ID|deal_id|hs_object_id|id"
#: HubSpot's own pipeline, in order: internal name -> stage.
_DEFAULT = {"appointmentscheduled": "Appointment scheduled", "qualifiedtobuy": "Qualified to buy",
            "presentationscheduled": "Presentation scheduled", "decisionmakerboughtin": "Decision maker bought-in",
            "contractsent": "Contract sent", "closedwon": "Won", "closedlost": "Lost"}  # fmt: skip


def hubspot(parts: Sequence[Part], spec: dict[str, Any]) -> Mapping:
    """Fit the preset to an export.

    Parameters
    ----------
    parts : sequence of Part
        Tables of the export.
    spec : dict
        What a mapping file says itself: ``pipeline`` where there are several, ``stages``, ``lost``, ``names``.

    Raises
    ------
    DataError
        Stages of several pipelines, no success among them, or no table with dates of stages.
    """
    part = parts[0]
    entered = {name: found for name in part.columns if (found := _ENTERED.match(name) or _INTERNAL.match(name))}
    if len(parts) == 1 and find(_LIFECYCLE["Lead"], part.columns):
        dates = {stage: names for stage, names in _LIFECYCLE.items() if find(names, part.columns)}
        table = Table(shape="snapshot", entity=_RECORD, columns=_COLUMNS, dates=dates)
        return Mapping(stages=tuple(dates), tables=(table,), name="preset hubspot")
    return _dated(entered, spec) if len(parts) == 1 and entered else _connector(parts, spec)


def _dated(entered: dict[str, re.Match[str]], spec: dict[str, Any]) -> Mapping:
    """Stages are the columns ``Date entered "Stage (Pipeline)"`` in the file's order, success last."""
    of = {column: found.groupdict().get("pipeline") or "" for column, found in entered.items()}
    pipeline = _one_pipeline(sorted({name for name in of.values() if name}), spec)
    named = {found["stage"]: column for column, found in entered.items() if of[column] in ("", pipeline)}
    names = {label: _outcome(label) for label in named} | spec.get("names", {})
    table = Table(shape="snapshot", entity=_RECORD, stage="Deal Stage|deal_pipeline_stage_id|dealstage|property_dealstage?",
                  dates={names[label]: column for label, column in named.items() if names[label]}, names=names, columns=_COLUMNS,
                  only={"Pipeline?": pipeline} if "pipeline" in spec else {})  # fmt: skip
    return _ordered(names, (table,), spec)


def _connector(parts: Sequence[Part], spec: dict[str, Any]) -> Mapping:
    """Tables as connectors write them."""
    kinds = {
        "events": ("deal_id", "value", "date_entered|_fivetran_start"),
        "changes": ("deal_id", "name", "value", "timestamp"),
        "deals": ("deal_id", "deal_pipeline_stage_id"),
        "stages": ("stage_id", "label", "display_order"),
    }
    found = {kind: part for part in parts for kind, signs in kinds.items() if all(find(sign, part.columns) for sign in signs)}
    if not found.keys() & {"events", "changes", "deals"}:
        what = f"no dates of stages in {', '.join(part.name for part in parts)}"
        fix = (
            "export deals with the 'Date entered' property of each stage, contacts with their 'Became a ... Date', or deal_stage"
        )
        raise DataError("preset hubspot", [Problem("Date entered", what, fix)])
    pipeline = spec.get("pipeline", "")
    names = (_stage_names(found["stages"], spec) if "stages" in found else _DEFAULT) | spec.get("names", {})
    first = next(iter(spec.get("stages", ())), next(name for name in names.values() if name))
    tables = []
    if "events" in found:
        tables.append(
            Table(entity="deal_id", stage="value", at="date_entered|_fivetran_start", names=names, file=found["events"].name)
        )
    elif "changes" in found:
        tables.append(Table(entity="deal_id", stage="value", at="timestamp", names=names, only={"name": "dealstage"},
                            file=found["changes"].name))  # fmt: skip
    if "deals" in found:
        # with a history, the table of deals tells the moment of creation, owner and amount; without one, all there is
        closing = {} if tables else {"Won": "property_closedate?", "Lost": "property_closedate?"}
        tables.append(Table(shape="snapshot", entity="deal_id", stage="" if tables else "deal_pipeline_stage_id",
                            dates={first: "property_createdate|createdate"} | closing, names=names, columns=_COLUMNS,
                            deleted="is_deleted|_fivetran_deleted?", file=found["deals"].name,
                            only={"deal_pipeline_id?": pipeline} if pipeline else {}))  # fmt: skip
    return _ordered(names, tuple(tables), spec)


def _stage_names(part: Part, spec: dict[str, Any]) -> dict[str, str]:
    """Stage id -> stage, in the order of display; stages of other pipelines are not of this funnel."""
    columns = {"id": "stage_id", "label": "label", "order": "display_order", "pipeline": "pipeline_id", "won": "closed_won?",
               "closed": "is_closed?", "gone": "_fivetran_deleted?"}  # fmt: skip
    own = {key: name for key, wanted in columns.items() if (name := find(wanted, part.columns))}
    frame = part.read(list(own.values())).execute()[list(own.values())].set_axis(list(own), axis=1)
    frame = frame.assign(order=frame["order"].astype("float64")).sort_values("order", kind="stable")
    pipelines = sorted(frame["pipeline"].dropna().astype("str").unique()) if "pipeline" in own else []
    pipeline = _one_pipeline(pipelines, spec)
    return {
        str(row.id): _closing(row) if str(getattr(row, "pipeline", "")) == pipeline else ""
        for row in frame.itertuples(index=False)
    }


def _closing(row: object) -> str:
    """The stage's label; Won or Lost where the pipeline marks it as closed."""
    won, closed = (str(getattr(row, key, "")).strip().lower() in ("true", "t", "1", "1.0") for key in ("won", "closed"))
    return "Won" if won else "Lost" if closed else _outcome(str(row.label))  # type: ignore[attr-defined]


def _one_pipeline(pipelines: Sequence[str], spec: dict[str, Any]) -> str:
    wanted = spec.get("pipeline", "")
    if wanted and pipelines and wanted not in pipelines:
        raise DataError("preset hubspot", [Problem("pipeline", f"no pipeline is called {wanted!r}", nearest(wanted, pipelines))])
    if len(pipelines) > 1 and not wanted:
        fix = f'write a mapping file with preset = "hubspot" and pipeline = "{pipelines[0]}", or export the deals of one pipeline'
        raise DataError(
            "preset hubspot", [Problem("pipeline", f"expected the stages of one pipeline, found {list(pipelines)}", fix)]
        )
    return wanted or next(iter(pipelines), "")


def _ordered(names: dict[str, str], tables: tuple[Table, ...], spec: dict[str, Any]) -> Mapping:
    """Success goes last, losses apart; what the mapping file says itself goes before."""
    outcomes = [name for name in dict.fromkeys(names.values()) if name]
    lost = tuple(spec.get("lost", [name for name in outcomes if "lost" in name.lower()])) or ("Lost",)
    stages = tuple(
        spec.get("stages", [*(name for name in outcomes if name not in (*lost, "Won")), *(["Won"] * ("Won" in outcomes))])
    )
    if "stages" not in spec and "Won" not in outcomes:
        what = f"no stage is called Closed Won, found {', '.join(outcomes)}"
        fix = 'write a mapping file with preset = "hubspot", stages in funnel order with success last, and lost'
        raise DataError("preset hubspot", [Problem("stages", what, fix)])
    return Mapping(
        stages=stages, tables=tuple(within(table, (*stages, *lost)) for table in tables), lost=lost, name="preset hubspot"
    )


def _outcome(label: str) -> str:
    """Closing stages are Won and Lost however they are spelled; internal names are spelled out, labels stand as they are."""
    squeezed = re.sub(r"[\s_]", "", label).lower()
    return {"closedwon": "Won", "closedlost": "Lost"}.get(squeezed, _DEFAULT.get(label, label))
