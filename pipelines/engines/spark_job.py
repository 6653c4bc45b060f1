"""The Spark job: reads packed groups from Parquet, applies a function to each, writes the results.

Run by ``spark-submit``, on a laptop by the engine ``spark``, on a cluster by ``submit_emr.sh``.
It needs the project installed in the Python of driver and executors, and nothing else from it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from pipelines.engines.base import GROUP, PLACE, PROGRESS, GroupFunction

#: Partitions at most. Groups are far fewer than series, so mostly each has a task of its own.
MOST_PARTITIONS = 4000


def named(text: str) -> GroupFunction:
    """Function called ``package.module:name``."""
    module, _, name = text.partition(":")
    function: GroupFunction = getattr(importlib.import_module(module), name)
    return function


def result_schema(empty: pd.DataFrame) -> Any:
    """Spark's types of the columns of a result, with its group and the place within."""
    extra = pa.schema([(GROUP, pa.string()), (PLACE, pa.int64())])
    own = pa.Schema.from_pandas(empty, preserve_index=False).remove_metadata()
    return from_arrow_schema(pa.unify_schemas([extra, own]))


def of_group(function: GroupFunction, key: str, done: Callable[[int], None]) -> GroupFunction:
    """``function`` of a group's rows as Spark delivers them: put in order before, and its result after."""

    def on_group(rows: pd.DataFrame) -> pd.DataFrame:
        group = str(rows[key].iloc[0])
        ordered = rows.sort_values(PLACE, ignore_index=True).drop(columns=PLACE)
        try:
            result = function(ordered).reset_index(drop=True)
        except BaseException as error:
            error.add_note(f"in the group {group!r}")
            raise
        done(1)
        return pd.concat([pd.DataFrame({GROUP: group, PLACE: range(len(result))}), result], axis=1)

    return on_group


def run(spark: SparkSession, given: argparse.Namespace, function: GroupFunction) -> None:
    """Apply ``function`` to the groups of the Parquet at ``given.source``, write Parquet to ``given.target``."""
    packed = spark.read.parquet(given.source)
    empty = function(to_arrow_schema(packed.schema).empty_table().to_pandas().drop(columns=PLACE))
    done = spark.sparkContext.accumulator(0)
    spark.conf.set("spark.sql.shuffle.partitions", str(min(given.groups, MOST_PARTITIONS)))
    # Small inputs can be long work: partitions must not be merged by their size.
    spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    finished = threading.Event()

    def report() -> None:
        while not finished.wait(0.2):
            # A group whose task was tried again counts twice.
            sys.stdout.write(f"{PROGRESS} {min(done.value, given.groups)}\n")
            sys.stdout.flush()

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        results = packed.groupBy(given.key).applyInPandas(
            of_group(function, given.key, done.add), schema=result_schema(empty)
        )
        results.write.parquet(given.target)
    finally:
        finished.set()
        reporter.join()


def arguments_of(words: list[str]) -> argparse.Namespace:
    """Read the job's command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="Parquet of packed groups, a path or s3:// address")
    parser.add_argument("--target", required=True, help="where to write the results; must not exist")
    parser.add_argument("--function", default="models.forecasting.local:forecast_group")
    parser.add_argument("--key", default="group", help="column of the groups")
    parser.add_argument("--groups", type=int, default=MOST_PARTITIONS, help="number of groups")
    return parser.parse_args(words)


def main(words: list[str]) -> None:
    """Do the job."""
    given = arguments_of(words)
    function = named(given.function)
    spark = SparkSession.builder.getOrCreate()
    try:
        run(spark, given, function)
    finally:
        spark.stop()


if __name__ == "__main__":
    # Python puts this folder first on the path of a script; its modules are not top-level ones.
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]
    main(sys.argv[1:])
