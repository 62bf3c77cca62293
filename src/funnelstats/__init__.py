"""Sales-funnel, customer-value and Bayesian conversion statistics with numbers that can be cited."""
