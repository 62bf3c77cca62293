"""What Salesforce and HubSpot call things, so that their exports read with one word.

Names are matched without regard to case, spaces and underscores: ``StageName`` (the vendor's API), ``stage_name`` (connectors)
and ``Stage Name`` (reports) are one name. Read with a preset, a Salesforce export ends in the five stages of the article.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from funnelstats.data.columns import nearest
from funnelstats.data.mapping import Mapping, Table
from funnelstats.errors import DataError, Problem

FIVE_STAGES = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")

_LEAD = Table(
    shape="snapshot", file="lead", entity="id|lead_id", stage="status", link="converted_opportunity_id?",
    dates={"Lead": "created_date", "Marketing": "pi_first_activity_c?", "Sales Lead": "converted_date?",
           "Lost": "last_modified_date?"},
    names={"Open - Not Contacted": "Lead", "Working - Contacted": "Marketing", "Nurturing": "Marketing",
           "Qualified": "Sales Lead", "Closed - Converted": "Sales Lead", "Closed - Not Converted": "Lost", "Unqualified": "Lost"},
    columns={"owner": "owner_id|owner?", "channel": "lead_source?", "region": "country?"},
    deleted="is_deleted?", merged="master_record_id?",
)  # fmt: skip
_OPPORTUNITY = Table(
    shape="events", file="opportunity", entity="opportunity_id|id", stage="stage_name|stage", at="_fivetran_start|created_date",
    names={"Prospecting": "Sales Lead", "Qualification": "Sales Lead", "Needs Analysis": "Opportunity",
           "Value Proposition": "Opportunity", "Id. Decision Makers": "Opportunity", "Perception Analysis": "Opportunity",
           "Proposal/Price Quote": "Opportunity", "Negotiation/Review": "Opportunity",
           "Closed Won": "Won", "Closed Lost": "Lost"},
    columns={"owner": "owner_id|owner?", "channel": "lead_source?", "amount": "amount?", "currency": "currency_iso_code?"},
    deleted="is_deleted?",
)  # fmt: skip
SALESFORCE = Mapping(stages=FIVE_STAGES, tables=(_LEAD, _OPPORTUNITY), name="preset salesforce")
PRESETS = ("salesforce", "hubspot")

_ENTERED = re.compile(r"""^date entered ["'“‘](?P<stage>.+?)(?: \((?P<pipeline>[^()]*)\))?["'”’]$""", re.IGNORECASE)
_INTERNAL = re.compile(r"^(?:property_)?hs_(?:v2_)?date_entered_(?P<stage>\w+)$", re.IGNORECASE)
_LIFECYCLE = {
    "Lead": "Became a Lead Date", "Marketing": "Became a Marketing Qualified Lead Date",
    "Sales Lead": "Became a Sales Qualified Lead Date", "Opportunity": "Became an Opportunity Date",
    "Won": "Became a Customer Date",
}  # fmt: skip
_HUBSPOT_COLUMNS = {"owner": "Deal owner|Contact owner|owner_id?", "channel": "Original Source|Original Traffic Source?",
                    "region": "Region|Country/Region?", "amount": "Amount|property_amount?", "currency": "Currency|Deal currency code?"}  # fmt: skip


def preset(name: str, columns: Sequence[str]) -> Mapping:
    """Return a preset by name, fitted to the columns that the export has.

    Raises
    ------
    DataError
        An unknown name, or a HubSpot export without a date for each stage.
    """
    if name == "salesforce":
        return SALESFORCE
    if name == "hubspot":
        return _hubspot(columns)
    raise DataError("the mapping", [Problem("mapping", f"no file and no preset is called {name!r}", nearest(name, PRESETS))])


def _hubspot(columns: Sequence[str]) -> Mapping:
    """Stages are the columns ``Date entered "Stage (Pipeline)"`` in the file's order, success last."""
    if "Became a Lead Date" in columns:
        table = Table(shape="snapshot", entity="Record ID|Contact ID|id", dates={s: f"{c}?" for s, c in _LIFECYCLE.items()},
                      columns=_HUBSPOT_COLUMNS)  # fmt: skip
        return Mapping(stages=FIVE_STAGES, tables=(table,), name="preset hubspot (life-cycle stages of contacts)")
    matches = {name: found for name in columns if (found := _ENTERED.match(name) or _INTERNAL.match(name))}
    pipelines = sorted({part for found in matches.values() if (part := found.groupdict().get("pipeline"))})
    if not matches or len(pipelines) > 1:
        what = f"expected the stages of one pipeline, found {pipelines}" if matches else "no column like 'Date entered \"Stage\"' found"
        fix = "export the deals of one pipeline with the 'Date entered' property of each stage, or write a mapping file"
        raise DataError("preset hubspot", [Problem("Date entered", what, fix)])
    named = {found["stage"]: column for column, found in matches.items()}
    names = {label: _outcome(label) for label in named}
    lost = tuple(dict.fromkeys(name for name in names.values() if "lost" in name.lower()))
    won = [name for name in names.values() if name == "Won"]
    stages = (*(name for name in dict.fromkeys(names.values()) if name not in (*lost, *won)), *won[:1])
    table = Table(shape="snapshot", entity="Record ID|Deal ID|deal_id|id", stage="Deal Stage|deal_pipeline_stage_id?",
                  dates={names[label]: column for label, column in named.items()}, names=names, columns=_HUBSPOT_COLUMNS)  # fmt: skip
    return Mapping(stages=stages, tables=(table,), lost=lost or ("Lost",), name="preset hubspot")


def _outcome(label: str) -> str:
    """``Closed Won`` and ``closedwon`` are Won, ``Closed Lost`` is Lost; other labels stand as they are."""
    squeezed = re.sub(r"[\s_]", "", label).lower()
    return {"closedwon": "Won", "closedlost": "Lost"}.get(squeezed, label)


def extend(base: Mapping, spec: dict[str, Any], *, name: str) -> Mapping:
    """Apply a mapping file's own keys to the preset it names: lists replace, ``names`` and ``columns`` are added."""
    known = {"preset", "stages", "lost", "optional", "currency", "names", "columns"}
    stray = [key for key in spec if key not in known]
    if stray:
        raise DataError(name, [Problem(key, "not a key that can extend a preset", nearest(key, known)) for key in stray])
    tables = tuple(replace(table, names=table.names | spec.get("names", {}), columns=table.columns | spec.get("columns", {}))
                   for table in base.tables)  # fmt: skip
    lists = {key: tuple(spec[key]) for key in ("stages", "lost", "optional") if key in spec}
    return replace(base, tables=tables, **lists, currency=spec.get("currency", base.currency), name=name)
