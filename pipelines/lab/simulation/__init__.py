"""Simulators that stand in for a company's source systems, with the truth kept aside."""
