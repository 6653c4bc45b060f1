"""Messages about failed DAG runs and alarms: what failed, what it means, what to do first.

A message always goes to the log; to e-mail if the Airflow connection ``millrace_smtp`` exists, and
to a webhook if ``millrace_webhook`` does. The DAG's ``on_failure_callback`` sends one message per
failed run, however many of its tasks failed. This module is imported at every parse: everything
heavy is imported where it is used.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

log = logging.getLogger(__name__)

#: Type ``smtp``; extra: ``from_email``, ``to`` (addresses separated by commas), ``disable_tls``, ...
SMTP_CONNECTION = "millrace_smtp"

#: Type ``http``; host with path of the hook; the message is posted as JSON.
WEBHOOK_CONNECTION = "millrace_webhook"


@dataclass(frozen=True)
class Message:
    """One message, ready for every channel."""

    #: One line.
    subject: str
    #: Pairs of a label and a text, in reading order.
    lines: tuple[tuple[str, str], ...]
    #: Where to look; empty if unknown.
    link: str
    #: JSON-able details for machines (the webhook).
    facts: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Plain text."""
        body = "\n".join(f"{label}: {text}" for label, text in self.lines)
        return "\n".join(part for part in (self.subject, body, self.link) if part)

    @property
    def html(self) -> str:
        """Body of an e-mail, everything escaped."""
        rows = "".join(
            f"<p><strong>{html.escape(label)}</strong><br>{html.escape(text)}</p>"
            for label, text in self.lines
        )
        address = html.escape(self.link, quote=True)
        link = f'<p><a href="{address}">{address}</a></p>' if self.link else ""
        return f"<h3>{html.escape(self.subject)}</h3>{rows}{link}"


def notify_failure(context: Mapping[str, Any]) -> None:
    """``on_failure_callback`` of every DAG; of its context only ``dag`` and ``run_id`` are certain to be there."""
    send(failure_message(context))


def notify_alarms(alarms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Send one message about all alarms of a monitoring run, if any; returns the channels that took it.

    They come as in the record of a ``monitor`` step (:meth:`pipelines.monitoring.alarms.Alarm.as_dict`).
    """
    if not alarms:
        return []
    lines: list[tuple[str, str]] = []
    for alarm in alarms:
        lines += [
            (f"{alarm['severity'].capitalize()}: {alarm['name']}", alarm["finding"]),
            ("What it means", alarm["meaning"]),
            ("First step", alarm["first_step"]),
        ]
    first, count = alarms[0], f"{len(alarms)} alarm{'s' if len(alarms) > 1 else ''}"
    names = ", ".join(alarm["name"] for alarm in alarms)
    subject = f"[millrace] {first['usecase']}: {count} for {first['as_of']}: {names}"
    return send(
        Message(subject, tuple(lines), "", {"kind": "alarms", "alarms": [dict(one) for one in alarms]})
    )


def notify_deadline(context: Mapping[str, Any], what: str, for_whom: str) -> None:
    """Send a message about a run that has not ended by its deadline; the run itself continues.

    Airflow hands over the run and the deadline as JSON; the DAG says what is late and what that means for whom.
    """
    send(deadline_message(context, what, for_whom))


def deadline_message(context: Mapping[str, Any], what: str, for_whom: str) -> Message:
    """Word a missed deadline."""
    run = context.get("dag_run") or {}
    dag_id, run_id = str(run.get("dag_id", "")), str(run.get("dag_run_id", ""))
    given = (run.get("conf") or {}).get("as_of") or run.get("partition_key")
    as_of = str(given or str(run.get("logical_date") or "unknown")[:10])
    due = str((context.get("deadline") or {}).get("deadline_time", ""))
    return Message(
        subject=f"[millrace] {dag_id} is late, as_of {as_of}: {what}",
        lines=(
            ("What is late", f"{what}; due at {due}"),
            ("What it means", for_whom),
            (
                "First step",
                "Open the run in Airflow: a task that waits for a pool or a worker starts when one is free. "
                "If a task runs far longer than usual, ops/step_runs shows which step became slower.",
            ),
            ("Run", f"DAG {dag_id}, run {run_id}, as_of {as_of}"),
        ),
        link="",
        facts={"kind": "deadline", "dag_id": dag_id, "run_id": run_id, "as_of": as_of, "due": due},
    )


def failure_message(context: Mapping[str, Any]) -> Message:
    """Word the failure of a DAG run."""
    task: Any = context.get("ti") or context.get("task_instance")
    task_id = getattr(task, "task_id", None)
    dag_id = context["dag"].dag_id
    run_id = str(context.get("run_id", ""))
    as_of = _as_of(context)
    # The step is the last part of a task id.
    told = yaml.safe_load((files("pipelines.orchestration") / "steps.yaml").read_text(encoding="utf-8"))
    words = told.get(str(task_id).rsplit(".", 1)[-1], told["other"])
    what = f"task {task_id} failed" if task_id else "the run failed"
    if task_id and getattr(task, "try_number", None):
        what += f" in try {task.try_number}"
    return Message(
        subject=f"[millrace] {dag_id} failed{f' at {task_id}' if task_id else ''}, as_of {as_of}",
        lines=(
            ("What failed", f"{what} ({context.get('reason') or 'no reason given'})"),
            ("What it means", words["meaning"]),
            ("First step", words["first_step"]),
            ("Run", f"DAG {dag_id}, run {run_id}, as_of {as_of}"),
        ),
        link=str(getattr(task, "log_url", None) or ""),
        facts={"kind": "failure", "dag_id": dag_id, "run_id": run_id, "as_of": as_of, "task_id": task_id},
    )


def send(message: Message) -> list[str]:
    """Deliver a message to the log and to every channel that has a connection.

    A channel that fails is logged, and the others are still tried: a message about a failure must not
    fail because a mail server does.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

    log.error("%s", message.text)
    delivered = ["log"]
    channels: tuple[tuple[str, str, Callable[[Message, Any], None]], ...] = (
        ("smtp", SMTP_CONNECTION, _send_mail),
        ("webhook", WEBHOOK_CONNECTION, _post),
    )
    for channel, connection_id, deliver in channels:
        try:
            deliver(message, BaseHook.get_connection(connection_id))
        except AirflowNotFoundException:
            log.debug("no connection %s: nothing sent by %s", connection_id, channel)
        except (AirflowException, OSError, ValueError) as error:  # smtplib and requests raise OSErrors
            # The text of the error may hold the address with its credentials: name its kind only.
            log.error(
                "not delivered by %s (%s): check the Airflow connection %s",
                channel,
                type(error).__name__,
                connection_id,
            )
        else:
            delivered.append(channel)
    return delivered


def _send_mail(message: Message, connection: Any) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    recipients = [part.strip() for part in str(connection.extra_dejson.get("to", "")).split(",")]
    if not any(recipients):
        raise ValueError(f"connection {SMTP_CONNECTION} needs addresses in its extra field `to`")
    with SmtpHook(smtp_conn_id=SMTP_CONNECTION) as hook:
        hook.send_email_smtp(to=recipients, subject=message.subject, html_content=message.html)


def _post(message: Message, connection: Any) -> None:
    from airflow.providers.http.hooks.http import HttpHook

    # `text` is what chat services show; the facts are for machines.
    HttpHook(method="POST", http_conn_id=WEBHOOK_CONNECTION).run(
        json={"text": message.text, "link": message.link, **message.facts},
        extra_options={"timeout": 10},
    )


def _as_of(context: Mapping[str, Any]) -> str:
    """Day of the run, by the rule of :data:`pipelines.orchestration.defaults.AS_OF`."""
    run = context.get("dag_run")
    given = (context.get("params") or {}).get("as_of") or getattr(run, "partition_key", None)
    scheduled = getattr(run, "logical_date", None) or getattr(run, "run_after", None)
    return str(given or (scheduled.date().isoformat() if scheduled else "unknown"))
