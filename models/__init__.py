"""Estimators and their mathematics. Pure: no files, no MLflow, no Airflow."""
