"""Demand forecasting: coherent daily forecasts by product and store, fourteen days ahead."""
