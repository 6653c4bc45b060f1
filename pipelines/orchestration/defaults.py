"""Defaults, tags and the run's date, shared by all DAGs."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import (
    Asset,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    Param,
    PartitionedAssetTimetable,
    RetryAction,
    RetryRule,
)
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from pipelines.orchestration.notifications import notify_deadline, notify_failure

#: The one day of a run, whatever started it: the ``as_of`` parameter of whoever triggered it, the partition of
#: the asset whose update started it (:func:`each_day_of`), or the tick of its schedule.
AS_OF = "{{ params.as_of or dag_run.partition_key or ((dag_run.logical_date or dag_run.run_after) | ds) }}"

#: Errors that another try cannot fix fail at once; everything else is retried.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=[
                "pipelines.errors.ConfigError",
                "pipelines.errors.DataContractError",
                "pipelines.errors.ModelGateError",
            ],
            action=RetryAction.FAIL,
            reason="the same input fails the same way: fix the data, parameter or model first",
        )
    ]
)


class Tag(StrEnum):
    """Vocabulary of the tags: use case, stage, impact."""

    CHURN = "usecase:churn"
    DEMAND = "usecase:demand"
    CLUSTERING = "usecase:clustering"
    IMPUTATION = "usecase:imputation"
    REPURCHASE = "usecase:repurchase"
    FEATURES = "stage:features"
    TRAIN = "stage:train"
    SCORE = "stage:score"
    PUBLISH = "stage:publish"
    TIER_1 = "impact:tier-1"
    TIER_2 = "impact:tier-2"


class Pool(StrEnum):
    """Scarce things; ``millrace up`` and the deployment guide make them with these slots."""

    DBT = "dbt"
    SALESFORCE = "salesforce"
    DYNAMODB = "dynamodb"


#: Where the people are for whom the runs must be ready.
TIMEZONE = "Europe/Paris"


def schedule(cron: str) -> CronTriggerTimetable | None:
    """Schedule in the users' time zone.

    ``MILLRACE_SCHEDULES=off`` leaves manual triggers only: simulated data end on a fixed day, and a
    run for today's date would rightly refuse them as stale.
    """
    if os.environ.get("MILLRACE_SCHEDULES") == "off":
        return None
    return CronTriggerTimetable(cron, timezone=TIMEZONE)


def each_day_of(asset: Asset) -> PartitionedAssetTimetable:
    """Run once for every day for which an asset is updated; the day is the partition of its event.

    Without partitions Airflow puts whatever events wait into one run, and forgets some of them
    (``docs/decisions/0025-one-run-per-day.md``).
    """
    return PartitionedAssetTimetable(assets=asset)


def deadline(within: timedelta, *, what: str, for_whom: str) -> DeadlineAlert:
    """Alert when a run has not ended so long after it was queued, that is after its schedule's tick.

    From the queue and not from the logical date: a run triggered by hand has none.
    """
    told = SyncCallback(notify_deadline, kwargs={"what": what, "for_whom": for_whom})
    return DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=within, callback=told)


def dag_kwargs(**overrides: Any) -> dict[str, Any]:
    """Arguments that every DAG passes to ``@dag``; keyword arguments replace some."""
    return {
        "start_date": datetime(2025, 1, 1, tzinfo=ZoneInfo(TIMEZONE)),
        "catchup": False,
        "max_active_runs": 1,
        "params": {
            "as_of": Param(
                None,
                type=["null", "string"],
                format="date",
                title="as_of",
                description="Day to compute for (YYYY-MM-DD). Empty: the day of the schedule. "
                "A backfill is a trigger with a past day.",
            )
        },
        "on_failure_callback": notify_failure,
        "default_args": {
            "owner": "ml-platform",
            "retries": 2,
            "retry_delay": timedelta(minutes=5),
            "retry_exponential_backoff": True,
            "retry_policy": RETRY_POLICY,
            "execution_timeout": timedelta(hours=2),
        },
    } | overrides
