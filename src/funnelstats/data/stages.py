"""How many entities entered each stage, advanced, were lost, or are still undecided?

:class:`StageCounts` and :class:`StageHazards` are the sufficient statistics of every funnel model here: exact for binomial
conversion and for discrete-time hazards, so a fit costs as much as there are distinct situations, not rows.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import pandas as pd

from funnelstats.data.definition import Definition
from funnelstats.errors import DataError, Problem
from funnelstats.window import ObservationWindow

COUNTS = ("entered", "advanced", "lost", "open", "maturing")
HAZARDS = ("at_risk", "advanced", "lost", "censored")
#: A cell is immature when more than this share of its entrants is still open and young enough to advance.
IMMATURE_SHARE = 0.05


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class StageCounts:
    """Entities per segment and stage, split by what became of them up to the end of observation.

    Parameters
    ----------
    frame : DataFrame
        Columns ``[*by, "stage", "entered", "advanced", "lost", "open", "maturing"]``, one row per segment and stage, stages
        in funnel order. ``open`` entities are undecided, not lost; the ``maturing`` among them have been in the stage for
        less than the 90th percentile of the time it takes to advance. The last stage has ``entered`` only.
    stages : tuple of str
        Names in funnel order.
    by : tuple of str
        Columns that name a segment; empty for the whole.
    window : ObservationWindow, optional
        None for a file of counts, which has no dates.
    definition : Definition
        What counted as entering a stage.
    source : str
        Where the counts come from.
    note : str
        What the definition left out, in words; empty when nothing.

    Examples
    --------
    >>> counts = StageCounts.of({"Lead": 200, "Opportunity": 50, "Won": 12})
    >>> counts.frame[["stage", "entered", "advanced", "open"]].to_string(index=False).splitlines()[1].split()
    ['Lead', '200', '50', '0']
    """

    frame: pd.DataFrame
    stages: tuple[str, ...]
    by: tuple[str, ...] = ()
    window: ObservationWindow | None = None
    definition: Definition = field(default_factory=Definition)
    source: str = "counts"
    note: str = ""

    def __post_init__(self) -> None:
        missing = [name for name in (*self.by, "stage", *COUNTS) if name not in self.frame.columns]
        if missing:
            raise DataError(self.source, [Problem(name, "column expected, not found") for name in missing])
        problems = list(_violations(self.frame, self.stages, self.by))
        if problems:
            raise DataError(f"{self.source} ({len(self.frame)} rows of counts)", problems)

    @classmethod
    def of(
        cls, data: pd.DataFrame | dict[str, int], *, stages: Sequence[str] = (), by: Sequence[str] = (), source: str = "counts",
        window: ObservationWindow | None = None,
    ) -> Self:  # fmt: skip
        """Build from a mapping stage to entered, or from a frame with ``stage`` and ``entered`` and what else is known.

        Parameters
        ----------
        data : DataFrame or dict
            Missing ``advanced`` is the next stage's ``entered``; missing ``lost`` and ``open``: a file that does not tell
            them apart counts all who did not advance as lost, and says so in ``note``.
        stages, by, source, window
            As for the class; ``stages`` defaults to the order of appearance.

        Raises
        ------
        DataError
            Counts that rise along the funnel, are negative, or do not add up.
        """
        frame = pd.DataFrame({"stage": list(data), "entered": list(data.values())}) if isinstance(data, dict) else data.copy()
        order = tuple(stages) or tuple(dict.fromkeys(frame["stage"]))
        by = tuple(by)
        frame = _ordered(frame, order, by)
        follows = frame.groupby(list(by), sort=False)["entered"].shift(-1) if by else frame["entered"].shift(-1)
        last = frame["stage"] == order[-1]
        advanced = frame.get("advanced", follows)
        frame["advanced"] = advanced.where(~last, 0).fillna(0)
        note = ""
        if "open" not in frame and "lost" not in frame:
            note = "the file does not tell open from lost: all who did not advance are counted as lost"
        if "open" not in frame:
            frame["open"] = (frame["entered"] - frame["advanced"] - frame["lost"]).where(~last, 0) if "lost" in frame else 0
        if "lost" not in frame:
            frame["lost"] = (frame["entered"] - frame["advanced"] - frame["open"]).where(~last, 0)
        if "maturing" not in frame:
            frame["maturing"] = frame["open"]  # without dates nobody can say that an open entity is old
        frame = frame[[*by, "stage", *COUNTS]].astype(dict.fromkeys(COUNTS, "int64"))
        return cls(frame=frame, stages=order, by=by, source=source, window=window, note=note)

    @property
    def immature(self) -> pd.Series:
        """Whether each row's rate is only "so far": over 5 % of its entrants are open and still young."""
        share = self.frame["maturing"] / self.frame["entered"].where(self.frame["entered"] > 0, 1)
        return (share > IMMATURE_SHARE).rename("immature")

    def stages_by(self, *by: str) -> Self:
        """Add segments together until only the columns ``by`` tell them apart."""
        unknown = [name for name in by if name not in self.by]
        if unknown:
            raise DataError(self.source, [Problem(name, f"expected one of {list(self.by)}") for name in unknown])
        frame = self.frame.groupby([*by, "stage"], sort=False, as_index=False)[list(COUNTS)].sum()
        return replace(self, frame=_ordered(frame, self.stages, by), by=by)

    def total(self) -> Self:
        """All segments together."""
        return self.stages_by()

    def select(self, **labels: object) -> Self:
        """Keep the segments with these labels, such as ``owner="Ann"``."""
        frame = self.frame
        for name, label in labels.items():
            known = sorted(map(str, frame[name].unique())) if name in self.by else list(self.by)
            if name not in self.by or label not in set(frame[name]):
                raise DataError(self.source, [Problem(name, f"expected one of {known}, found {label!r}")])
            frame = frame[frame[name] == label]
        return replace(self, frame=frame.reset_index(drop=True))

    @property
    def digest(self) -> str:
        """SHA-256 of the counts and their definition."""
        text = json.dumps([self.frame.to_csv(index=False), self.stages, self.by, str(self.definition), str(self.window)])
        return hashlib.sha256(text.encode()).hexdigest()

    def __repr__(self) -> str:
        until = f", as of {self.window.as_of.date()}" if self.window else ""
        return f"<StageCounts of {self.source}{until}; {self.definition}>\n{self.frame.to_string(index=False)}"

    def _repr_html_(self) -> str:
        from html import escape

        head, _, _ = repr(self).partition("\n")
        table = self.frame.assign(immature=self.immature).to_html(index=False)
        return f"<p>{escape(head[1:-1])}</p>{table}<p>{escape(self.note)}</p>"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class StageHazards:
    """At risk, advanced, lost and censored per segment, stage and age in whole units of time.

    Parameters
    ----------
    frame : DataFrame
        Columns ``[*by, "stage", "age", "at_risk", "advanced", "lost", "censored"]``; ``age`` counts whole units spent in the
        stage (an exit in ``[age, age + 1)``); ``at_risk`` were still in the stage when that age began. One row per segment,
        stage (but the last) and age at which something happened.
    stages, by, window, source
        As for :class:`StageCounts`.
    """

    frame: pd.DataFrame
    stages: tuple[str, ...]
    by: tuple[str, ...] = ()
    window: ObservationWindow | None = None
    source: str = "hazards"

    def __post_init__(self) -> None:
        missing = [name for name in (*self.by, "stage", "age", *HAZARDS) if name not in self.frame.columns]
        if missing:
            raise DataError(self.source, [Problem(name, "column expected, not found") for name in missing])
        exits = self.frame["advanced"] + self.frame["lost"] + self.frame["censored"]
        if (exits > self.frame["at_risk"]).any() or (self.frame[list(HAZARDS)] < 0).any(axis=None):
            raise DataError(
                self.source, [Problem("at_risk", "expected at least advanced + lost + censored, and no negative count")]
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the counts."""
        text = json.dumps([self.frame.to_csv(index=False), self.stages, self.by, str(self.window)])
        return hashlib.sha256(text.encode()).hexdigest()


def _ordered(frame: pd.DataFrame, stages: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    unknown = sorted(set(frame["stage"]) - set(stages))
    if unknown:
        raise DataError("the counts", [Problem("stage", f"expected one of {list(stages)}, found {unknown}")])
    rank = frame["stage"].map({name: place for place, name in enumerate(stages)})
    frame = frame.assign(_rank=rank).sort_values([*by, "_rank"], kind="stable")
    return frame.drop(columns="_rank").reset_index(drop=True)


def _violations(frame: pd.DataFrame, stages: tuple[str, ...], by: tuple[str, ...]) -> list[Problem]:
    """Every way in which counts can fail to be a funnel."""
    problems = []
    rises = frame["advanced"] > frame["entered"]  # what is left over is negative there, and the rise is named below
    negative = (frame[list(COUNTS)] < 0).any(axis=1) & ~(rises & (frame[["entered", "advanced"]] >= 0).all(axis=1))
    if negative.any():
        rows = list(frame.index[negative] + 1)
        problems.append(Problem("counts", f"expected no negative number, found some in rows {rows[:5]}"))
    inner = frame["stage"] != stages[-1]
    off = inner & (frame["entered"] != frame["advanced"] + frame["lost"] + frame["open"])
    if off.any():
        first = frame[off].iloc[0]
        found = f"{first['entered']} is not {first['advanced']} + {first['lost']} + {first['open']} at {first['stage']!r}"
        problems.append(
            Problem("entered", f"expected entered = advanced + lost + open, found {int(off.sum())} rows off, first: {found}")
        )
    for label, part in frame.groupby(list(by), sort=False) if by else [((), frame)]:
        where = f" in {', '.join(map(str, label))}" if label else ""
        rising = part["entered"].diff() > 0
        if rising.any():
            stage, entered = part.loc[rising, ["stage", "entered"]].iloc[0]
            fix = "give one row per stage in funnel order, each counting those who got at least that far"
            problems.append(
                Problem(
                    "entered", f"expected numbers that do not rise along the funnel, found {entered} at {stage!r}{where}", fix
                )
            )
        if list(part["stage"]) != list(stages):
            problems.append(Problem("stage", f"expected each of {list(stages)} once{where}, found {list(part['stage'])}"))
    return problems
