"""Public data sets for repurchase."""
