#!/usr/bin/env bash
# Run the Spark job over an exchange folder on an EMR cluster, from its primary node or as a step:
#
#   submit_emr.sh s3://bucket/exchange/packed.parquet s3://bucket/exchange/results 800
#
# with the address of the packed groups, where the results go (must not exist) and the number of groups.
# Every node needs the project in a Python 3.11 environment; emr_bootstrap.sh puts it there. As a step:
#
#   aws emr add-steps --cluster-id j-... --steps 'Type=CUSTOM_JAR,Name=millrace,Jar=command-runner.jar,
#     Args=[bash,/opt/millrace/submit_emr.sh,s3://bucket/exchange/packed.parquet,s3://bucket/exchange/results,800]'
#
# From the environment:
#   MILLRACE_PYTHON   Python of every node                    (/opt/millrace/bin/python)
#   SPARK_MASTER      master, e.g. spark://127.0.0.1:7077      (yarn)
#   SPARK_DEPLOY_MODE cluster, or client to see the output     (cluster)
#   SPARK_SUBMIT      Spark's own command                      (spark-submit)
#   EXECUTOR_CORES    groups at a time in an executor          (4)
#   EXECUTOR_MEMORY   of its Java side, which only passes on   (2g)
#   PYTHON_MEMORY     of its Python side, 700 MB a core        (4g)
set -euo pipefail

if [ $# -ne 3 ]; then
  echo "usage: submit_emr.sh PACKED RESULTS GROUPS" >&2
  exit 2
fi

python=${MILLRACE_PYTHON:-/opt/millrace/bin/python}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

threads=()
for name in OMP OPENBLAS MKL NUMEXPR NUMBA STAN; do
  threads+=(--conf "spark.executorEnv.${name}_NUM_THREADS=1")
done

exec "${SPARK_SUBMIT:-spark-submit}" \
  --name millrace-forecast \
  --master "${SPARK_MASTER:-yarn}" \
  --deploy-mode "${SPARK_DEPLOY_MODE:-cluster}" \
  --conf "spark.pyspark.python=$python" \
  --conf "spark.yarn.appMasterEnv.PYSPARK_PYTHON=$python" \
  --conf "spark.executor.cores=${EXECUTOR_CORES:-4}" \
  --conf "spark.executor.memory=${EXECUTOR_MEMORY:-2g}" \
  --conf "spark.executor.memoryOverhead=${PYTHON_MEMORY:-4g}" \
  --conf spark.dynamicAllocation.enabled=true \
  --conf spark.task.maxFailures=4 \
  "${threads[@]}" \
  "$here/spark_job.py" \
  --source "$1" --target "$2" --groups "$3" \
  --function models.forecasting.local:forecast_group --key group
