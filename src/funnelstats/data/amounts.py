"""What amount does a text mean, and does a mark say that a record is deleted? Never guessed where it is ambiguous.

Currency signs and thousands marks are taken off only where the whole text is a number with one of them: ``12k`` or ``3 Mio``
is not twelve or three.
"""

import ibis
import ibis.expr.types as ir

from funnelstats.data.checks import Check, rows_text
from funnelstats.data.parse import Parsed, filled, present
from funnelstats.errors import Problem

_ISO = ("AED|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN|RMB|RON|RUB|"
        "SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR")  # fmt: skip
_SIGN = rf"(?:{_ISO}|(?:US|A|C|HK|NT|S|R)?[$]|[€£¥￥₩₹₽₺₴₫฿元円원]|kr[.]?|Fr[.]?|zł|Kč)"
_NUMBER = rf"^([+-]?)({_SIGN}?)([+-]?)([0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?|[.,][0-9]+)({_SIGN}?)$"
_TAIL = "(?:[eE][+-]?[0-9]+)?$"
_YES, _NO = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")


def numbers(table: ir.Table, column: str, *, decimal: str = "", whole: bool = False) -> Parsed:
    """Read a column as numbers.

    Parameters
    ----------
    table : Table
        The source.
    column : str
        A number or text column.
    decimal : str
        ``"."`` or ``","``; inferred when empty.
    whole : bool
        Only whole numbers are expected, so that ``1,234`` and ``1.234`` can only be thousands.
    """
    value = table[column]
    kind = value.type()
    if kind.is_null() or (kind.is_numeric() and not kind.is_boolean()):
        return Parsed(value=present(value, backend=table.get_backend()).cast("float64"))
    if not kind.is_string():
        return Parsed(value=ibis.null("float64"), problems=(Problem(column, f"expected numbers, found {kind}"),))
    said = filled(value)
    # accountants write a negative number in brackets
    text = said.re_replace("[\\s\u00a0\u202f\u2009'’]", "").re_replace(r"^[(](.*)[)]$", r"-\1")
    mark, problems = _marks(table, column, text, decimal, whole=whole)
    if problems:
        return Parsed(value=ibis.null("float64"), problems=problems)
    parsed = _number(text.re_replace(_NUMBER, r"\1\3\4"), mark)
    check = Check(reason="unreadable amount", where=column, what="expected numbers", bad=said.notnull() & parsed.isnull(),
                  shown=value, fix="write plain numbers, or nothing where there is no amount")  # fmt: skip
    return Parsed(value=parsed, checks=(check,))


def _marks(table: ir.Table, column: str, text: ir.StringValue, decimal: str, *, whole: bool) -> tuple[str, tuple[Problem, ...]]:
    """Tell the decimal mark from values that allow one reading only, and refuse signs of several currencies side by side."""
    rows = table.select(said=table[column], text=text)
    digits = rows.text.re_replace("[eE][+-]?[0-9]+$", "").re_replace("[^0-9.,]", "")
    sign = rows.text.re_extract(_SIGN, 0).nullif("")
    tests = {}
    for name, mark, other in (("comma", ",", "[.]"), ("point", "[.]", ",")):
        # not three digits behind it, more than three or a lone zero before it, the other mark before it or twice
        certain = f"{mark}([0-9]{{0,2}}|[0-9]{{4,}})$|^(0|[0-9]{{4,}}){mark}[0-9]+$|{other}.*{mark}|{other}.*{other}"
        tests[name] = digits.re_search(certain)
    tests |= {"bare": digits.re_search("^[0-9]{1,3}[.,][0-9]{3}$"), "thousand": digits.re_search("^[0-9]{1,3},[0-9]{3}$")}
    sums = {name: test.sum() for name, test in tests.items()}
    row = rows.aggregate(**sums, signs=sign.nunique()).fill_null(0).execute().iloc[0]
    if row["signs"] > 1:
        found = rows.select(sign=sign).filter(lambda t: t.sign.notnull()).group_by("sign").aggregate(n=lambda t: t.count())
        listed = ", ".join(f"{sign} in {rows_text(n)}" for sign, n in found.order_by("sign").execute().itertuples(index=False))
        fix = "convert the amounts to one currency first"
        return "", (Problem(column, f"expected amounts of one currency, found {listed}", fix),)
    if decimal:
        return decimal, ()
    if bool(row["comma"]) != bool(row["point"]) or not (row["comma"] or row["bare"]):
        return ("," if row["comma"] else "."), ()
    if whole and row["thousand"] in (0, row["bare"]) and not row["comma"]:
        return ("." if row["thousand"] else ","), ()
    shown = [tests["comma"], tests["point"]] if row["comma"] else [tests["bare"]]
    example = " and ".join(repr(rows.filter(test).limit(1).execute()["said"].iloc[0]) for test in shown)
    return "", (
        Problem(column, f"the decimal mark cannot be told from {example}", 'set decimal = "." or decimal = "," in the mapping'),
    )


def _number(text: ir.StringValue, decimal: str) -> ir.NumericValue:
    """Take off thousands marks where they stand as they should; anything else is refused."""
    mark, group = ("[.]", ",") if decimal == "." else (",", "[.]")
    well_formed = rf"^[+-]?([0-9]+|[0-9]{{1,3}}({group}[0-9]{{2,3}})*{group}[0-9]{{3}})?({mark}[0-9]*)?{_TAIL}"
    return text.re_extract(well_formed, 0).re_replace(group, "").re_replace(mark, ".").nullif("").try_cast("float64")


def deleted(table: ir.Table, column: str) -> tuple[ir.BooleanValue, tuple[Check, ...]]:
    """Read a mark of deletion: true or false in the usual spellings, false where empty, anything else refused."""
    value = table[column]
    if value.type().is_boolean():
        return value.fill_null(False), ()
    text = filled(value).lower()
    other = text.notin([*_YES, *_NO]).fill_null(False)
    check = Check(reason="unreadable mark", where=column, what="expected true or false", shown=value, bad=other,
                  fix="map a column that says whether the record is deleted")  # fmt: skip
    return text.isin(_YES).fill_null(False), (check,)


def merged(table: ir.Table, column: str) -> ir.BooleanValue:
    """Whether a record names another one that it was merged into."""
    text = filled(table[column]).lower()
    return text.notnull() & text.notin(_NO)
