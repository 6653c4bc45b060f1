"""Classifiers of binary events on mixed tables, their baselines and their tuning."""
