"""What DAG files share: assets, defaults, notifications. Light: imported at every parse."""
