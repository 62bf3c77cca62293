"""What do Salesforce and HubSpot call things, so that their exports read with one word?

Names are matched without regard to case, spaces and underscores: ``StageName`` (the vendor's API), ``stage_name`` (connectors)
and ``Stage Name`` (reports) are one name. Read with a preset, a Salesforce export ends in the five stages of the article, or
in those of them that its files can tell.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from funnelstats.data.columns import find
from funnelstats.data.hubspot import hubspot
from funnelstats.data.mapping import Mapping, key_problems
from funnelstats.data.sources import Part
from funnelstats.data.table import Table, nearest, within
from funnelstats.errors import DataError, Problem

FIVE_STAGES = ("Lead", "Marketing", "Sales Lead", "Opportunity", "Won")
PRESETS = ("salesforce", "hubspot")
_KEYS = {
    "preset",
    "pipeline",
    "stages",
    "lost",
    "optional",
    "currency",
    "encoding",
    "names",
    "columns",
    "only",
    "date_format",
    "decimal",
}

_STAGE_NAMES = {
    "Prospecting": "Sales Lead", "Qualification": "Sales Lead", "Needs Analysis": "Opportunity",
    "Value Proposition": "Opportunity", "Id. Decision Makers": "Opportunity", "Perception Analysis": "Opportunity",
    "Proposal/Price Quote": "Opportunity", "Negotiation/Review": "Opportunity", "Closed Won": "Won", "Closed Lost": "Lost",
}  # fmt: skip
_DEAL = {
    "owner": "owner_id|opportunity_owner|owner?",
    "channel": "lead_source?",
    "amount": "amount?",
    "currency": "currency_iso_code|amount_currency?",
}
#: Name of a kind of table -> columns by which it is known, and how it is read.
_KINDS = {
    "leads": (("status|lead_status", "converted_opportunity_id|is_converted|converted_date|converted"), Table(
        shape="snapshot", entity="id|lead_id", stage="status|lead_status", link="converted_opportunity_id?",
        dates={"Lead": "created_date|create_date", "Marketing": "pi_first_activity_c?", "Sales Lead": "converted_date?",
               "Lost": "last_modified_date|last_modified?"},
        names={"Open - Not Contacted": "Lead", "Working - Contacted": "Marketing", "Nurturing": "Marketing",
               "Qualified": "Sales Lead", "Closed - Converted": "Sales Lead",
               "Closed - Not Converted": "Lost", "Unqualified": "Lost"},
        columns={"owner": "owner_id|lead_owner|owner?", "channel": "lead_source?", "region": "country?"},
        deleted="is_deleted?", merged="master_record_id?",
    )),
    "history": (("stage_name", "opportunity_id|_fivetran_start", "_fivetran_start|created_date"), Table(
        shape="events", entity="opportunity_id|id", stage="stage_name", at="_fivetran_start|created_date", names=_STAGE_NAMES,
        columns=_DEAL, deleted="is_deleted?",
    )),
    "deals": (("stage_name|stage", "close_date", "id|opportunity_id"), Table(
        shape="snapshot", entity="id|opportunity_id", stage="stage_name|stage",
        dates={"Sales Lead": "created_date|create_date", "Won": "close_date", "Lost": "close_date"}, names=_STAGE_NAMES,
        columns=_DEAL, deleted="is_deleted?",
    )),
}  # fmt: skip


def preset(parts: Sequence[Part], spec: dict[str, Any]) -> Mapping:
    """Return a preset fitted to the tables that the export has.

    Parameters
    ----------
    parts : sequence of Part
        Tables of the export.
    spec : dict
        ``preset`` names it; a mapping file's other keys adapt it: ``stages``, ``lost`` and ``optional`` replace the preset's,
        ``names``, ``columns`` and ``only`` are added to it. ``name`` is that of the file, for messages.

    Raises
    ------
    DataError
        An unknown name or key, or an export in which the preset finds none of its tables.
    """
    spec = dict(spec)
    name, given = spec.pop("preset"), spec.pop("name", "")
    problems = key_problems(spec, _KEYS)
    if name not in PRESETS:
        problems.append(Problem("mapping", f"no file and no preset is called {name!r}", nearest(name, PRESETS)))
    if problems:
        raise DataError(given or "the mapping", problems)
    base = _salesforce(parts) if name == "salesforce" else hubspot(parts, spec)
    return _extended(base, spec, name=given) if spec else base


def _salesforce(parts: Sequence[Part]) -> Mapping:
    """Leads, and the history of stages; without a history, the present stage of each opportunity and its close date."""
    found: dict[str, list[Part]] = {}
    for part in parts:
        kind = next((kind for kind, (signs, _) in _KINDS.items() if all(find(sign, part.columns) for sign in signs)), None)
        if kind:
            found.setdefault(kind, []).append(part)
    if "history" in found:
        found.pop("deals", None)
    several = [Problem("file", f"expected one table of {kind}, found {', '.join(part.name for part in some)}", "leave only one")
               for kind, some in found.items() if len(some) > 1]  # fmt: skip
    if not found:
        names = ", ".join(part.name for part in parts)
        what = f"expected Lead, OpportunityHistory or Opportunity, found {names} without their columns"
        listed = "; ".join(f"{kind} have {', '.join(signs)}" for kind, (signs, _) in _KINDS.items())
        several = [Problem("file", what, f"{listed}. Export these, or write a mapping file")]
    if several:
        raise DataError("preset salesforce", several)
    tables = tuple(replace(_KINDS[kind][1], file=found[kind][0].name) for kind in _KINDS if kind in found)
    # leads alone tell nothing of opportunities, and opportunities nothing of the leads that never became one
    stages = FIVE_STAGES if len(tables) == 2 else FIVE_STAGES[:3] if "leads" in found else FIVE_STAGES[2:]
    return Mapping(stages=stages, tables=tuple(within(table, (*stages, "Lost")) for table in tables), name="preset salesforce")


def _extended(base: Mapping, spec: dict[str, Any], *, name: str) -> Mapping:
    lists: dict[str, Any] = {key: tuple(spec[key]) for key in ("stages", "lost", "optional") if key in spec}
    texts = {key: spec[key] for key in ("currency", "encoding") if key in spec}
    outcomes = (*lists.get("stages", base.stages), *lists.get("lost", base.lost))
    added = {key: spec.get(key, {}) for key in ("names", "columns", "only")}
    own = {key: spec[key] for key in ("date_format", "decimal") if key in spec}
    tables = []
    for table in base.tables:
        table = within(table, outcomes)
        tables.append(replace(table, **{key: getattr(table, key) | value for key, value in added.items()}, **own))
    return replace(base, tables=tuple(tables), **lists, **texts, name=name)
