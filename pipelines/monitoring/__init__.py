"""Watching what runs: drift from stored bins, volume, performance on matured labels, alarms."""
