"""Simulation of a chain of food shops."""

from pipelines.sources.simulation.demand.delivery import (
    DEFAULT_END,
    DEFAULT_START,
    GenerateReport,
    generate,
)

__all__ = ["DEFAULT_END", "DEFAULT_START", "GenerateReport", "generate"]
