"""Time-ordered splits, metrics with intervals, subgroup tables, curves and the go/no-go gate."""
