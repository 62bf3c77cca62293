"""What would the till of a shop record if each household's taste and the effect of each promotion were known?

Two tables of the same holders of a loyalty card.  At a visit the till looks at the basket and recommends one thing, drawn by lot, that is
taken with a known chance and brings a margin.  In an experiment each customer gets one arm of a promotion, drawn by lot, and buys or
does not within the weeks that follow.
"""

import numpy as np
import pandas as pd

from funnelstats.data.choices import SimulatedChoices, as_if, chance, coefficient_table, moments, numbered, pick, refuse
from funnelstats.data.world import normals
from funnelstats.window import ObservationWindow

HOUSEHOLDS = {"Family": 0.40, "Couple": 0.25, "Single": 0.20, "Senior": 0.15}
BASKETS = {"Weekly shop": 0.46, "Lunch": 0.28, "Barbecue": 0.17, "Party": 0.09}
#: What is recommended -> median margin of one that is taken.
OFFERS = {"Coffee": 3.5, "Dessert": 4.5, "Flowers": 7.0, "Wine": 9.0}
OFFER_SD = 0.3
#: Arm -> share of the spending given away, and money per customer who buys.
ARMS = {"No promotion": (0.0, 0.0), "Coupon": (0.08, 0.0), "Bundle": (0.0, 3.0)}
#: Median spending by household, its log sd, and the margin of it before promotions.
SPENDING, SPENDING_SD, MARGIN = {"Family": 160.0, "Couple": 110.0, "Single": 70.0, "Senior": 80.0}, 0.5, 0.30

EFFECTS = {
    "taken": {
        "1": -2.2, "household=Single": 0.2, "household=Senior": -0.2, "basket=Lunch:offer=Coffee": 1.4,
        "basket=Lunch:offer=Dessert": 0.7, "basket=Barbecue:offer=Wine": 1.2, "basket=Party:offer=Wine": 0.9,
        "basket=Party:offer=Dessert": 0.6, "basket=Weekly shop:offer=Wine": -0.5, "basket=Weekly shop:offer=Flowers": 0.3,
        "household=Senior:offer=Flowers": 0.7,
    },
    "bought": {
        "1": -1.1, "visits_before": 0.12, "household=Family": 0.3, "household=Single": -0.2, "arm=Coupon": 0.35, "arm=Bundle": 0.30,
    },
}  # fmt: skip


def simulate_retail(
    *, seed: int, n_visits: int = 2_400, n_customers: int = 1_800, start: object = "2026-04-01", as_of: object = "2026-06-30",
    currency: str = "CNY",
) -> SimulatedChoices:  # fmt: skip
    """Simulate recommendations at the till, and a promotion given by lot.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    n_visits, n_customers : int
        Visits with a recommendation, each of another customer, and customers of the experiment.
    start, as_of : date
        First possible visit, end of observation.
    currency : str
        ISO code.

    Returns
    -------
    SimulatedChoices
        Tables ``visits`` (``visit, at, household, basket, offer, taken, margin``) and ``promotion`` (``customer, household,
        visits_before, arm, bought, spent, margin``; margins after the promotion's cost, nought for who did not buy). ``chances`` has
        ``taken`` for the visits; ``offers`` is by basket as ``segment``; ``arms`` is of the experiment.

    Raises
    ------
    DataError
        No visits, no customers, or an end of observation before the start.

    Examples
    --------
    >>> world = simulate_retail(seed=1, n_visits=500, n_customers=500)
    >>> arms = world.arms.set_index("arm")
    >>> arms["chance"].idxmax(), arms["expected"].idxmax()
    ('Coupon', 'Bundle')
    """
    refuse("the simulated shop", n_visits=(n_visits, 1), n_customers=(n_customers, 1))
    window = ObservationWindow.of(as_of, start=start, unit="day")
    rng = np.random.default_rng([seed, 0])
    visits = _visits(rng, window, n_visits)
    chances = pd.DataFrame({"taken": chance(visits, EFFECTS["taken"])})
    taken = rng.random(n_visits) < chances["taken"].to_numpy()
    brings: pd.Series = (visits["offer"].map(OFFERS) * np.exp(OFFER_SD * normals(rng, n_visits))).round(2)
    visits = visits.assign(taken=taken, margin=brings.where(taken))
    people = _people(rng, n_customers)
    tables = {"visits": visits, "promotion": _answers(rng, people)}
    return SimulatedChoices(tables=tables, coefficients=coefficient_table(EFFECTS), chances=chances, offers=_offers(visits), arms=_arms(people),
                            currency=currency, window=window, seed=seed)  # fmt: skip


def _visits(rng: np.random.Generator, window: ObservationWindow, n: int) -> pd.DataFrame:
    return pd.DataFrame({"visit": numbered("V", n), "at": moments(rng, window, n), "household": pick(rng, HOUSEHOLDS, n),
                         "basket": pick(rng, BASKETS, n), "offer": pick(rng, dict.fromkeys(OFFERS, 1.0), n)})  # fmt: skip


def _people(rng: np.random.Generator, n: int) -> pd.DataFrame:
    before = np.floor(-4.0 * np.log1p(-rng.random(n))).clip(0, 20).astype("int64")
    return pd.DataFrame({"customer": numbered("K", n), "household": pick(rng, HOUSEHOLDS, n), "visits_before": before,
                         "arm": pick(rng, dict.fromkeys(ARMS, 1.0), n)})  # fmt: skip


def _answers(rng: np.random.Generator, people: pd.DataFrame) -> pd.DataFrame:
    """Who of the experiment bought, for how much, and what was left of it."""
    n = len(people)
    bought = rng.random(n) < chance(people, EFFECTS["bought"])
    spent: pd.Series = people["household"].map(SPENDING) * np.exp(SPENDING_SD * normals(rng, n))
    share, fixed = _cost(people["arm"])
    return people.assign(bought=bought, spent=spent.where(bought, 0.0).round(2),
                         margin=(spent * (MARGIN - share) - fixed).where(bought, 0.0).round(2))  # fmt: skip


def _offers(visits: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for offer, median in OFFERS.items():
        takes = pd.Series(chance(as_if(visits, "offer", offer), EFFECTS["taken"])).groupby(visits["basket"]).mean()
        part = pd.DataFrame({"chance": takes, "value": median * np.exp(OFFER_SD**2 / 2)}).rename_axis("segment").reset_index()
        parts.append(part.assign(offer=offer, expected=part["chance"] * part["value"]))
    return pd.concat(parts).sort_values(["segment", "offer"], ignore_index=True)[
        ["segment", "offer", "chance", "value", "expected"]
    ]


def _arms(people: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for arm in ARMS:
        given = as_if(people, "arm", arm)
        buys, (share, fixed) = chance(given, EFFECTS["bought"]), _cost(given["arm"])
        left = given["household"].map(SPENDING) * np.exp(SPENDING_SD**2 / 2) * (MARGIN - share) - fixed
        rows.append((arm, buys.mean(), (buys * left).sum() / buys.sum(), (buys * left).mean()))
    return pd.DataFrame(rows, columns=["arm", "chance", "value", "expected"]).sort_values("arm", ignore_index=True)


def _cost(arm: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Share of the spending given away, and money per buyer."""
    return arm.map({name: row[0] for name, row in ARMS.items()}), arm.map({name: row[1] for name, row in ARMS.items()})
