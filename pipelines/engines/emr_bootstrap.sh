#!/usr/bin/env bash
# Bootstrap action of an EMR cluster: the project and its locked libraries in /opt/millrace on every node.
#
#   aws emr create-cluster --applications Name=Spark \
#     --bootstrap-actions 'Path=s3://bucket/millrace/emr_bootstrap.sh,Args=[s3://bucket/millrace]' ...
#
# The folder holds what `uv build --wheel` and
# `uv export --locked --no-dev --no-emit-project -o requirements.txt` make, with submit_emr.sh and spark_job.py.
set -euo pipefail

source=${1:?usage: emr_bootstrap.sh s3://bucket/folder}

sudo dnf install -y python3.11 python3.11-pip
sudo python3.11 -m venv /opt/millrace
sudo aws s3 cp --recursive "$source/" /opt/millrace/
sudo /opt/millrace/bin/pip install --no-cache-dir --require-hashes -r /opt/millrace/requirements.txt
sudo /opt/millrace/bin/pip install --no-cache-dir --no-deps /opt/millrace/millrace-*.whl
