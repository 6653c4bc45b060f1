"""Coherent forecasts over a hierarchy: bottom-up, top-down and least squares, each with a certificate."""

from models.forecasting.reconcile.certificate import Certificate
from models.forecasting.reconcile.reconciled import METHODS, Method, Reconciled, reconcile
from models.forecasting.reconcile.tree import Tree

__all__ = ["METHODS", "Certificate", "Method", "Reconciled", "Tree", "reconcile"]
