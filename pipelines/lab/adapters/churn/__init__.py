"""Public data sets for churn."""
