"""What would a web shop's sessions look like if every visitor's intent were known?

A visitor sees one recommendation and one promotion, both drawn by lot, and buys with a chance that is logistic in what the session
shows; a buyer comes back eventually with a known chance, after a Weibull time of which only the part before ``as_of`` is seen.
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

VISITORS = {"New": 0.55, "Returning": 0.35, "Member": 0.10}
SOURCES = {"Search": 0.40, "Social": 0.25, "Email": 0.15, "Direct": 0.20}
DEVICES = {"Phone": 0.65, "Desktop": 0.35}
OFFERS = {"Bestseller": 1.0, "New arrival": 1.0, "Accessory": 1.0}
#: Promotion -> share of the basket's value given away, and money per order.
ARMS = {"No promotion": (0.0, 0.0), "Discount": (0.10, 0.0), "Free delivery": (0.0, 12.0)}
#: Median basket by visitor, its log sd, and what is left of a yuan sold before promotions.
BASKETS, BASKET_SD, MARGIN = {"New": 180.0, "Returning": 220.0, "Member": 260.0}, 0.5, 0.35

EFFECTS = {
    "purchased": {
        "1": -3.4, "visitor=Returning": 0.6, "visitor=Member": 1.1, "source=Email": 0.5, "source=Social": -0.4,
        "device=Desktop": 0.3, "product_pages": 0.08, "minutes": 0.05, "weekend": 0.0, "offer=Accessory": -0.3,
        "visitor=New:offer=Bestseller": 0.5, "visitor=Member:offer=New arrival": 0.6, "promotion=Free delivery": 0.35,
        "promotion=Discount": 0.55, "visitor=Member:promotion=Discount": -0.5,
    },
    "repurchased": {"1": -0.6, "visitor=Returning": 0.5, "visitor=Member": 1.2, "source=Email": 0.3, "promotion=Discount": -0.4},
}  # fmt: skip


def simulate_ecommerce(
    *, seed: int, n_sessions: int = 2_200, start: object = "2025-07-01", as_of: object = "2026-06-30", days_to_repurchase: float = 45.0,
    shape: float = 1.2, currency: str = "CNY",
) -> SimulatedChoices:  # fmt: skip
    """Simulate sessions, purchases and the next purchase of whoever bought.

    Parameters
    ----------
    seed : int
        Equal seeds give equal bytes.
    n_sessions : int
        Sessions between ``start`` and ``as_of``, each of another visitor.
    start, as_of : date
        First possible session, end of observation.
    days_to_repurchase, shape : float
        Median days to the next purchase of those who come back, and the Weibull shape.
    currency : str
        ISO code.

    Returns
    -------
    SimulatedChoices
        Table ``sessions``: ``session, started_at``, features (``visitor, source, device, product_pages, minutes, weekend``),
        ``offer``, ``promotion``, ``purchased``, ``amount`` paid, ``margin`` left after the promotion, the moments
        ``left_at``, ``purchased_at``, ``repurchased_at``, and ``status``. ``offers`` is by visitor as ``segment``; ``arms`` by promotion.

    Raises
    ------
    DataError
        No sessions, or an end of observation before the start.

    Examples
    --------
    >>> world = simulate_ecommerce(seed=1, n_sessions=500)
    >>> world.arms.set_index("arm")["chance"].idxmax()
    'Discount'
    """
    refuse("the simulated web shop", n_sessions=(n_sessions, 1))
    window = ObservationWindow.of(as_of, start=start, unit="day")
    rng = np.random.default_rng([seed, 0])
    sessions = _sessions(rng, window, n_sessions)
    chances = pd.DataFrame({outcome: chance(sessions, effects) for outcome, effects in EFFECTS.items()})
    bought, again = (rng.random(n_sessions) < chances[outcome].to_numpy() for outcome in EFFECTS)
    basket: pd.Series = (sessions["visitor"].map(BASKETS) * np.exp(BASKET_SD * normals(rng, n_sessions))).round(2)
    share, fixed = (sessions["promotion"].map({arm: row[k] for arm, row in ARMS.items()}) for k in range(2))
    ended = sessions["started_at"] + pd.Series(pd.to_timedelta(sessions["minutes"], unit="min"))
    wait = np.ceil(weibull(rng, n_sessions, median=days_to_repurchase, shape=shape) * 1440)
    frame = sessions.assign(
        purchased=bought, amount=(basket * (1 - share)).round(2).where(bought),
        margin=(basket * (MARGIN - share) - fixed).round(2).where(bought),
        left_at=hidden(ended.where(~bought), window), purchased_at=hidden(ended.where(bought), window),
        repurchased_at=hidden((ended + pd.Series(pd.to_timedelta(wait, unit="min"))).where(bought & again), window),
    )  # fmt: skip
    status = np.select([frame["repurchased_at"].notna(), bought], ["Repurchase", "Purchase"], "Left")
    frame["status"] = pd.Series(status, dtype="str")
    return SimulatedChoices(tables={"sessions": frame}, coefficients=coefficient_table(EFFECTS), chances=chances,
                            offers=_worth(sessions, column="offer", levels=tuple(OFFERS), by="visitor").rename(columns={"visitor": "segment"}),
                            arms=_worth(sessions, column="promotion", levels=tuple(ARMS)).rename(columns={"promotion": "arm"}),
                            currency=currency, window=window, seed=seed)  # fmt: skip


def _sessions(rng: np.random.Generator, window: ObservationWindow, n: int) -> pd.DataFrame:
    # the last hour is left free, so that every session has ended by the end of observation
    early = ObservationWindow.of(window.as_of - pd.Timedelta(hours=2), start=window.start, unit="day")
    at = moments(rng, early, n)
    return pd.DataFrame({
        "session": numbered("S", n),
        "started_at": at,
        "visitor": pick(rng, VISITORS, n),
        "source": pick(rng, SOURCES, n),
        "device": pick(rng, DEVICES, n),
        "product_pages": np.floor(-7.0 * np.log1p(-rng.random(n))).clip(0, 40).astype("int64"),
        "minutes": np.round(-6.0 * np.log1p(-rng.random(n)), 1).clip(0.1, 60.0),
        "weekend": (at.dt.day_of_week >= 5).to_numpy(),
        "offer": pick(rng, OFFERS, n),
        "promotion": pick(rng, dict.fromkeys(ARMS, 1.0), n),
    })  # fmt: skip


def _worth(sessions: pd.DataFrame, *, column: str, levels: tuple[str, ...], by: str = "") -> pd.DataFrame:
    """Chance of a purchase, margin of one, and expected margin, had every session been given this level."""
    parts = []
    for level in levels:
        given = as_if(sessions, column, level)
        buys = chance(given, EFFECTS["purchased"])
        mean = given["visitor"].map(BASKETS) * np.exp(BASKET_SD**2 / 2)
        share, fixed = (given["promotion"].map({arm: row[k] for arm, row in ARMS.items()}) for k in range(2))
        frame = pd.DataFrame({"chance": buys, "expected": buys * (mean * (MARGIN - share) - fixed)})
        means = frame.groupby(sessions[by]).mean().reset_index() if by else frame.mean().to_frame().T
        parts.append(means.assign(**{column: level}))
    table = pd.concat(parts, ignore_index=True).sort_values([name for name in (by, column) if name], ignore_index=True)
    return table.assign(value=table["expected"] / table["chance"])[[*([by] if by else []), column, "chance", "value", "expected"]]
