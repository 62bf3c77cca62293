"""Which column of an export means what, and which stages there are, in which order?

A :class:`Mapping` is a value: write it in Python, take a preset (``"salesforce"``, ``"hubspot"``), or keep it in a TOML file
beside the export, so that the same notebook reads next quarter's file.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from funnelstats.data.table import Table, nearest
from funnelstats.errors import DataError, Problem

_LISTS = ("stages", "lost", "optional")
_DICTS = ("dates", "names", "columns", "only")
_TABLE = tuple(f.name for f in fields(Table))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Stages in order, lost outcomes, currency, and the table or tables that hold them.

    Parameters
    ----------
    stages : tuple of str
        Funnel order, the last one being success.
    tables : tuple of Table
        Usually one.
    lost : tuple of str
        Outcomes that end an entity without success.
    optional : tuple of str
        Stages that may be skipped.
    currency : str
        ISO code of ``amount`` where no column tells it.
    encoding : str
        Of text files that are neither UTF-8 nor UTF-16, such as ``"gb18030"`` or ``"cp1252"``.
    name : str
        Where the mapping comes from, for messages.

    Examples
    --------
    >>> mapping = Mapping.of({"stages": ["Lead", "Won"], "entity": "id", "stage": "stage", "at": "date"})
    >>> mapping.stages, mapping.tables[0].shape
    (('Lead', 'Won'), 'events')
    """

    stages: tuple[str, ...]
    tables: tuple[Table, ...]
    lost: tuple[str, ...] = ("Lost",)
    optional: tuple[str, ...] = ()
    currency: str = ""
    encoding: str = ""
    name: str = "mapping"

    def __post_init__(self) -> None:
        outcomes = (*self.stages, *self.lost)
        problems = []
        if len(self.stages) < 2:
            problems.append(Problem("stages", f"expected at least two in funnel order, found {list(self.stages)}"))
        twice = sorted({name for name in outcomes if [one.casefold() for one in outcomes].count(name.casefold()) > 1})
        if twice:
            problems.append(Problem("stages", f"expected each name once among stages and lost, found {twice} again"))
        for name in self.optional:
            if name not in self.stages[1:-1]:
                problems.append(Problem("optional", f"expected one of {list(self.stages[1:-1])}, found {name!r}"))
        for table in self.tables:
            problems += [problem for problem in table.problems(outcomes) if problem not in problems]
        if problems:
            raise DataError(self.name, problems)

    @classmethod
    def of(cls, spec: dict[str, Any], *, name: str = "mapping") -> Self:
        """Parse the content of a TOML file: keys of the mapping, and of its table or of each ``[[table]]``.

        Keys of a table that stand beside ``[[table]]`` hold for all of them.
        """
        own = {f.name for f in fields(cls)} - {"tables", "name"}
        parts = spec.get("table", [{}])
        parts = [parts] if isinstance(parts, dict) else parts
        problems = [problem for part in (spec, *parts) for problem in key_problems(part, {*own, *_TABLE, "table"})]
        if "stages" not in spec:
            problems.append(Problem("stages", "expected the stages in funnel order, found nothing", 'stages = ["Lead", "Won"]'))
        if problems:
            raise DataError(name, list(dict.fromkeys(problems)))
        shared = {key: value for key, value in spec.items() if key in _TABLE}
        tables = tuple(Table(**_joined(shared, part)) for part in parts)
        values: dict[str, Any] = {key: tuple(spec[key]) if key in _LISTS else spec[key] for key in own if key in spec}
        return cls(**values, tables=tables, name=name)

    @staticmethod
    def parse_toml(path: str | Path) -> dict[str, Any]:
        """Read a mapping file as the dict that :meth:`of` takes."""
        try:
            return tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8-sig"))
        except FileNotFoundError as error:
            raise DataError(
                str(path), [Problem("mapping", "no such file", 'give a TOML file, "salesforce" or "hubspot"')]
            ) from error
        except tomllib.TOMLDecodeError as error:
            raise DataError(str(path), [Problem("mapping", f"not valid TOML: {error}")]) from error
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(str(path), [Problem("mapping", f"not readable as UTF-8 text: {error}")]) from error


def key_problems(spec: dict[str, Any], known: set[str]) -> list[Problem]:
    """Name keys that a mapping does not have, and values of the wrong kind."""
    problems = []
    for key, value in spec.items():
        if key not in known:
            problems.append(Problem(key, "not a key of a mapping", nearest(key, sorted(known))))
        elif key in _LISTS and not (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)):
            problems.append(Problem(key, f"expected a list of names, found {value!r}", f'{key} = ["...", "..."]'))
        elif key in _DICTS and not (isinstance(value, dict) and all(isinstance(one, str) for one in value.values())):
            problems.append(Problem(key, f"expected pairs of texts, found {value!r}", f'{key} = {{"..." = "..."}}'))
        elif key not in (*_LISTS, *_DICTS, "table") and not isinstance(value, str):
            problems.append(Problem(key, f"expected a text, found {value!r}"))
    return problems


def _joined(shared: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Lay a table's own keys over the shared ones; dicts are copied, so that nobody can change the mapping from outside."""
    return {key: {**shared.get(key, {}), **part.get(key, {})} if key in _DICTS else part.get(key, shared.get(key))
            for key in {**shared, **part}}  # fmt: skip
