"""Public data sets for demand."""
