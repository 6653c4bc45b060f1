"""Public data sets for imputation."""
