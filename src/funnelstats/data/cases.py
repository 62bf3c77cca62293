"""What is known of each case before its outcome, what only after it, and how did it end? One row per client, visit or loan.

A score may use what is known before the outcome and nothing else.  Which column is which cannot be seen from the numbers, so it is
said once, as :class:`Roles`, and travels with the table: by the card of a bundled data set, by the entry of a public one, or by the user.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from funnelstats.data.columns import nearest
from funnelstats.data.datasets import dataset_card, load_dataset
from funnelstats.data.public import PUBLIC, load_public, public_set
from funnelstats.errors import DataError, Problem

BUNDLED = "bundled:"
#: Spellings of yes and no, in any case; anything else is refused.
_YES, _NO = frozenset({"yes", "y", "true", "1", "1.0"}), frozenset({"no", "n", "false", "0", "0.0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which column plays which part.

    Parameters
    ----------
    outcome : str
        The column that says yes or no.
    features : tuple of str
        Columns known before the outcome.
    known_after : tuple of str
        Columns known only with the outcome or after it (how long the call took in which the client agreed); never a feature.
    segment, offer, amount, time, case : str
        Kind of client, what was shown, what a yes brought, when, and who; empty where the table has none.
    others : dict
        Further parts by name, such as ``defaulted`` or ``exposure``, and their columns.
    """

    outcome: str
    features: tuple[str, ...]
    known_after: tuple[str, ...] = ()
    segment: str = ""
    offer: str = ""
    amount: str = ""
    time: str = ""
    case: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read roles from a card: lists become tuples, parts that have no field of their own go to ``others``."""
        own = {one.name for one in fields(cls)}
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value for name, value in given.items()
        }
        others = {name: value for name, value in plain.items() if name not in own}
        known: dict[str, Any] = {name: value for name, value in plain.items() if name in own} | (
            {"others": others} if others else {}
        )
        return cls(**known)

    def columns(self) -> dict[str, str]:
        """Column -> its part, for every column that is named."""
        parts = {self.outcome: "outcome", **dict.fromkeys(self.features, "feature")}
        parts |= dict.fromkeys(self.known_after, "known after")
        parts |= {getattr(self, name): name for name in ("segment", "offer", "amount", "time", "case")
                  if getattr(self, name) and getattr(self, name) not in parts}  # fmt: skip
        return parts | {column: part for part, column in self.others.items() if column not in parts}


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Cases:
    """A table of cases with the roles of its columns; the outcome is 0 or 1.

    Examples
    --------
    >>> frame = pd.DataFrame({"job": ["a", "b", "b"], "minutes": [9, 0, 1], "bought": ["yes", "no", "no"]})
    >>> cases = Cases.of(frame, outcome="bought", features=["job"], known_after=["minutes"])
    >>> cases
    <Cases of a table: 3 cases, 1 with bought, 1 feature>
    """

    frame: pd.DataFrame
    roles: Roles
    currency: str = ""
    source: str = "a table"

    @classmethod
    def of(cls, frame: pd.DataFrame, *, currency: str = "", source: str = "a table", **roles: Any) -> Self:
        """Check a table and its roles.

        Parameters
        ----------
        frame : DataFrame
            One row per case.
        currency, source : str
            Of the amounts; where the table is from.
        **roles
            As for :class:`Roles`.

        Raises
        ------
        DataError
            Columns that are not there, an outcome that is not yes or no, a feature known only after the outcome: all at once.
        """
        parts = Roles.of(roles)
        problems = [Problem(name, f"column of the {part} expected, not found", nearest(name, list(frame.columns)))
                    for name, part in parts.columns().items() if name not in frame.columns]  # fmt: skip
        if not parts.features:
            problems.append(Problem("features", "expected at least one column known before the outcome, found none"))
        problems += [Problem(name, "is named among the features and as known only after the outcome", "take it out of features")
                     for name in parts.features if name in parts.known_after or name == parts.outcome]  # fmt: skip
        if not len(frame):
            problems.append(Problem("rows", "expected at least one case, found none"))
        elif parts.outcome in frame.columns:
            values, wrong = _yes_or_no(frame[parts.outcome])
            frame = frame.assign(**{parts.outcome: values})
            problems += [Problem(parts.outcome, f"expected yes or no in every row, found {wrong[:3]}")] if wrong else []
        if problems:
            raise DataError(f"{source} ({len(frame):,} rows)", problems)
        return cls(frame=frame.reset_index(drop=True), roles=parts, currency=currency, source=source)

    @property
    def outcome(self) -> np.ndarray:
        """0 or 1 of each case, shape (n_cases,)."""
        return self.frame[self.roles.outcome].to_numpy(dtype=np.int64)

    def where(self, keep: Any) -> Self:
        """Keep the cases for which ``keep`` (a mask, or a function of the frame) is true."""
        chosen = self.frame.loc[keep(self.frame) if callable(keep) else keep]
        if not len(chosen):
            raise DataError(self.source, [Problem("where", "expected at least one case, found none that fits")])
        return replace(self, frame=chosen.reset_index(drop=True))

    def asking(self, outcome: str, *, features: Any = None) -> "Cases":
        """The same cases with another question: another outcome, and other features where given."""
        known = {name: getattr(self.roles, name) for name in ("segment", "offer", "amount", "time", "case", "others")}
        after = tuple(name for name in (*self.roles.known_after, self.roles.outcome) if name != outcome)
        wanted = tuple(self.roles.features if features is None else features)
        known |= {"known_after": tuple(name for name in after if name not in wanted)}
        return Cases.of(self.frame, outcome=outcome, features=wanted, currency=self.currency, source=self.source,
                        **{k: v for k, v in known.items() if k != "others"}, **known["others"])  # fmt: skip

    def split(self, *, share: float = 0.3, seed: int, by: str = "chance") -> tuple[Self, Self]:
        """Part the cases to learn from and those to be judged on.

        Parameters
        ----------
        share : float
            Of the cases that are held out.
        seed : int
            Of the draw.
        by : {"chance", "time"}
            Held out at random, or the last ones by the column of time: only the second says what a score is worth next month.

        Returns
        -------
        tuple of two Cases
            To learn from, and held out.
        """
        problems = [] if 0 < share < 1 else [Problem("share", f"expected a share between 0 and 1, found {share!r}")]
        if by not in ("chance", "time"):
            problems.append(Problem("by", f"expected 'chance' or 'time', found {by!r}"))
        if by == "time" and not self.roles.time:
            problems.append(Problem("time", "the table has no column of time", 'use by="chance"'))
        held = round(len(self.frame) * share)
        if not problems and not 0 < held < len(self.frame):
            problems.append(Problem("share", f"leaves nothing on one side of {len(self.frame)} cases"))
        if problems:
            raise DataError(self.source, problems)
        order = (np.random.default_rng([seed, 61]).permutation(len(self.frame)) if by == "chance"
                 else np.argsort(self.frame[self.roles.time].to_numpy(), kind="stable"))  # fmt: skip
        first, last = (self.frame.iloc[np.sort(part)].reset_index(drop=True) for part in np.split(order, [len(order) - held]))
        return replace(self, frame=first), replace(self, frame=last, source=f"{self.source}, held out")

    def __repr__(self) -> str:
        count = len(self.roles.features)
        return (f"<Cases of {self.source}: {len(self.frame):,} cases, {self.outcome.sum():,} with {self.roles.outcome}, "
                f"{count} feature{'' if count == 1 else 's'}>")  # fmt: skip


def read_cases(source: Any, *, folder: str | Path | None = None, currency: str = "", **roles: Any) -> Cases:
    """Read a table of cases.

    Parameters
    ----------
    source : DataFrame, path, "bundled:NAME" or "public:NAME"
        A bundled data set brings its roles on its card; a public one (:data:`~funnelstats.data.public.PUBLIC`) is read from a local copy
        or downloaded, and is checked.
    folder : path, optional
        Where copies of public files lie.
    currency : str
        ISO code of amounts.
    **roles
        As for :class:`Roles`; they take the place of those that come with the data.

    Returns
    -------
    Cases

    Raises
    ------
    DataError
        No such data, roles that are missing or do not fit.

    Examples
    --------
    >>> frame = pd.DataFrame({"visits": [1, 5], "bought": [0, 1]})
    >>> read_cases(frame, outcome="bought", features=["visits"]).outcome
    array([0, 1])
    """
    name = source if isinstance(source, str) else str(source) if isinstance(source, Path) else "a table"
    known: Mapping[str, Any] = {}
    if isinstance(source, pd.DataFrame):
        frame = source
    elif name.startswith(BUNDLED):
        card = dataset_card(name.removeprefix(BUNDLED))
        frame, known, currency = load_dataset(name.removeprefix(BUNDLED)), card.roles, currency or card.currency
    elif name.startswith("public:"):
        spec = public_set(name)
        frame, known, currency = load_public(name, folder=folder), spec.roles, currency or spec.currency
    elif Path(name).is_file():
        frame = pd.read_parquet(name) if name.endswith(".parquet") else pd.read_csv(name, sep=None, engine="python")
    else:
        fix = f"give a DataFrame, a file, bundled:NAME, or one of {', '.join(f'public:{one}' for one in PUBLIC)}"
        raise DataError(name, [Problem("source", "expected a table of cases, found none", fix)])
    given = {**known, **roles}
    missing = [Problem(part, "which column is it? The data do not say", f'add {part}="..."')
               for part in ("outcome", "features") if part not in given]  # fmt: skip
    if missing:
        raise DataError(name, missing)
    return Cases.of(frame, currency=currency, source=name, **given)


def _yes_or_no(column: pd.Series) -> tuple[pd.Series, list[str]]:
    """0 or 1, and the spellings that are neither."""
    if pd.api.types.is_bool_dtype(column) and not column.isna().any():
        return column.astype(np.int64), []
    text = column.map(lambda value: "" if pd.isna(value) else str(value).strip().casefold())
    wrong = sorted(set(text[~text.isin(_YES | _NO)]))
    return text.isin(_YES).astype(np.int64), [value or "(empty)" for value in wrong]
