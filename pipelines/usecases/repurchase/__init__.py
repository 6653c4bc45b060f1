"""Repurchase of a shop's customers: when a customer comes back, and with what."""
