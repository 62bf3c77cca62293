"""Published values of repeat-buying, retention and spending models, each with its source.

``own`` values come from independent code (40 digits, or exact quadrature); ``printed`` ones from the paper or a peer's tests.
FHL 2005: Fader, Hardie & Lee, Marketing Science 24(2):275-284.  JMR 2005: the same, J. of Marketing Research 42:415-430.
SMC 1987: Schmittlein, Morrison & Colombo, Management Science 33(1):1-24.
BDF 2007: Batislam, Denizel & Filiztekin, IJRM 24:201-209.
FHS 2010: Fader, Hardie & Shang, Marketing Science 29(6):1086-1108.  FH 2007: Fader & Hardie, J. Interactive Marketing 21:76-90.
FH 2010: Fader & Hardie, Marketing Science 29(1):85-93.  FH 2013: Fader & Hardie, note 025.  Notes 004, 009, 010, 027 of Hardie.
BTYD: walkthrough of the R package BTYD 2.4.3.  lifetimes, pymc-marketing: constants in their test suites.
"""

import numpy as np
import pytest

from funnelstats.data.customers import Customers
from funnelstats.data.datasets import load_dataset
from funnelstats.data.transactions import Transactions
from funnelstats.distributions import bgbb, bgnbd, gammagamma, mbgnbd, paretonbd, sbg
from funnelstats.models.occasions import BgBb
from funnelstats.models.purchases import BgNbd, MbgNbd, ParetoNbd
from funnelstats.models.retention import Renewals, ShiftedBetaGeometric
from funnelstats.models.spend import GammaGamma

BG = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}  # FHL 2005, table 2
MBG = {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}  # BDF 2007
PN = {"r": 0.5534, "alpha": 10.5802, "s": 0.6061, "beta": 11.6562}  # lifetimes
BG_BTYD = {"r": 0.2425967, "alpha": 4.413659, "a": 0.7929869, "b": 2.426164}
BGBB = {"alpha": 1.204, "beta": 0.75, "gamma": 0.657, "delta": 2.783}  # FHS 2010, table 3
BGBB_BTYD = {"alpha": 1.203528, "beta": 0.749726, "gamma": 0.6567808, "delta": 2.783796}
REGULAR, HIGH_END = {"alpha": 0.704, "beta": 1.182}, {"alpha": 0.668, "beta": 3.806}  # FH 2007

# x, t_x, T; expected purchases in 1, 3, 6 weeks and P(alive) of BG, MBG, Pareto/NBD; P(1 purchase in 1 week), P(2 in 2)
# pymc-marketing (made with lifetimes), first 12 of 25
CUSTOMERS = [
    (
        3,
        24.71,
        37.86,
        0.04764653474,
        0.141171219,
        0.2772885955,
        0.6250537962,
        0.04747579703,
        0.1404907485,
        0.2754541264,
        0.5973441682,
        0.05257700403,
        0.1558691224,
        0.3064301525,
        0.7210996262,
        0.04791491837,
        0.007820608535,
    ),
    (
        0,
        0.0,
        37.57,
        0.005766970055,
        0.01717797637,
        0.03400016523,
        1.0,
        0.004699365645,
        0.01397654943,
        0.02760217875,
        0.3933694311,
        0.003457943698,
        0.01025068057,
        0.02015036868,
        0.3027121713,
        0.003349489856,
        0.0001991273183,
    ),
    (
        0,
        0.0,
        37.43,
        0.005786195157,
        0.01723483977,
        0.03411158318,
        1.0,
        0.004719197436,
        0.01403515057,
        0.02771684067,
        0.3937710166,
        0.003477862015,
        0.01030938553,
        0.0202648348,
        0.3035758648,
        0.003368474265,
        0.0002007933079,
    ),
    (
        1,
        36.29,
        37.0,
        0.02238612341,
        0.06649499693,
        0.1310826125,
        0.749637735,
        0.02601727673,
        0.07717669657,
        0.1518417647,
        0.7409689014,
        0.0321557347,
        0.09530908442,
        0.1873192688,
        0.991026488,
        0.03049588701,
        0.002952275353,
    ),
    (
        0,
        0.0,
        36.29,
        0.005947647054,
        0.0177122741,
        0.03504678461,
        1.0,
        0.004886197408,
        0.01452850872,
        0.02868186495,
        0.3970953337,
        0.003646475148,
        0.01080622051,
        0.02123328131,
        0.3107808163,
        0.003529074246,
        0.0002150657691,
    ),
    (
        0,
        0.0,
        36.14,
        0.005969563963,
        0.01777707107,
        0.03517367059,
        1.0,
        0.004908928658,
        0.01459564693,
        0.02881314748,
        0.3975401001,
        0.003669545565,
        0.01087418375,
        0.02136571485,
        0.311752249,
        0.003551033458,
        0.0002170419013,
    ),
    (
        1,
        0.14,
        34.14,
        0.005675043728,
        0.01684488059,
        0.03317303015,
        0.176980678,
        0.005568939868,
        0.01650664327,
        0.03244048556,
        0.1481584647,
        0.005458630271,
        0.01616748475,
        0.0317431273,
        0.1581809593,
        0.005159573674,
        0.0005280510867,
    ),
    (
        2,
        20.14,
        34.0,
        0.0355596351,
        0.1053578136,
        0.2069455483,
        0.612890118,
        0.0363322065,
        0.1075033305,
        0.2107514261,
        0.5822820901,
        0.04018053562,
        0.119003023,
        0.233637387,
        0.7061510947,
        0.03714133454,
        0.005191091265,
    ),
    (
        0,
        0.0,
        33.29,
        0.006418986312,
        0.01910503466,
        0.03777207018,
        1.0,
        0.005378082969,
        0.0159805103,
        0.03151890408,
        0.406337818,
        0.00415167297,
        0.01229363045,
        0.0241293876,
        0.3313272317,
        0.004009144913,
        0.0002595794937,
    ),
    (
        2,
        9.86,
        33.0,
        0.01978870414,
        0.05861197682,
        0.1150745348,
        0.3322466724,
        0.01909622537,
        0.05648448767,
        0.1106802158,
        0.2984846821,
        0.02070656315,
        0.06130973824,
        0.1203223548,
        0.3557956372,
        0.01910629921,
        0.002723719384,
    ),
    (
        1,
        8.86,
        32.71,
        0.01531652285,
        0.04544496062,
        0.08944572675,
        0.4600365598,
        0.01589544348,
        0.04709466277,
        0.09249905324,
        0.4079836023,
        0.01594466742,
        0.0472063997,
        0.09263345358,
        0.4473659516,
        0.01504347774,
        0.001584905545,
    ),
    (
        0,
        0.0,
        32.57,
        0.006543439625,
        0.01947252123,
        0.03849044276,
        1.0,
        0.005508965592,
        0.01636657897,
        0.03227246335,
        0.4086712733,
        0.004288078884,
        0.01269493918,
        0.02490997556,
        0.3366331075,
        0.004138487716,
        0.0002720307745,
    ),
]

# t_x, x, T, parameters, own Pareto/NBD, own MBG, pymc-marketing's of both
PARETO_MBG = [
    (1.5, 1, 12, (0.55, 10.58, 0.61, 11.67), -4.00694866219, -4.11031672678, -4.00694866, -4.11031673),
    (1.5, 1, 12, (0.45, 10.58, 0.61, 11.67), -4.14770210786, -4.24203128892, -4.14770211, -4.24203129),
    (1.5, 1, 12, (0.45, 10.58, 0.71, 11.67), -4.13593316326, -4.24032809434, -4.13593316, -4.24032809),
    (1.5, 1, 12, (0.55, 11.67, 0.61, 10.58), -4.03618537763, -4.13555424008, -4.03618538, -4.13555424),
    (5.3, 4, 10, (0.55, 11.67, 0.61, 10.58), -10.7293258949, -10.7205373794, -10.72932589, -10.72053738),
    (6, 2, 8, (0.55, 11.67, 0.61, 10.58), -6.66878881972, -6.497864932, -6.66878882, -6.49786493),
]

# x, t_x, T, log likelihood, P(alive): inputs of lifetimes, own values
EXTREME = [
    (40, 5, 6, -5.71902158522, 0.0018851282),
    (50, 1, 37, 116.30126461, 1.4171443e-96),
    (50, 4, 37, 31.8498279691, 6.7329749e-60),
    (400, 5, 6, 1323.18893097, 5.1374581e-31),
    (500, 1, 37, 2594.40445462, 0.0),
    (500, 4, 37, 1888.82124974, 0.0),
]

# x, t_x, own; JMR 2005 parameters
DERT = [
    (7, 35, 1.86418332807),
    (1, 30, 2.19915545),
    (2, 30, 2.843534406),
    (3, 30, 2.867128391),
    (4, 30, 2.445410079),
    (5, 30, 1.840501924),
    (6, 30, 1.262416472),
    (7, 30, 0.8096181195),
    (8, 30, 0.4948036194),
    (9, 30, 0.2920247016),
    (10, 30, 0.1679275086),
]

# t, x, own, printed (lifetimes, BTYD)
BG_PMF = [
    (2, 10, 1.07868964e-07, 1.07869e-07),
    (39, 0, 0.5737863521, 0.5737864),
    (30, 11, 0.001999521447, 0.0019995214),
    (30, 12, 0.00151702363, 0.0015170236),
    (30, 13, 0.001163315007, 0.001163315),
    (30, 14, 0.0009003147896, 0.0009003148),
    (30, 15, 0.0007023637659, 0.0007023638),
    (30, 16, 0.0005517902426, 0.0005517902),
    (30, 17, 0.0004361912809, 0.0004361913),
    (30, 18, 0.0003467171396, 0.0003467171),
    (30, 19, 0.0002769612648, 0.0002769613),
    (30, 20, 0.000222226048, 0.000222226),
]

# x, t_x, own, spreadsheet of note 010 with unrounded parameters
BGBB_ROWS = [
    (6, 6, -2.18224844762, -2.18167018824),
    (5, 6, -4.29512476538, -4.29485034929),
    (4, 6, -5.3849365381, -5.3847333436),
    (3, 6, -5.80937207944, -5.80915881601),
    (2, 6, -5.65201626866, -5.65172964525),
    (1, 6, -4.8841455419, -4.88370164695),
    (5, 5, -3.71699930729, -3.71682127437),
    (4, 5, -5.09567563886, -5.09558227343),
    (3, 5, -5.61589474636, -5.61576884108),
    (2, 5, -5.50658459262, -5.50636893346),
    (1, 5, -4.76762268292, -4.76723821904),
    (4, 4, -3.84830351943, -3.84829625138),
    (3, 4, -5.05930794741, -5.05936147828),
    (2, 4, -5.19569760104, -5.19562191019),
    (1, 4, -4.57099041381, -4.57070931973),
    (3, 3, -3.52734516868, -3.52745257839),
    (2, 3, -4.5160666296, -4.51620272962),
    (1, 3, -4.22477087248, -4.22465969453),
    (2, 2, -3.01178792216, -3.01199924784),
    (1, 2, -3.58805093288, -3.58817880928),
    (1, 1, -2.28853168567, -2.28882847451),
    (0, 0, -1.16726247267, -1.16751622367),
]

# x, t_x, P(there at the 7th occasion): formula of FHS 2010
BGBB_ALIVE = [
    (6, 6, 0.93040254),
    (5, 6, 0.93040254),
    (4, 6, 0.93040254),
    (3, 6, 0.93040254),
    (2, 6, 0.93040254),
    (1, 6, 0.93040254),
    (5, 5, 0.52190829),
    (4, 5, 0.69670107),
    (3, 5, 0.76673405),
    (2, 5, 0.80447159),
    (1, 5, 0.82806734),
    (4, 4, 0.20013343),
    (3, 4, 0.43946286),
    (2, 4, 0.58951412),
    (1, 4, 0.68025124),
    (3, 3, 0.094972789),
    (2, 3, 0.2987681),
    (1, 3, 0.4811806),
    (2, 2, 0.066379547),
    (1, 2, 0.25455648),
    (1, 1, 0.069408093),
    (0, 0, 0.10801658),
]

# x, t_x, expected of occasions 7 to 11
BGBB_FIVE = [
    (6, 6, 3.7521156),
    (5, 6, 3.2312778),
    (4, 6, 2.71044),
    (3, 6, 2.1896022),
    (2, 6, 1.6687644),
    (1, 6, 1.1479265),
    (5, 5, 1.8125817),
    (4, 5, 2.029623),
    (3, 5, 1.804426),
    (2, 5, 1.4428954),
    (1, 5, 1.0216658),
    (4, 4, 0.58302685),
    (3, 4, 1.0342285),
    (2, 4, 1.0573489),
    (1, 4, 0.83929097),
    (3, 3, 0.22350823),
    (2, 3, 0.53586866),
    (1, 3, 0.59367849),
    (2, 2, 0.11905795),
    (1, 2, 0.31407066),
    (1, 1, 0.085635398),
    (0, 0, 0.072802877),
]

# x, t_x, own, spreadsheet of note 004 with unrounded parameters
BG_ROWS = [
    (2, 30.43, -9.458606307, -9.4596),
    (1, 1.71, -4.469093275, -4.4711),
    (0, 0, -0.5547132764, -0.5538),
    (7, 29.43, -21.86327627, -21.8644),
    (1, 5.0, -4.863923084, -4.8651),
    (2, 35.71, -9.535676628, -9.5367),
    (5, 24.43, -17.35810236, -17.3593),
    (10, 34.14, -27.31319962, -27.3144),
    (1, 4.86, -4.851124289, -4.852),
]

REGULAR_S = [
    1.0,
    0.6267232238,
    0.4738427146,
    0.3879998759,
    0.332094859,
    0.292374373,
    0.2624830633,
    0.2390506417,
    0.2201116757,
    0.2044371238,
    0.1912161304,
    0.1798905241,
    0.1700625768,
]
REGULAR_R = [
    0.6267232238,
    0.7560637561,
    0.8188368502,
    0.8559148588,
    0.8803941556,
    0.8977635783,
    0.9107278722,
    0.9207742516,
    0.9287881853,
    0.9353297814,
    0.9407706546,
    0.945367065,
]
HIGHEND_S = [
    1.0,
    0.8506928923,
    0.7468816296,
    0.6698169202,
    0.6099510247,
    0.5618689756,
    0.5222522904,
    0.4889446209,
    0.4604789588,
    0.4358196719,
    0.4142130562,
    0.395096411,
    0.3780404202,
]
HIGHEND_R = [
    0.8506928923,
    0.8779685787,
    0.8968180414,
    0.9106234948,
    0.9211706396,
    0.9294912392,
    0.9362230285,
    0.9417814189,
    0.9464486131,
    0.950423037,
    0.9538482797,
    0.956830813,
]


def columns(rows):
    return (np.array(part) for part in zip(*rows, strict=True))


@pytest.mark.parametrize(("model", "parameters", "first"), [(bgnbd, BG, 3), (mbgnbd, MBG, 7), (paretonbd, PN, 11)],
                         ids=["BG (FHL 2005)", "MBG (BDF 2007)", "Pareto (SMC 1987)"])  # fmt: skip
def test_customers_of_cdnow(model, parameters, first):
    table = np.array(CUSTOMERS)
    x, t_x, T = table[:, :3].T
    for place, horizon in enumerate((1.0, 3.0, 6.0)):
        found = model.expected_purchases(horizon, x, t_x, T, **parameters)
        np.testing.assert_allclose(found, table[:, first + place], rtol=1e-6)
    np.testing.assert_allclose(model.probability_alive(x, t_x, T, **parameters), table[:, first + 3], rtol=1e-6)


def test_pareto_counts_given_history():
    table = np.array(CUSTOMERS)
    x, t_x, T = table[:, :3].T
    np.testing.assert_allclose(paretonbd.pmf_given(1, 1.0, x, t_x, T, **PN), table[:, 15], rtol=1e-6)
    np.testing.assert_allclose(paretonbd.pmf_given(2, 2.0, x, t_x, T, **PN), table[:, 16], rtol=1e-6)


def test_bgnbd_rows_of_note_004():
    x, t_x, own, excel = columns(BG_ROWS)
    found = bgnbd.log_likelihood(x, t_x, 38.86, **BG)
    np.testing.assert_allclose(found, own, rtol=1e-9)
    np.testing.assert_allclose(found, excel, rtol=2e-3)


@pytest.mark.parametrize(("model", "own", "printed"), [
    (bgnbd, [-0.5994738182, 100.7956931], [-0.59947382, 100.7957]),
    (mbgnbd, [-0.417928262, 100.7869098], [-0.41792826, 100.7869]),
], ids=["BG (note 027)", "MBG (pymc-marketing)"])  # fmt: skip
def test_stability_of_note_027(model, own, printed):
    found = model.log_likelihood([0, 200], [0, 38], 40, r=0.25, alpha=4.0, a=0.8, b=2.5)
    np.testing.assert_allclose(found, own, rtol=1e-8)
    np.testing.assert_allclose(found, printed, atol=1e-4)


@pytest.mark.parametrize("row", PARETO_MBG, ids=str)
def test_pareto_and_mbg_rows_of_pymc_marketing(row):
    t_x, x, T, (r, alpha, third, fourth), pareto, mbg, *printed = row
    found = [float(paretonbd.log_likelihood(x, t_x, T, r=r, alpha=alpha, s=third, beta=fourth)),
             float(mbgnbd.log_likelihood(x, t_x, T, r=r, alpha=alpha, a=third, b=fourth))]  # fmt: skip
    assert found == pytest.approx([pareto, mbg], abs=1e-9)
    assert found == pytest.approx(printed, abs=1e-7)


def test_bgnbd_expected_new():
    found = bgnbd.expected_purchases_new(np.array([1, 3, 6, 52.0]), **BG)
    np.testing.assert_allclose(found, [0.0532678911717, 0.150865230893, 0.280755893577, 1.4460505954], rtol=1e-8)
    assert bgnbd.expected_purchases_new(52.0, **BG_BTYD) == pytest.approx(1.444004, abs=1e-6)  # BTYD
    excel = bgnbd.expected_purchases_new(np.array([0.1429, 1, 3, 31.8571, 32, 78]), **BG_BTYD)  # note 004
    np.testing.assert_allclose(excel, [0.0078, 0.0532, 0.1506, 1.0405, 1.0437, 1.8576], atol=5e-4)


def test_bgnbd_customers_of_the_papers():
    history = (2, 30.43, 38.86)  # FHL 2005, section 5
    unrounded = {"r": 0.24259453, "alpha": 4.41360242, "a": 0.79292216, "b": 2.42590737}
    assert bgnbd.expected_purchases(39.0, *history, **unrounded) == pytest.approx(1.225906817, rel=1e-6)
    assert bgnbd.expected_purchases(39.0, *history, **BG) == pytest.approx(1.226028175, rel=1e-8)
    assert bgnbd.expected_purchases(39.0, *history, **BG) == pytest.approx(1.226, abs=1e-3)
    frequent = (26, 216 / 7, 31.0)  # customer 1516, BTYD
    assert bgnbd.expected_purchases(52.0, *frequent, **BG_BTYD) == pytest.approx(25.75658589, rel=1e-8)
    assert bgnbd.probability_alive(*frequent, **BG_BTYD) == pytest.approx(0.9688522601, rel=1e-8)
    printed = bgnbd.expected_purchases(52.0, *frequent, **BG_BTYD), bgnbd.probability_alive(*frequent, **BG_BTYD)
    assert printed == pytest.approx((25.75659, 0.9688523), rel=1e-6)
    paradox = bgnbd.expected_purchases(52.0, np.array([10, 15, 20, 25]), 20.0, 39.0, **BG_BTYD)
    np.testing.assert_allclose(paradox, [0.3474606, 0.04283391, 0.004158973, 0.0003583685], rtol=1e-5)


def test_bgnbd_pmf():
    t, x, own, printed = columns(BG_PMF)
    found = bgnbd.pmf(x, t, **BG)
    np.testing.assert_allclose(found, own, rtol=1e-8)
    np.testing.assert_allclose(found, printed, rtol=2e-6)


def test_pareto_expected_new():
    found = paretonbd.expected_purchases_new(np.array([1, 3, 6, 52.0]), **PN)
    np.testing.assert_allclose(found, [0.0510045340023, 0.146124272222, 0.275050637429, 1.4730669919], rtol=1e-8)
    assert found[-1] == pytest.approx(1.473434, rel=5e-4)  # BTYD


def test_pareto_customers_of_btyd():
    assert paretonbd.expected_purchases(52.0, 26, 216 / 7, 31.0, **PN) == pytest.approx(25.45377863, rel=1e-8)
    assert paretonbd.expected_purchases(52.0, 26, 216 / 7, 31.0, **PN) == pytest.approx(25.45647, rel=1e-3)
    assert paretonbd.probability_alive(26, 216 / 7, 31.0, **PN) == pytest.approx(0.9978732756, rel=1e-8)
    assert paretonbd.probability_alive(26, 216 / 7, 31.0, **PN) == pytest.approx(0.997874, abs=1e-5)
    paradox = paretonbd.expected_purchases(52.0, np.array([10, 15, 20, 25]), 20.0, 39.0, **PN)
    np.testing.assert_allclose(paradox, [0.7062289, 0.1442396, 0.02250658, 0.00309267], rtol=2e-3)
    btyd = {"r": 0.553, "alpha": 10.58, "s": 0.606, "beta": 11.656}
    assert paretonbd.probability_alive(0, 0.0, 39.0, **btyd) == pytest.approx(0.2941633, abs=3e-4)
    assert paretonbd.probability_alive(0, 0.0, 39.0, **PN) == pytest.approx(0.2941422393, rel=1e-8)
    clvtools = {"r": 0.55315, "alpha": 10.57633, "s": 0.60625, "beta": 11.6715}
    assert paretonbd.probability_alive(0, 0.0, 39.0, **clvtools) == pytest.approx(0.2943338848, rel=1e-8)


@pytest.mark.parametrize("row", EXTREME, ids=str)
def test_pareto_extremes(row):
    x, t_x, T, density, alive = row
    extreme = {"r": 10.465, "alpha": 0.00798565181, "s": 3.0516, "beta": 2.82}
    assert float(paretonbd.log_likelihood(x, t_x, T, **extreme)) == pytest.approx(density, rel=1e-8)
    assert float(paretonbd.probability_alive(x, t_x, T, **extreme)) == pytest.approx(alive, rel=1e-7, abs=1e-300)


def test_pareto_dert_of_jmr_2005():
    x, t_x, own = columns(DERT)
    jmr = {"r": 0.5629966, "alpha": 12.559037, "s": 0.4081095, "beta": 10.5148048}
    np.testing.assert_allclose(paretonbd.discounted_purchases(x, t_x, 77.86, rate=0.0027, **jmr), own, rtol=1e-8)


def test_bgbb_rows_of_note_010():
    x, t_x, own, excel = columns(BGBB_ROWS)
    found = bgbb.log_likelihood(x, t_x, 6, **BGBB)
    np.testing.assert_allclose(found, own, rtol=1e-10)
    np.testing.assert_allclose(found, excel, rtol=1e-3)


def test_bgbb_tables_of_fhs_2010():
    x, t_x, alive = columns(BGBB_ALIVE)
    found = bgbb.probability_alive(x, t_x, 6, **BGBB)
    np.testing.assert_allclose(found, alive, rtol=1e-7)
    at = {(int(i), int(j)): value for i, j, value in zip(x, t_x, found, strict=True)}
    assert [at[0, 0], at[2, 4], at[6, 6]] == pytest.approx([0.11, 0.59, 0.93], abs=6e-3)
    x, t_x, five = columns(BGBB_FIVE)
    np.testing.assert_allclose(bgbb.expected_purchases(5, x, t_x, 6, **BGBB), five, rtol=1e-7)


def test_bgbb_expected():
    rounded = {"alpha": 1.2035, "beta": 0.7497, "gamma": 0.6567, "delta": 2.7834}
    own = [0.498544506, 0.9233532455, 1.296881328, 1.632320579, 1.938152303, 2.220188136, 2.482604164, 2.728513778, 2.960307358,
           3.179864795, 3.388694383]  # fmt: skip
    excel = [0.4985, 0.9233, 1.2969, 1.6323, 1.9381, 2.2202, 2.4826, 2.7285, 2.9603, 3.1798, 3.3887]  # note 010
    found = [float(bgbb.expected_purchases_new(n, **rounded)) for n in range(1, 12)]
    assert found == pytest.approx(own, rel=1e-9)
    assert found == pytest.approx(excel, abs=1e-4)
    given = bgbb.expected_purchases(10, [0, 4], [0, 5], 6, **BGBB_BTYD)
    np.testing.assert_allclose(given, [0.1302168678, 3.627858114], rtol=1e-9)
    np.testing.assert_allclose(given, [0.1302169, 3.627858], rtol=1e-5)  # BTYD
    assert bgbb.expected_purchases_new(10, **BGBB_BTYD) == pytest.approx(3.179805, abs=1e-6)  # BTYD


def test_bgbb_counts_of_note_010():
    found = 11104 * bgbb.pmf(np.arange(7), 6, **BGBB_BTYD)
    np.testing.assert_allclose(found, [3454.847, 1888.678, 1348.904, 1113.392, 1017.928, 1027.162, 1253.089], atol=1e-3)
    np.testing.assert_allclose(found[[0, 6]], [3454.9, 1253.1], atol=0.2)


def test_gamma_gamma_of_note_025():
    x, mean = [2, 1, 0, 7, 1, 2], [22.35, 11.77, 0, 73.74, 11.77, 25.55]
    found = gammagamma.expected_spend(x, mean, p=6.248804, q=3.744588, v=15.447744)
    np.testing.assert_allclose(found, [24.65862, 18.91148, 35.17101, 71.46285, 18.91148, 27.28241], atol=6e-6)
    np.testing.assert_allclose(found, [24.65, 18.91, 35.17, 71.46, 18.91, 27.28], atol=0.01)
    rounded = gammagamma.expected_spend(x, mean, p=6.25, q=3.74, v=15.44)
    np.testing.assert_allclose(rounded, [24.6637, 18.9169, 35.219, 71.4697, 18.9169, 27.2884], atol=6e-5)


@pytest.mark.parametrize(("parameters", "survival", "rates"), [(REGULAR, REGULAR_S, REGULAR_R), (HIGH_END, HIGHEND_S, HIGHEND_R)],
                         ids=["regular (FH 2007)", "high end (FH 2007)"])  # fmt: skip
def test_sbg_projections(parameters, survival, rates):
    np.testing.assert_allclose(np.exp(sbg.log_survival(np.arange(13), **parameters)), survival, rtol=1e-9)
    np.testing.assert_allclose(sbg.retention(np.arange(1, 13), **parameters), rates, rtol=1e-9)


def test_sbg_uniform_of_fh_2007_appendix_b():
    t = np.arange(1.0, 8)
    found = np.exp(sbg.log_pmf(t, alpha=1.0, beta=1.0))
    np.testing.assert_allclose(found, 1 / (t * (t + 1)), rtol=1e-12)
    np.testing.assert_allclose(found, [0.5, 0.167, 0.083, 0.05, 0.033, 0.024, 0.018], atol=6e-4)


@pytest.mark.parametrize(("alpha", "beta", "whole", "own", "printed"), [
    (3.8, 15.2, 4.008925837, [3.309818421, 3.451000329, 3.586543657, 3.716811539, 3.842134024], [3.31, 3.45, 3.59, 3.72, 3.84]),
    (0.067, 0.267, 7.973486783, [7.670835461, 9.455299432, 9.85083377, 10.05616701, 10.18864001],
     [7.68, 9.46, 9.86, 10.06, 10.19]),
], ids=["case 1", "case 2"])  # fmt: skip
def test_residual_lifetime_of_fh_2010_table_3(alpha, beta, whole, own, printed):
    found = sbg.residual_lifetime(np.arange(1, 6), rate=0.1, alpha=alpha, beta=beta)
    np.testing.assert_allclose(found, own, rtol=1e-9)
    np.testing.assert_allclose(found, printed, atol=0.012)  # three digits of the parameters move the second
    assert float(sbg.expected_lifetime(rate=0.1, alpha=alpha, beta=beta)) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(("parameters", "own"), [
    (REGULAR, [2.964662146, 4.10345862, 4.870137367, 5.442391322, 5.89442286, 6.264729882, 6.575966186]),
    (HIGH_END, [5.414856048, 5.901753168, 6.294260617, 6.620280323, 6.897057398, 7.136001899, 7.345052259]),
], ids=["regular", "high end"])  # fmt: skip
def test_residual_lifetime_of_fh_2007_segments(parameters, own):
    np.testing.assert_allclose(sbg.residual_lifetime(np.arange(1, 8), rate=0.1, **parameters), own, rtol=1e-8)


# -- fits --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cdnow():
    return Transactions.of("bundled:cdnow").customers(unit="week", as_of="1997-09-30")


@pytest.mark.parametrize(("model", "own", "se", "density", "printed"), [
    (BgNbd(), [0.24259453, 4.41360242, 0.79292216, 2.42590737], [0.012557, 0.378224, 0.185733, 0.705411], -9582.429207,
     [0.243, 4.414, 0.793, 2.426]),
    (MbgNbd(), [0.52484323, 6.18308596, 0.89135926, 1.6140018], [0.083268, 0.69562, 0.154789, 0.537493], -9582.135716,
     [0.525, 6.183, 0.891, 1.614]),
    (ParetoNbd(), [0.55327703, 10.57768284, 0.60624006, 11.66873682], [0.047628, 0.842722, 0.187277, 6.210976], -9594.976179,
     [0.553, 10.578, 0.606, 11.669]),
], ids=["BG (FHL 2005, BTYD, CLVTools)", "MBG (BDF 2007, lifetimes)", "Pareto (FHL 2005, CLVTools)"])  # fmt: skip
def test_fits_of_cdnow(cdnow, model, own, se, density, printed):
    found = model.fit(cdnow, seed=1, method="mle").maximum()
    np.testing.assert_allclose(found["estimate"], own, rtol=2e-6)
    np.testing.assert_allclose(found["estimate"], printed, rtol=3e-3)
    np.testing.assert_allclose(found["se"], se, rtol=2e-3)
    assert found.attrs["log_likelihood"] == pytest.approx(density, abs=1e-5)
    days = model.fit(cdnow.in_unit("day"), seed=1, method="mle").maximum()
    times = [7.0 if name in ("alpha", "beta") else 1.0 for name in days.index]
    np.testing.assert_allclose(days["estimate"], found["estimate"] * times, rtol=1e-6)  # weeks to days


def test_fit_of_cdnow_with_times_rounded_as_in_the_copies_of_it(cdnow):
    """The table that most packages carry has weeks of two decimals: the maximum moves in the fourth digit, the density by .0036."""
    rounded = Customers.of(cdnow.frequency, np.round(cdnow.recency, 2), np.round(cdnow.T, 2), unit="week", weight=cdnow.weight)
    found = BgNbd().fit(rounded, seed=1, method="mle").maximum()
    np.testing.assert_allclose(found["estimate"], [0.2425929, 4.4135315, 0.7928862, 2.4257538], rtol=2e-5)
    assert found.attrs["log_likelihood"] == pytest.approx(-9582.425561, abs=1e-4)


def test_fit_of_cdnow_spending(cdnow):
    """FH 2013: 6.25, 3.74, 15.44, log likelihood -4055.9177 (CLVTools); own with means rounded to cents -4055.923244."""
    fit = GammaGamma().fit(cdnow, seed=1, method="mle")
    found = fit.maximum()
    np.testing.assert_allclose(found["estimate"], [6.25, 3.74, 15.44], rtol=5e-3)
    np.testing.assert_allclose(found["estimate"], [6.248804, 3.744588, 15.447744], rtol=2e-3)
    np.testing.assert_allclose(found["se"], [1.18968, 0.290164, 4.159951], rtol=5e-3)
    assert found.attrs["log_likelihood"] == pytest.approx(-4055.9177, abs=0.001)
    assert fit.diagnose()["correlation of frequency and spending"] == pytest.approx(0.113884, abs=1e-5)


def test_fit_of_donations():
    """FHS 2010, table 3: 1.204, .750, .657, 2.783, log likelihood -33225.6."""
    rows = load_dataset("donations")
    donors = Customers.of(rows["frequency"], rows["recency"], rows["periods"], unit="year", weight=rows["donors"])
    found = BgBb().fit(donors, seed=1, method="mle").maximum()
    np.testing.assert_allclose(found["estimate"], [1.20352245, 0.74971639, 0.65671828, 2.78344269], rtol=2e-5)
    np.testing.assert_allclose(found["estimate"], [1.204, 0.75, 0.657, 2.783], rtol=2e-3)
    np.testing.assert_allclose(found["se"], [0.069391, 0.029448, 0.051009, 0.320817], rtol=2e-3)
    assert found.attrs["log_likelihood"] == pytest.approx(-33225.581274, abs=1e-4)
    total = donors.weight @ bgbb.expected_purchases(5, donors.frequency, donors.recency, 6, **BGBB_BTYD)
    assert total == pytest.approx(12883.965, abs=1e-2)  # BTYD: 12884.2
    assert donors.n == 11104


@pytest.mark.parametrize(("segment", "own", "se", "density"), [
    ("Regular", [0.70407729, 1.18204305], [0.065599, 0.152476], -1680.265188),
    ("High End", [0.66808825, 3.80609433], [0.103735, 0.785531], -1611.158147),
], ids=["regular (FH 2007, p. 7)", "high end (FH 2007, p. 7)"])  # fmt: skip
def test_fits_of_retention(segment, own, se, density):
    rows = load_dataset("sbg_retention").query("segment == @segment")
    seven = Renewals.of_survival(rows["percent_surviving"][:8], customers=1000)
    found = ShiftedBetaGeometric().fit(seven, seed=1, method="mle").maximum()
    np.testing.assert_allclose(found["estimate"], own, rtol=2e-5)
    np.testing.assert_allclose(found["se"], se, rtol=2e-3)
    assert found.attrs["log_likelihood"] == pytest.approx(density, abs=1e-5)
    at_one = {"Regular": -1741.730262, "High End": -2115.545507}[segment]  # FH 2007, appendix B: alpha = beta = 1
    uniform = sbg.total_log_likelihood(seven.lost, seven.stayed, alpha=1.0, beta=1.0)
    assert float(np.squeeze(uniform)) == pytest.approx(at_one, abs=1e-5)
