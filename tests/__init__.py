"""A package, so that no distribution that installs its own ``tests`` (mlforecast does) is imported instead."""
