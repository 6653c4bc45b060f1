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

#: The day of a run, whatever started it: the ``as_of`` parameter if somebody triggered it with one, the partition of
#: the asset whose update started it (:func:`each_day_of`), or the day of its schedule.
AS_OF = "{{ params.as_of or dag_run.partition_key or ((dag_run.logical_date or dag_run.run_after) | ds) }}"

#: Errors that another try cannot fix fail at once; all others are retried.
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
    """Tags of the DAGs, beside ``usecase:<name>``: stage and impact."""

    FEATURES = "stage:features"
    TRAIN = "stage:train"
    SCORE = "stage:score"
    PUBLISH = "stage:publish"
    TIER_1 = "impact:tier-1"
    TIER_2 = "impact:tier-2"


class Pool(StrEnum):
    """Pools of scarce resources; ``millrace up`` creates them, and the deployment guide says with how many slots."""

    DBT = "dbt"
    SALESFORCE = "salesforce"
    DYNAMODB = "dynamodb"


#: Time zone of the people for whom the results must be ready.
TIMEZONE = "Europe/Paris"


def schedule(cron: str) -> CronTriggerTimetable | None:
    """Return a schedule in the users' time zone.

    With ``MILLRACE_SCHEDULES=off`` it returns None, so that DAGs run only when triggered: simulated data end on a
    fixed day, and a run for today would rightly refuse them as stale.
    """
    if os.environ.get("MILLRACE_SCHEDULES") == "off":
        return None
    return CronTriggerTimetable(cron, timezone=TIMEZONE)


def each_day_of(asset: Asset) -> PartitionedAssetTimetable:
    """Return a schedule that runs once for each day for which an asset is updated.

    The day is the partition of the asset's event. Without partitions Airflow starts one run for all waiting
    events, and the run is not even told of all of them (``docs/decisions/0025-one-run-per-day.md``).
    """
    return PartitionedAssetTimetable(assets=asset)


def deadline(within: timedelta, *, what: str, for_whom: str) -> DeadlineAlert:
    """Return an alert for a run that takes longer than ``within``, counted from the moment it was queued.

    A run is queued at its schedule's tick. The logical date would not do: a run triggered by hand has none.
    """
    told = SyncCallback(notify_deadline, kwargs={"what": what, "for_whom": for_whom})
    return DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=within, callback=told)


def dag_kwargs(**overrides: Any) -> dict[str, Any]:
    """Return the arguments that every DAG passes to ``@dag``; ``overrides`` replace some."""
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
