"""Adapters of public data sets to the raw layouts."""
