"""What would a bank's clients look like if the chance of every answer, decision and default were known?

A client is offered one product, drawn by lot; applies, or shows no interest; is approved by a rule with chance that looks at the recorded
features only; and repays after a fixed term, or defaults before it.  Whatever happens after ``as_of`` is hidden, so loans still running are
open: among those decided by then, defaults are too many, since a default comes before the end of the term and a repayment never does.
"""

import numpy as np
import pandas as pd

from funnelstats.data.choices import (
    SimulatedChoices,
    as_if,
    chance,
    coefficient_table,
    hidden,
    moments,
    numbered,
    pick,
    refuse,
    weibull,
)
from funnelstats.data.world import normals
from funnelstats.window import ObservationWindow

SEGMENTS = {"Young": 0.30, "Family": 0.35, "Self-employed": 0.20, "Retired": 0.15}
CHANNELS = {"Branch": 0.3, "Phone": 0.3, "App": 0.4}
LATE = {"0": 0.68, "1": 0.19, "2": 0.09, "3": 0.04}
AGES = {"Young": (20, 32), "Family": (30, 52), "Self-employed": (28, 60), "Retired": (60, 78)}
INCOMES = {"Young": 9.0, "Family": 16.0, "Self-employed": 18.0, "Retired": 8.0}
#: Product -> median loan, interest earned as a share of it, share lost in a default.
PRODUCTS = {
    "Credit card": (8_000.0, 0.14, 0.35),
    "Instalment loan": (25_000.0, 0.10, 0.35),
    "Renovation loan": (60_000.0, 0.06, 0.35),
}
AMOUNT_SD = 0.4

EFFECTS = {
    "applied": {
        "1": -2.1, "channel=App": 0.5, "late_payments": 0.25, "debt_share": 1.2,
        "segment=Young:offer=Credit card": 1.0, "segment=Young:offer=Instalment loan": 0.4,
        "segment=Family:offer=Renovation loan": 1.1, "segment=Family:offer=Instalment loan": 0.5,
        "segment=Self-employed:offer=Instalment loan": 1.2, "segment=Retired:offer=Renovation loan": 0.3,
    },
    "approved": {"1": 2.8, "debt_share": -3.0, "late_payments": -0.9, "income": 0.03},
    "defaulted": {"1": -2.5, "debt_share": 2.5, "late_payments": 0.7, "income": -0.04, "segment=Self-employed": 0.4},
}  # fmt: skip


def simulate_finance(
    *, seed: int, n_clients: int = 2_400, start: object = "2024-07-01", as_of: object = "2026-06-30", term_days: int = 180,
    days_to_apply: float = 8.0, days_to_decide: float = 4.0, patience_days: int = 60, currency: str = "CNY",
) -> SimulatedChoices:  # fmt: skip
    """Simulate clients from a first contact to the end of their loan.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    n_clients : int
        Clients contacted between ``start`` and ``as_of``.
    start, as_of : date
        First possible contact, end of observation.
    term_days : int
        Days from approval to repayment; a default comes at any day from the thirtieth on, all equally likely.
    days_to_apply, days_to_decide : float
        Median days from contact to application, and to the bank's decision.
    patience_days : int
        Days after which a contact without an application is closed as "No interest".
    currency : str
        ISO code.

    Returns
    -------
    SimulatedChoices
        Table ``clients``: features (``segment, age, income, debt_share, late_payments, channel``), ``offer``, the date of each step,
        ``status``, ``applied``, ``amount`` of the loan once approved, and once it has ended ``defaulted`` and its ``result`` (interest earned,
        or loss). ``offers`` has also ``approved`` and ``defaulted``, the chances of the two among those expected to get so far.

    Raises
    ------
    DataError
        No clients, or an end of observation before the start.

    Examples
    --------
    >>> world = simulate_finance(seed=1, n_clients=500)
    >>> world.offers.loc[world.offers["segment"] == "Young"].set_index("offer")["expected"].idxmax()
    'Instalment loan'
    """
    refuse("the simulated bank", n_clients=(n_clients, 1), term_days=(term_days, 31))
    window = ObservationWindow.of(as_of, start=start, unit="day")
    rng = np.random.default_rng([seed, 0])
    clients = _clients(rng, n_clients)
    chances = pd.DataFrame({outcome: chance(clients, effects) for outcome, effects in EFFECTS.items()})
    applied, approved, defaulted = (rng.random(n_clients) < chances[outcome].to_numpy() for outcome in EFFECTS)
    median, interest, loss = (clients["offer"].map({name: row[k] for name, row in PRODUCTS.items()}) for k in range(3))
    amount: pd.Series = (median * np.exp(AMOUNT_SD * normals(rng, n_clients))).round(-2)
    at = moments(rng, window, n_clients).dt.floor("D")
    steps = [weibull(rng, n_clients, median=days_to_apply, shape=1.2), weibull(rng, n_clients, median=days_to_decide, shape=1.5)]
    steps[0] = np.minimum(steps[0], patience_days)
    lived = np.where(defaulted, 30 + np.floor((term_days - 30) * rng.random(n_clients)), term_days)
    application = at + _days(steps[0])
    decision = application + _days(steps[1])
    end = np.select([~applied, ~approved], [at + _days(np.full(n_clients, patience_days)), decision], decision + _days(lived))
    frame = clients.assign(contacted_on=at, applied_on=hidden(application.where(applied), window),
                           approved_on=hidden(decision.where(applied & approved), window), closed_on=hidden(pd.Series(end), window))  # fmt: skip
    ended = frame["closed_on"].notna()
    final = np.select([~applied, ~approved, defaulted], ["No interest", "Declined", "Defaulted"], "Repaid")
    so_far = np.select([frame["approved_on"].notna(), frame["applied_on"].notna()], ["Approved", "Applied"], "Contacted")
    frame["status"] = pd.Series(np.where(ended, final, so_far), dtype="str")
    lent = frame["approved_on"].notna()
    frame["applied"] = frame["applied_on"].notna()
    frame["defaulted"] = pd.Series(np.where(defaulted, "yes", "no"), dtype="str").where(lent & ended)
    frame["amount"] = amount.where(lent)
    frame["result"] = (amount * interest.where(~defaulted, -loss)).round(2).where(lent & ended)
    return SimulatedChoices(tables={"clients": frame}, coefficients=coefficient_table(EFFECTS), chances=chances,
                            offers=_offers(clients), arms=pd.DataFrame(), currency=currency, window=window, seed=seed)  # fmt: skip


def _clients(rng: np.random.Generator, n: int) -> pd.DataFrame:
    segment = pick(rng, SEGMENTS, n)
    young, old = (segment.map({name: ages[k] for name, ages in AGES.items()}).to_numpy() for k in range(2))
    return pd.DataFrame({
        "client": numbered("C", n),
        "segment": segment,
        "age": (young + np.floor((old - young + 1) * rng.random(n))).astype("int64"),
        "income": np.round(segment.map(INCOMES).to_numpy() * np.exp(0.35 * normals(rng, n)), 1),
        "debt_share": np.round(1 / (1 + np.exp(1.0 - 0.7 * normals(rng, n))), 2),
        "late_payments": pick(rng, LATE, n).astype("int64"),
        "channel": pick(rng, CHANNELS, n),
        "offer": pick(rng, dict.fromkeys(PRODUCTS, 1.0), n),
    })  # fmt: skip


def _offers(clients: pd.DataFrame) -> pd.DataFrame:
    """What each product would bring in each segment, had all of its clients been offered it."""
    parts = []
    for product, (median, interest, loss) in PRODUCTS.items():
        apply, approve, default = (chance(as_if(clients, "offer", product), effects) for effects in EFFECTS.values())
        net = median * np.exp(AMOUNT_SD**2 / 2) * ((1 - default) * interest - default * loss)
        sums = pd.DataFrame({"one": 1.0, "apply": apply, "lent": apply * approve, "bad": apply * approve * default,
                             "net": apply * approve * net}).groupby(clients["segment"]).sum()  # fmt: skip
        part = pd.DataFrame({"chance": sums["apply"] / sums["one"], "value": sums["net"] / sums["apply"],
                             "expected": sums["net"] / sums["one"], "approved": sums["lent"] / sums["apply"],
                             "defaulted": sums["bad"] / sums["lent"]})  # fmt: skip
        parts.append(part.reset_index().assign(offer=product))
    frame = pd.concat(parts).sort_values(["segment", "offer"], ignore_index=True)
    return frame[["segment", "offer", "chance", "value", "expected", "approved", "defaulted"]]


def _days(count: np.ndarray) -> pd.Series:
    return pd.Series(pd.to_timedelta(np.floor(count), unit="D"))
