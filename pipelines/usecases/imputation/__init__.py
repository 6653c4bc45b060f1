"""Multiple imputation of a factory's measurements: prepare, train, gate, score, monitor, report."""
