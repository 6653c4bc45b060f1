#!/usr/bin/env bash
# Runs once, when the data volume is empty: one role and one database each for Airflow and MLflow.
# psql reads the passwords itself, so that they are in no command line.
set -euo pipefail

export SECRETS="${SECRETS:-/run/secrets}"

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set airflow_password `cat "$SECRETS/airflow_db_password"`
\set mlflow_password `cat "$SECRETS/mlflow_db_password"`
create role airflow login password :'airflow_password';
create role mlflow login password :'mlflow_password';
create database airflow owner airflow encoding 'UTF8' template template0;
create database mlflow owner mlflow encoding 'UTF8' template template0;
-- Neither role may look into the other's database.
revoke connect, temporary on database airflow, mlflow from public;
SQL
