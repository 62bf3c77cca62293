"""Which works do the methods of a report come from? Only those of the methods that were used are printed."""

from collections.abc import Iterable

#: Key -> work, as it is printed.
REFERENCES = {
    "aalen1978": "Aalen, O. O. & Johansen, S. (1978). An empirical transition matrix for non-homogeneous Markov chains based on "
                 "censored observations. Scandinavian Journal of Statistics 5, 141-150.",
    "allison1982": "Allison, P. D. (1982). Discrete-time methods for the analysis of event histories. Sociological Methodology 13, 61-98.",
    "batislam2007": "Batislam, E. P., Denizel, M. & Filiztekin, A. (2007). Empirical validation and comparison of models for customer "
                    "base analysis. International Journal of Research in Marketing 24, 201-209.",
    "brown2001": "Brown, L. D., Cai, T. T. & DasGupta, A. (2001). Interval estimation for a binomial proportion. Statistical Science "
                 "16, 101-133.",
    "fader2005": "Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005). RFM and CLV: using iso-value curves for customer base analysis. "
                 "Journal of Marketing Research 42, 415-430.",
    "gelman2013": "Gelman, A., Carlin, J. B., Stern, H. S., Dunson, D. B., Vehtari, A. & Rubin, D. B. (2013). Bayesian Data Analysis, "
                  "3rd ed. Chapman & Hall/CRC.",
    "gneiting2007": "Gneiting, T. & Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and estimation. Journal of the "
                    "American Statistical Association 102, 359-378.",
    "goldstein1996": "Goldstein, H. & Spiegelhalter, D. J. (1996). League tables and their limitations: statistical issues in "
                     "comparisons of institutional performance. Journal of the Royal Statistical Society A 159, 385-443.",
    "kaplan1958": "Kaplan, E. L. & Meier, P. (1958). Nonparametric estimation from incomplete observations. Journal of the American "
                  "Statistical Association 53, 457-481.",
    "kruschke2021": "Kruschke, J. K. (2021). Bayesian analysis reporting guidelines. Nature Human Behaviour 5, 1282-1291.",
    "tutz1991": "Tutz, G. (1991). Sequential models in categorical regression. Computational Statistics & Data Analysis 11, 275-295.",
    "vehtari2021": "Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. & Bürkner, P.-C. (2021). Rank-normalization, folding, and "
                   "localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16, 667-718.",
    "wilson1927": "Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. Journal of the American "
                  "Statistical Association 22, 209-212.",
}  # fmt: skip


def cited(keys: Iterable[str]) -> list[str]:
    """The works behind some keys, each once, in the order of the alphabet.

    Examples
    --------
    >>> [work[:13] for work in cited(["wilson1927", "brown2001", "wilson1927"])]
    ['Brown, L. D.,', 'Wilson, E. B.']
    """
    return [REFERENCES[key] for key in sorted(set(keys))]
