"""The use cases: one folder each, discovered by :mod:`pipelines.usecase`."""
