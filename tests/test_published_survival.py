"""Kaplan-Meier, log-rank and Aalen-Johansen as printed by R, Stata, SAS and other packages."""

import numpy as np
import pandas as pd
import pytest

from funnelstats.data.stages import StageHazards
from funnelstats.distributions.product_limit import Curves, bounds, first_at, log_rank
from funnelstats.interval import Interval
from funnelstats.models.timing import compare_times, incidence_curves, time_in_stage

#: Acute myelogenous leukaemia, Miller (1981), Survival Analysis, p. 49; printed by R survival, tests/doaml.Rout.save.
KEPT = ([9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161], [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0])
NOT_KEPT = ([5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
#: Three causes, statsmodels duration/tests/test_survfunc.py (curves of R cmprsk, standard errors of Stata stcompet).
THREE = ([1, 1, 2, 4, 4, 4, 6, 6, 7, 8, 9, 9, 9, 1, 2, 2, 4, 4], [1, 1, 1, 2, 2, 2, 3, 3, 3] + [0] * 9)


def counts(times, causes, n_causes=1):
    """Event and censoring times, at risk, and exits by cause."""
    times, causes = np.asarray(times), np.asarray(causes)
    points = np.unique(times)
    at_risk = np.array([(times >= t).sum() for t in points])
    exits = np.array([[((times == t) & (causes == k + 1)).sum() for t in points] for k in range(n_causes)])
    return points, at_risk, exits


def hazards_of(groups):
    """Stage counts whose curve after time t is that of the text book at t."""
    parts = []
    for name, (times, causes) in groups.items():
        points, at_risk, exits = counts(times, causes, 2)
        frame = pd.DataFrame(
            {"group": name, "stage": "Lead", "age": points - 1, "at_risk": at_risk, "advanced": exits[0], "lost": exits[1]}
        )
        parts.append(frame.assign(censored=[((np.asarray(times) == t) & (np.asarray(causes) == 0)).sum() for t in points]))
    return StageHazards(frame=pd.concat(parts, ignore_index=True), stages=("Lead", "Won"), by=("group",))


def at(curve, points, wanted):
    return np.asarray(curve)[np.searchsorted(points, wanted)]


def test_kaplan_meier_of_leukaemia_as_printed_by_r():
    points, at_risk, exits = counts(*KEPT)
    curves, events = Curves.of(at_risk, exits), [9, 13, 18, 23, 31, 34, 48]
    assert at(at_risk, points, events).tolist() == [11, 10, 8, 7, 5, 4, 2]
    np.testing.assert_allclose(at(curves.inside, points, events), [0.909, 0.818, 0.716, 0.614, 0.491, 0.368, 0.184], atol=6e-4)
    np.testing.assert_allclose(
        at(curves.inside_se, points, events), [0.0867, 0.1163, 0.1397, 0.1526, 0.1642, 0.1627, 0.1535], atol=6e-5
    )
    lower, upper = bounds(curves.inside, curves.inside_se, at_risk, prob=0.95, transform="log")
    np.testing.assert_allclose(at(lower, points, events), [0.7541, 0.6192, 0.4884, 0.3769, 0.2549, 0.1549, 0.0359], atol=6e-5)
    assert first_at(points, 1 - curves.inside, 0.5) == 31
    assert (first_at(points, 1 - lower, 0.5), first_at(points, 1 - upper, 0.5)) == (18, None)
    points, at_risk, exits = counts(*NOT_KEPT)
    curves, events = Curves.of(at_risk, exits), [5, 8, 12, 23, 27, 30, 33, 43, 45]
    survival = [0.8333, 0.6667, 0.5833, 0.4861, 0.3889, 0.2917, 0.1944, 0.0972, 0.0]
    np.testing.assert_allclose(at(curves.inside, points, events), survival, atol=6e-5)
    se = [0.1076, 0.1361, 0.1423, 0.1481, 0.147, 0.1387, 0.1219, 0.0919]
    np.testing.assert_allclose(at(curves.inside_se, points, events[:-1]), se, atol=6e-5)
    assert first_at(points, 1 - curves.inside, 0.5) == 23


def test_leukaemia_by_the_public_functions():
    """Median 31 and 23; log-rank chi-squared 3.4 on 1 degree of freedom (R survival, survdiff)."""
    hazards = hazards_of({"kept": KEPT, "not kept": NOT_KEPT})
    table = time_in_stage(hazards, interval=Interval(prob=0.95)).query("until == 'left'").set_index("group")
    assert table["median"].tolist() == [31, 23]
    found = compare_times(hazards)
    assert found["statistic"][0] == pytest.approx(3.4, abs=0.05)
    assert (found["degrees"][0], found["segments"][0]) == (1, 2)


def test_small_sets_of_r():
    """Two sets of R survival, given in statsmodels duration/tests/test_survfunc.py; log-rank 2.14673, p 0.14287."""
    one, two = ([3, 1, 2, 3, 2, 1, 5, 3], [0, 1, 1, 1, 0, 0, 1, 0]), ([1, 1, 2, 3, 7, 1, 5, 3, 9], [0, 1, 0, 0, 1, 0, 1, 0, 1])
    points, at_risk, exits = counts(*one)
    curves = Curves.of(at_risk, exits)
    np.testing.assert_allclose(curves.inside, [0.875, 0.7291667, 0.546875, 0.0], atol=1e-7)
    np.testing.assert_allclose(curves.inside_se[:-1], [0.1169268, 0.1649762, 0.20058], atol=1e-5)
    points, at_risk, exits = counts(*two)
    np.testing.assert_allclose(
        at(Curves.of(at_risk, exits).inside, points, [1, 5, 7, 9]), [0.8888889, 0.5925926, 0.2962963, 0], atol=1e-7
    )
    found = compare_times(hazards_of({"one": one, "two": two}))
    assert (found["statistic"][0], found["p"][0]) == (pytest.approx(2.14673, abs=1e-5), pytest.approx(0.14287, abs=1e-5))


def test_three_causes_of_r_and_stata():
    points, at_risk, exits = counts(*THREE, 3)
    curves, times = Curves.of(at_risk, exits), [1, 2, 4, 6, 7]
    cif = [[0.11111111, 0.17037037, 0.17037037, 0.17037037, 0.17037037], [0, 0, 0.20740741, 0.20740741, 0.20740741],
           [0, 0, 0, 0.17777778, 0.26666667]]  # fmt: skip
    for cause in range(3):
        np.testing.assert_allclose(at(curves.left[cause], points, times), cif[cause], atol=1e-8)
    np.testing.assert_allclose(at(curves.left_se[0], points, times[:3]), [0.07407407, 0.08976251, 0.08976251], atol=1e-8)
    np.testing.assert_allclose(at(curves.left_se[1], points, times[:3]), [0, 0, 0.10610391], atol=1e-8)
    np.testing.assert_allclose(at(curves.left_se[2], points, times), [0, 0, 0, 0.11196147, 0.12787781], atol=1e-8)
    # calling the other exits censored overstates each cause
    for cause, naive in ((1, 0.25), (2, 0.428571)):
        alone = 1 - Curves.of(at_risk, exits[cause]).inside[-1]
        assert alone == pytest.approx(naive, abs=1e-6)
        assert alone > curves.left[cause, -1]


def test_aalen_johansen_of_sas():
    """Variances and log-log bounds of PROC LIFETEST, given in lifelines tests/test_estimation.py."""
    hazards = hazards_of({"all": ([1, 2, 3, 4, 5, 6], [0, 1, 1, 2, 2, 0])})
    lost = incidence_curves(hazards, interval=Interval(prob=0.95)).query("state == 'lost'").set_index("time")
    np.testing.assert_allclose(lost["se"] ** 2, [0, 0, 0, 0.032, 0.048, 0.048], atol=1e-10)
    np.testing.assert_allclose(lost.loc[4, ["lower", "upper"]].astype(float), [0.00836904, 0.58185303], atol=1e-7)
    np.testing.assert_allclose(lost.loc[5, ["lower", "upper"]].astype(float), [0.05197575, 0.75281579], atol=1e-7)
    assert set(lost["interval"]) == {"95% log-log interval"}


def test_share_converted_of_convoys():
    """Share converted by 9: 0.75 (convoys, test_convoys.py)."""
    curves = incidence_curves(hazards_of({"all": ([2, 3, 6, 6, 7, 10], [0, 0, 1, 1, 1, 0])})).query("state == 'advanced'")
    assert curves[curves["time"] <= 9]["share"].iloc[-1] == pytest.approx(0.75, abs=1e-12)


def test_log_rank_of_equal_groups_is_nil():
    _, at_risk, exits = counts(*NOT_KEPT)
    statistic, degrees, p = log_rank([at_risk, at_risk], [exits[0], exits[0]])
    assert (round(statistic, 12), degrees, round(p, 6)) == (0, 1, 1)
