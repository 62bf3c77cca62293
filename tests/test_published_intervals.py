"""Intervals of proportions against papers and other packages; the number's source stands in the test's id."""

import pytest

from funnelstats.data.stages import StageCounts
from funnelstats.interval import Interval
from funnelstats.models.rate_table import stage_rates

# Newcombe (1998a), Statistics in Medicine 17:857-872, table I, methods 1 and 3 to 7, 95 %: four printed digits. Agresti-Coull and
# Jeffreys were computed apart from this package; Jeffreys is 0 at no success. Bounds outside [0, 1] are cut, so they are typed in cut.
NEWCOMBE_1998A = {
    (81, 263): {"wilson": (0.2553, 0.3662), "clopper-pearson": (0.2527, 0.3676), "agresti-coull": (0.2552, 0.3663),
                "jeffreys": (0.2545, 0.3656), "wald": (0.2522, 0.3638), "wilson-corrected": (0.2535, 0.3682),
                "mid-p": (0.2544, 0.3658), "likelihood-ratio": (0.2542, 0.3655)},
    (15, 148): {"wilson": (0.0624, 0.1605), "clopper-pearson": (0.0578, 0.1617), "agresti-coull": (0.0614, 0.1615),
                "jeffreys": (0.0604, 0.1576), "wald": (0.0527, 0.15), "wilson-corrected": (0.0598, 0.1644),
                "mid-p": (0.0601, 0.1581), "likelihood-ratio": (0.0596, 0.1567)},
    (0, 20): {"wilson": (0.0, 0.1611), "clopper-pearson": (0.0, 0.1684), "agresti-coull": (0.0, 0.1898), "jeffreys": (0.0, 0.1166),
              "wald": (0.0, 0.0), "wilson-corrected": (0.0, 0.2005), "mid-p": (0.0, 0.1391), "likelihood-ratio": (0.0, 0.0916)},
    (1, 29): {"wilson": (0.0061, 0.1718), "clopper-pearson": (0.0009, 0.1776), "agresti-coull": (0.0, 0.1863),
              "jeffreys": (0.0037, 0.1501), "wald": (0.0, 0.1009), "wilson-corrected": (0.0018, 0.1963), "mid-p": (0.0017, 0.1585),
              "likelihood-ratio": (0.002, 0.1432)},
}  # fmt: skip

# Newcombe (1998b), Statistics in Medicine 17:873-890, table II, method 10, 95 %: four printed digits, then five computed apart.
NEWCOMBE_1998B = {
    (56, 70, 48, 80): ((0.0524, 0.3339), (0.05243, 0.33387)),
    (9, 10, 3, 10): ((0.1705, 0.8090), (0.17052, 0.80902)),
    (6, 7, 2, 7): ((0.0582, 0.8062), (0.05823, 0.80625)),
    (5, 56, 0, 29): ((-0.0381, 0.1926), (-0.03814, 0.19256)),
    (0, 10, 0, 20): ((-0.1611, 0.2775), (-0.16113, 0.27753)),
    (0, 10, 0, 10): ((-0.2775, 0.2775), (-0.27753, 0.27753)),
    (10, 10, 0, 20): ((0.6791, 1.0), (0.67909, 1.0)),
    (10, 10, 0, 10): ((0.6075, 1.0), (0.60751, 1.0)),
}

# The same cases: Newcombe's method 11 (continuity correction) and Agresti & Caffo (2000), computed apart from this package; the latter
# is cut at 1 here.
CORRECTED_AND_CAFFO = {
    (56, 70, 48, 80): ((0.04277, 0.34219), (0.05245, 0.33576)),
    (9, 10, 3, 10): ((0.10129, 0.83867), (0.16, 0.84)),
    (6, 7, 2, 7): ((-0.02902, 0.84227), (0.03381, 0.85508)),
    (5, 56, 0, 29): ((-0.06671, 0.2037), (-0.02887, 0.17125)),
    (0, 10, 0, 20): ((-0.20045, 0.34454), (-0.14109, 0.21685)),
    (0, 10, 0, 10): ((-0.34454, 0.34454), (-0.22115, 0.22115)),
    (10, 10, 0, 20): ((0.60139, 1.0), (0.69224, 1.0)),
    (10, 10, 0, 10): ((0.51275, 1.0), (0.61218, 1.0)),
}

# R package binom, binom.confint, 95 %, as kept in the tests of statsmodels (test_proportion.py).
R_BINOM = {
    (18, 20): {"agresti-coull": (0.6867561125596077, 0.984343760998137), "clopper-pearson": (0.6830172859809176, 0.9876514728297052),
               "jeffreys": (0.716146742695748, 0.97862751197755), "wilson": (0.6989663547715128, 0.972133518786232)},
    (4, 20): {"agresti-coull": (0.0749115102767071, 0.4217635845549845), "clopper-pearson": (0.05733399705003284, 0.436614002996673),
              "jeffreys": (0.07152005247873425, 0.4082257625169254), "wilson": (0.0806576625797981, 0.4160174322518935)},
    (4, 200): {"agresti-coull": (0.005991954548218395, 0.0520995587739575), "clopper-pearson": (0.005475565879556443, 0.05041360908989634),
               "jeffreys": (0.00678759879519299, 0.0468465669668423), "wilson": (0.00780442641634947, 0.05028708690582643)},
    (190, 200): {"agresti-coull": (0.909307307911624, 0.973731898348837), "clopper-pearson": (0.9099724622986486, 0.975765834527891),
                 "wilson": (0.910421851861224, 0.972617354399236)},
}  # fmt: skip

# All k of 10 at 95 %, computed apart: k, then Wilson, Jeffreys (0 and 1 at the ends), Clopper-Pearson.
ALL_OF_TEN = [
    (0, 0.0, 0.277533, 0.0, 0.217196, 0.0, 0.308497),
    (1, 0.017876, 0.40415, 0.011012, 0.381315, 0.002529, 0.445016),
    (2, 0.056682, 0.509838, 0.044059, 0.502774, 0.025211, 0.556095),
    (3, 0.107791, 0.603222, 0.092695, 0.605818, 0.06674, 0.652453),
    (4, 0.16818, 0.687326, 0.153067, 0.696321, 0.121552, 0.737622),
    (5, 0.236593, 0.763407, 0.223529, 0.776471, 0.187086, 0.812914),
    (6, 0.312674, 0.83182, 0.303679, 0.846933, 0.262378, 0.878448),
    (7, 0.396778, 0.892209, 0.394182, 0.907305, 0.347547, 0.93326),
    (8, 0.490162, 0.943318, 0.497226, 0.955941, 0.443905, 0.974789),
    (9, 0.59585, 0.982124, 0.618685, 0.988988, 0.554984, 0.997471),
    (10, 0.722467, 1.0, 0.782804, 1.0, 0.691503, 1.0),
]


def cases(table, source):
    return [
        pytest.param(k, n, kind, bounds, id=f"{source} {kind} {k} of {n}")
        for (k, n), kinds in table.items()
        for kind, bounds in kinds.items()
    ]


@pytest.mark.parametrize(("k", "n", "kind", "bounds"), cases(NEWCOMBE_1998A, "Newcombe 1998a, Stat Med 17:857, table I"))
def test_single_proportion_to_the_printed_digit(k, n, kind, bounds):
    assert Interval(prob=0.95, kind=kind).of_counts(k, n) == pytest.approx(bounds, abs=6e-5)


@pytest.mark.parametrize(("k", "n", "kind", "bounds"), cases(R_BINOM, "R binom.confint"))
def test_single_proportion_against_r_binom(k, n, kind, bounds):
    assert Interval(prob=0.95, kind=kind).of_counts(k, n) == pytest.approx(bounds, abs=1e-7)


@pytest.mark.parametrize("row", ALL_OF_TEN, ids=lambda row: f"computed apart, {row[0]} of 10")
def test_every_count_of_ten(row):
    k, *bounds = row
    for place, kind in enumerate(("wilson", "jeffreys", "clopper-pearson")):
        expected = bounds[2 * place : 2 * place + 2]
        assert Interval(prob=0.95, kind=kind).of_counts(k, 10) == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize(
    ("four", "bounds"), NEWCOMBE_1998B.items(), ids=lambda v: f"Newcombe 1998b, Stat Med 17:873, table II {v}"
)
def test_difference_to_the_printed_digit(four, bounds):
    printed, own = bounds
    found = Interval(prob=0.95, kind="newcombe").of_two_counts(*four)
    assert found == pytest.approx(printed, abs=6e-5)
    assert found == pytest.approx(own, abs=6e-6)


@pytest.mark.parametrize(
    ("four", "bounds"), CORRECTED_AND_CAFFO.items(), ids=lambda v: f"Newcombe 1998b method 11 and Agresti-Caffo {v}"
)
def test_difference_by_other_rules(four, bounds):
    for kind, expected in zip(("newcombe-corrected", "agresti-caffo"), bounds, strict=True):
        assert Interval(prob=0.95, kind=kind).of_two_counts(*four) == pytest.approx(expected, abs=6e-6)


def test_difference_7_of_34_against_1_of_34_r_propcis_agresti_caffo():
    """R PropCIs wald2ci, as kept in the tests of statsmodels."""
    found = Interval(prob=0.95, kind="agresti-caffo").of_two_counts(7, 34, 1, 34)
    assert found == pytest.approx((0.01161167, 0.32172166), abs=1e-6)


def test_difference_7_of_34_against_1_of_34_fagerland_2015_newcombe():
    found = Interval(prob=0.95, kind="newcombe").of_two_counts(7, 34, 1, 34)
    assert found == pytest.approx((0.019, 0.34), abs=5e-4)  # Fagerland, Lydersen & Laake (2015), two printed digits
    assert found == pytest.approx((0.01892, 0.34037), abs=5e-6)  # by hand from the two Wilson intervals


def test_ratio_7_of_34_against_1_of_34_r_propcis_koopman():
    found = Interval(prob=0.95, kind="koopman").of_two_counts(7, 34, 1, 34)
    assert found == pytest.approx((1.220853, 42.575718), rel=1e-6)  # R PropCIs riskscoreci


@pytest.mark.parametrize(("k", "n"), NEWCOMBE_1998A, ids=lambda v: f"Newcombe 1998a {v}")
def test_the_stage_table_shows_the_published_bounds(k, n):
    table = stage_rates(StageCounts.of({"Lead": n, "Won": k}), interval=Interval(prob=0.95, kind="wilson"))
    found = table.loc[0, ["step_lower", "step_upper"]].tolist()
    assert found == pytest.approx(NEWCOMBE_1998A[k, n]["wilson"], abs=6e-5)
    assert table.loc[1, ["from_start_lower", "from_start_upper"]].tolist() == found
