"""Simulations of companies whose truth is known: a folder per use case, each with ``generate``."""
