"""Forecasting of many related daily series: panels, models, intervals, reconciliation."""
