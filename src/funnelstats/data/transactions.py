"""Which purchases were made by whom, when and for how much? An order book, summed up by customer where it lies.

A purchase is a day: what a customer buys on one day is one purchase of the day's total.  Rows of a negative amount are returns:
they are no purchases, and what they took back is counted and said.  A purchase of amount zero is a purchase; it was made.  So is
one whose amount is missing, and the mean value is then that of the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Self

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from funnelstats.data.amounts import numbers
from funnelstats.data.checks import Check, examine, rows_text
from funnelstats.data.columns import find, nearest
from funnelstats.data.customers import Customers
from funnelstats.data.datasets import dataset_card, dataset_path
from funnelstats.data.events import EventLog
from funnelstats.data.parse import Parsed, dates
from funnelstats.data.public import PREFIX, load_public, public_set
from funnelstats.data.reading import OrdersReading
from funnelstats.data.sources import ROW, open_parts
from funnelstats.errors import DataError, Problem
from funnelstats.window import DAYS_PER, ObservationWindow, Unit

BUNDLED = "bundled:"
CUSTOMER = "customer|customer_id|client|client_id|account|account_id"
AT = "at|date|datetime|purchased_at|order_date|invoice_date"
AMOUNT = "amount|value|monetary_value|sales|revenue|total?"
#: Days without any purchase before the end of observation that are worth a word, where purchases came often.
SILENT = 14


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Transactions:
    """Purchases, one row each.

    Parameters
    ----------
    table : Table
        Ibis table with the columns ``customer`` (text or whole number), ``at`` (timestamp) and ``amount`` (number, null where unknown).
    currency : str
        ISO code of the amounts.
    source : str
        Where they come from.
    as_of : str
        End of observation, where the source says it.
    reading : OrdersReading, optional
        The words with which :meth:`of` read it.
    note : str
        What was left out in reading, and by which rule.
    """

    table: ir.Table
    currency: str = ""
    source: str = "transactions"
    as_of: str = ""
    reading: OrdersReading | None = None
    note: str = ""

    @classmethod
    def of(
        cls, source: Any, *, customer: str = CUSTOMER, at: str = AT, amount: str = AMOUNT, currency: str = "",
        date_format: str = "", decimal: str = "",
    ) -> Self:  # fmt: skip
        """Read an order book.

        Parameters
        ----------
        source : path, DataFrame, Ibis table, EventLog, "bundled:NAME" or "public:NAME"
            CSV and Parquet are read by the engine, never whole into Python. Of an :class:`EventLog` the deals won are taken;
            ``customer`` then names the attribute that holds the customer.
        customer, at, amount : str
            Column names; several separated by ``|`` are tried in turn. An ``amount`` that closes with ``?`` may be missing.
        currency : str
            ISO code.
        date_format, decimal : str
            As for :func:`~funnelstats.data.crm.read_crm`; inferred when empty.

        Raises
        ------
        DataError
            Missing columns, dates or numbers that cannot be read, rows without customer or date: all of it at once.

        Examples
        --------
        >>> orders = Transactions.of("bundled:cdnow")
        >>> orders.customers(unit="week", as_of="1997-09-30").repeaters
        946
        """
        if isinstance(source, EventLog):
            return cls._of_log(source, customer)
        as_of, name = "", source if isinstance(source, str | Path) else type(source).__name__
        reading = OrdersReading(source=str(source) if isinstance(source, str | Path) else "", customer=customer, at=at, amount=amount,
                                currency=currency, date_format=date_format, decimal=decimal)  # fmt: skip
        if isinstance(source, str) and source.startswith(BUNDLED):
            card = dataset_card(source.removeprefix(BUNDLED))
            source, as_of, currency = dataset_path(card.name), card.as_of, currency or card.currency
        elif isinstance(source, str) and source.startswith(PREFIX):
            spec = public_set(source)
            source, as_of, currency = load_public(source), spec.as_of, currency or spec.currency
        parts = open_parts(source)
        if len(parts) > 1:
            names = ", ".join(part.name for part in parts)
            raise DataError(str(name), [Problem("source", f"expected one table of purchases, found {names}")])
        table, problems = _typed(parts[0].read(parts[0].columns), customer, at, amount, date_format, decimal)
        if table is None or problems:
            raise DataError(str(name), problems)
        return cls(table=table, currency=currency, source=str(name), as_of=as_of, reading=reading)

    @classmethod
    def _of_log(cls, log: EventLog, customer: str) -> Self:
        column = find(customer, log.attributes)
        if column is None:
            raise DataError(log.source, [Problem("customer", "no such attribute", nearest(customer, log.attributes))])
        people = log.entities
        won = people.filter(people.fate == "won")
        last = won[f"at_{len([name for name in log.stage_names if name not in log.optional]) - 1}"]
        table = won.select(customer=won[column].cast("string"), at=last, amount=won.amount.cast("float64"))
        known = table["at"].notnull() & table["customer"].notnull()
        missing = int(table.aggregate(n=(~known).sum().fill_null(0)).execute()["n"].iloc[0])
        note = f"deals won without {column} or date, left out: {missing:,}" if missing else ""
        return cls(table=table.filter(known), currency=log.currency, source=log.source, as_of=str(log.window.as_of), note=note)

    def customers(self, *, unit: Unit = "day", as_of: Any = None, holdout: Any = None) -> Customers:
        """Sum up each customer's purchases.

        What a customer buys on one day is one purchase. Rows of a negative amount are returns and no purchases; amounts of zero and
        missing ones are purchases. What was left out or is in doubt stands in the ``note`` of the result.

        Parameters
        ----------
        unit : {"day", "week", "month", "year"}
            Of recency and T.
        as_of : date
            End of observation: purchases of this day are the last to count. Taken from a bundled data set's card where missing.
        holdout : date, optional
            End of a second span, whose purchases are kept apart in ``later_frequency`` and ``later_value``.

        Returns
        -------
        Customers
            One row per customer who bought by ``as_of``, in order of their names.

        Raises
        ------
        DataError
            No end of observation; nobody bought by then; ``holdout`` not after ``as_of``.
        """
        window = ObservationWindow.of(as_of or self.as_of or None, unit=unit)
        cut = window.as_of.normalize()
        last = cut if holdout is None else ObservationWindow.of(holdout, unit=unit).as_of.normalize()
        if last < cut or (holdout is not None and last == cut):
            raise DataError(self.source, [Problem("holdout", f"expected a date after {cut.date()}, found {last.date()}")])
        frame, note = self._summed(cut, last)
        if frame.empty:
            fix = "check as_of, and the dates of the file"
            raise DataError(self.source, [Problem("as_of", f"nobody bought by {cut.date()}", fix)])
        days = DAYS_PER[unit]
        x = frame["days"].to_numpy() - 1
        with np.errstate(invalid="ignore", divide="ignore"):
            priced = x if "known" not in frame else (frame["known"] - frame["first_value"].notna()).to_numpy()
            again = _summed_alike(frame["value"] - frame["first_value"].fillna(0.0))
            value = np.where((x > 0) & (priced > 0), np.maximum(again, 0.0) / priced, np.nan)
        later: dict[str, Any] = {} if holdout is None else {
            "later_frequency": frame["later_days"].to_numpy(), "later_value": _summed_alike(frame["later_value"]),
            "later": (last - cut).days / days}  # fmt: skip
        recency, age = (frame[name].to_numpy(dtype=float) / days for name in ("recency", "age"))
        return Customers(
            frequency=x, recency=recency, T=age, monetary_value=value, weight=np.ones(len(x), dtype=np.int64),
            unit=unit, label=frame["customer"].to_numpy(dtype=object), window=replace(window, start=cut - pd.Timedelta(days=int(frame["age"].max()))),
            currency=self.currency, source=self.source, note=note, **later,
        )  # fmt: skip

    def _summed(self, cut: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DataFrame, str]:
        """One row per customer, made by the engine, and what is to be said of the rows."""
        t = self.table
        t = t.mutate(day=t["at"].date()).filter(lambda s: s["day"] <= ibis.date(str(last.date())))
        back, gone = t["amount"] < 0, t["amount"].isnull()
        row = t.aggregate(n=t.count(), back=back.sum().fill_null(0), taken=t["amount"].sum(where=back), gone=gone.sum().fill_null(0), first=t["day"].min(),
                          final=t["day"].max()).execute().iloc[0]  # fmt: skip
        kept = t.filter(~back | gone)
        by_day = kept.group_by("customer", "day").aggregate(amount=kept["amount"].sum())
        edge = ibis.date(str(cut.date()))
        what = {"first": by_day["day"].min(), "first_value": _earliest(by_day)}
        if last == cut:  # without a second span nothing needs a condition, which would cost as much again
            what |= {"final": by_day["day"].max(), "days": by_day.count(), "value": by_day["amount"].sum()}
        else:
            early = by_day["day"] <= edge
            what |= {"final": by_day["day"].max(where=early), "days": early.sum(), "value": by_day["amount"].sum(where=early),
                     "later_days": (~early).sum(), "later_value": by_day["amount"].sum(where=~early).fill_null(0.0)}  # fmt: skip
        if 0 < row["gone"] < row["n"]:
            what["known"] = by_day["amount"].count() if last == cut else by_day["amount"].count(where=by_day["day"] <= edge)
        first = by_day.group_by("customer").aggregate(**what)
        first = first.filter(first["days"] > 0)
        first = first.mutate(recency=first["final"].delta(first["first"], unit="day"), age=edge.delta(first["first"], unit="day"),
                             customer=first["customer"].cast("string"))  # fmt: skip
        frame = first.drop("first", "final").order_by("customer").execute()  # dates would cross as one object each
        return frame, "; ".join(part for part in (self.note, *_said(row, last, self.currency)) if part)

    def __repr__(self) -> str:
        t = self.table
        row = t.aggregate(n=t.count(), who=t["customer"].nunique(), priced=t["amount"].count(),
                          back=(t["amount"] < 0).sum().fill_null(0)).execute().iloc[0]  # fmt: skip
        back = f" and {row['back']:,} return{'' if row['back'] == 1 else 's'}" if row["back"] else ""
        money = "" if row["priced"] else ", without amounts"
        note = f"; {self.note}" if self.note else ""
        return f"<Transactions of {self.source}: {row['n'] - row['back']:,} purchases{back} by {row['who']:,} customers{money}{note}>"


def _said(row: pd.Series, last: pd.Timestamp, currency: str) -> Iterator[str]:
    """What rows were counted by which rule, and whether the book ends long before the end of observation."""
    if not row["n"]:
        return
    back, gone = int(row["back"]), int(row["gone"])
    if gone == row["n"]:
        yield "no amounts, so that returns are counted as purchases"
    elif gone:
        yield f"{rows_text(gone)} without an amount: a purchase, and left out of mean values"
    if back:
        money = f"{-row['taken']:,.2f} {currency}".rstrip()
        yield f"{rows_text(back)} of a negative amount ({money}): returns, not purchases"
    first, final = pd.Timestamp(row["first"]), pd.Timestamp(row["final"])
    silent = (last - final).days
    # at a steady pace a gap of ten times the mean one has a chance of e to the minus ten
    if silent >= SILENT and silent > 10 * (final - first).days / row["n"]:
        yield f"no purchase after {final.date()}, {silent} days before the end {last.date()}: if the file ends there, so does the observation"


def _summed_alike(money: pd.Series) -> np.ndarray:
    """Sums without the digits that depend on the order in which an engine's threads came; money is written in fewer decimals."""
    return np.round(money.to_numpy(dtype=float), 8)


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def arg_min_null(value: float, by: date) -> float:  # type: ignore[empty-body]
    """DuckDB's: the value where ``by`` is least, missing where it is missing there."""


def _earliest(by_day: ir.Table) -> ir.Value:
    """Amount of the first day; DuckDB's own aggregate sorts nothing, which Ibis's ``argmin`` makes it do in every group."""
    if by_day.get_backend().name == "duckdb":
        return arg_min_null(by_day["amount"], by_day["day"])
    return by_day["amount"].argmin(by_day["day"])


def _typed(
    table: ir.Table, customer: str, at: str, amount: str, date_format: str, decimal: str
) -> tuple[ir.Table | None, list[Problem]]:  # fmt: skip
    """Bring the three columns to their types; name everything that refuses."""
    problems: list[Problem] = []
    places: dict[str, str | None] = {}
    for what, wanted in (("customer", customer), ("at", at), ("amount", amount)):
        found = find(wanted, table.columns) if wanted else None
        if found is None and not wanted.endswith("?") and wanted:
            problems.append(
                Problem(what, "column expected, not found", nearest(wanted.split("|")[0], [n for n in table.columns if n != ROW]))
            )
        places[what] = found
    if problems:
        return None, problems
    when = dates(table, str(places["at"]), date_format=date_format)
    money = Parsed(value=ibis.null("float64"))
    if places["amount"]:
        money = numbers(table, str(places["amount"]), decimal=decimal)
    key = table[str(places["customer"])]
    who = key if key.type().is_integer() else key.cast("string").strip().nullif("")  # whole numbers group several times faster
    undated, dated = when.value.isnull(), [replace(one, fix="correct them, or leave these rows out") for one in when.checks]
    for one in when.checks:
        undated = undated & ~one.bad.fill_null(False)
    missing = [Check(reason="missing", where=str(places[what]), what="expected a value in every row", bad=bad, fix="leave these rows out",
                     called="without") for what, bad in (("customer", who.isnull()), ("at", undated))]  # fmt: skip
    refused = examine(table, (*dated, *money.checks, *missing), entity=who)
    problems += [*when.problems, *money.problems, *(one.problem for one in refused)]
    if problems:
        return None, problems
    typed = table.select(customer=who, at=when.value, amount=money.value)
    return typed, problems
