"""Public data sets for propensity."""
