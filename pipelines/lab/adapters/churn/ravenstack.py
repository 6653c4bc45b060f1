"""Adapter of the public RavenStack data set (a synthetic SaaS) to the raw layouts of churn.

Five CSV files go in, files in the raw layouts come out, and from there everything is the same path
as for any other delivery. What the source lacks is not invented; what is impossible in it is
quarantined, with the reason, under the name of the source file. The rules, with the numbers they
give on the published files, are in ``docs/sources_ravenstack.md``; in short:

- *Unit.* A RavenStack **subscription** takes the place of the account. An account of this source
  has ten subscriptions on average, side by side, and nine in ten never end, so no account ever
  leaves; what is renewed or not, priced and used, is the subscription.
- *Times.* The source has days, no recording times. A fact dated D is known at the end of D; a
  renewal is known the day before it starts; a ticket is known when it is opened, and again when it
  is closed. Nothing that only the end of the story tells (``churn_flag``, ``upgrade_flag``, the
  account's final ``plan_tier``) is read.
- *Terms.* A subscription becomes a sequence of monthly or annual terms with planned ends, renewed
  until ``end_date`` or until the data ends. An ``end_date`` within a term means that this term is
  the last, not that it was known to be shorter.
- *Usage.* Rows dated before their subscription starts or after it ended are quarantined. The rest
  is summed per subscription and day; a row counts as one session.
- *Tickets* belong to accounts and are delivered for each subscription that ran on the day. Those
  of an account that had not signed up, or had no subscription running, are quarantined.
- *Invoices.* The source has none, so the file is empty.
- *Money* is in US dollars and taken as if it were the currency of the layouts.
- *Churn events* serve as a cross-check only, see the notes of the report.
"""

# SQL is put together from declared names, quoted; values are parameters or quoted literals.

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from features.schemas import Column, DType, Table
from pipelines.errors import DataContractError
from pipelines.sources.adapter import Adapted, Adapter, no_rows, write_raw
from pipelines.sources.delivery import DeliveredFile
from pipelines.sources.layout import History, RawLayout, RowRule
from pipelines.sources.staging import Staging
from pipelines.usecases.churn import layouts as churn

_ID = Column("account_id", DType.STRING, "Natural id of the account.", personal=True)


_OF_ACCOUNT = ("account_id", "ravenstack_accounts", "account_id")
_OF_SUBSCRIPTION = ("subscription_id", "ravenstack_subscriptions", "subscription_id")


def _layout(
    name: str,
    columns: tuple[Column, ...],
    *,
    subject: str = "account_id",
    reference: tuple[str, str, str] | None = None,
    rules: tuple[RowRule, ...] = (),
) -> RawLayout:
    """Layout of a file; its first column is its key."""
    words = f"RavenStack's file {name}.csv, the columns that are read."
    return RawLayout(
        Table(name, words, columns, key=(columns[0].name,)),
        history=History.IMMUTABLE,
        subject=subject,
        references=(reference,) if reference else (),
        rules=rules,
    )


ACCOUNTS = _layout(
    "ravenstack_accounts",
    (
        _ID,
        Column("account_name", DType.STRING, "Name.", personal=True),
        Column("industry", DType.STRING, "Industry.", nullable=True),
        Column("country", DType.STRING, "Country code; the source writes UK.", nullable=True),
        Column("signup_date", DType.DATE, "Sign-up."),
    ),
)
SUBSCRIPTIONS = _layout(
    "ravenstack_subscriptions",
    (
        Column("subscription_id", DType.STRING, "Subscription."),
        _ID,
        Column("start_date", DType.DATE, "First day."),
        Column("end_date", DType.DATE, "Day of the cancellation; null if it runs on.", nullable=True),
        Column("plan_tier", DType.STRING, "Plan.", allowed=("Basic", "Pro", "Enterprise")),
        Column("seats", DType.INTEGER, "Licensed users.", minimum=1),
        Column("mrr_amount", DType.NUMBER, "USD per month; 0 for trials.", minimum=0),
        Column("is_trial", DType.BOOLEAN, "Unpaid trial."),
        Column("billing_frequency", DType.STRING, "Commitment.", allowed=churn.BILLING_PERIODS),
    ),
    subject="subscription_id",
    reference=_OF_ACCOUNT,
    rules=(RowRule("end_date", "not be before start_date", "end_date >= start_date"),),
)
USAGE = _layout(
    "ravenstack_feature_usage",
    (
        Column("usage_id", DType.STRING, "Random id; 21 of them occur twice, on unrelated rows."),
        Column("subscription_id", DType.STRING, "Subscription used."),
        Column("usage_date", DType.DATE, "Day."),
        Column("feature_name", DType.STRING, "Feature."),
        Column("usage_duration_secs", DType.NUMBER, "Time.", unit="seconds", minimum=0),
    ),
    subject="subscription_id",
    reference=_OF_SUBSCRIPTION,
)
TICKETS = _layout(
    "ravenstack_support_tickets",
    (
        Column("ticket_id", DType.STRING, "Ticket."),
        _ID,
        Column("submitted_at", DType.DATE, "Day of opening."),
        Column("closed_at", DType.TIMESTAMP, "Closing; null while open.", nullable=True),
        Column("priority", DType.STRING, "Urgency.", allowed=("low", "medium", "high", "urgent")),
        Column("satisfaction_score", DType.INTEGER, "Satisfaction.", nullable=True, minimum=1, maximum=5),
    ),
    reference=_OF_ACCOUNT,
    rules=(RowRule("closed_at", "not be before submitted_at", "closed_at >= submitted_at"),),
)
CHURN_EVENTS = _layout(
    "ravenstack_churn_events",
    (
        Column("churn_event_id", DType.STRING, "Event."),
        _ID,
        Column("churn_date", DType.DATE, "Day."),
    ),
    reference=_OF_ACCOUNT,
)

LAYOUTS = (ACCOUNTS, SUBSCRIPTIONS, USAGE, TICKETS, CHURN_EVENTS)

_EARLY_USAGE = "usage_date must not be before its subscription starts"
_LATE_USAGE = "usage_date must not be after its subscription ended"
_EARLY_TICKET = "submitted_at must not be before its account signed up"
_STRAY_TICKET = "submitted_at must be a day on which its account has a subscription"

#: Rules between files: SQL that gives row number, rule and reason of the rows of ``checked`` at fault.
_BETWEEN = {
    USAGE.table.name: f"""
        select row_number, case when usage_date < start_date then '{_EARLY_USAGE}' else '{_LATE_USAGE}' end as rule,
            rule || ' (' || case when usage_date < start_date then start_date else end_date end || '), got '
            || usage_date
        from checked join ravenstack_subscriptions using (subscription_id)
        where not is_bad and (usage_date < start_date or usage_date > end_date)
    """,
    TICKETS.table.name: f"""
        select row_number, case when submitted_at < signup_date then '{_EARLY_TICKET}' else '{_STRAY_TICKET}' end
            as rule,
            rule || ' (signed up ' || signup_date || '), got ' || submitted_at
        from checked c join ravenstack_accounts using (account_id)
        where not is_bad and not exists (
            select 1 from ravenstack_subscriptions s where s.account_id = c.account_id
            and submitted_at between start_date and coalesce(end_date, submitted_at)
        )
    """,
}  # fmt: skip

_TIERS = dict(zip(("Basic", "Pro", "Enterprise"), churn.PLAN_TIERS, strict=True))


def adapt(staging: Staging, files: Sequence[DeliveredFile], into: Path) -> Adapted:
    """Write RavenStack's rows as files in the raw layouts of churn.

    Parameters
    ----------
    staging
        Scratch space of the ingest; rows that break a rule go to its quarantine.
    files
        The five files, checked.
    into
        Folder for the adapted Parquet files. The same input gives the same bytes.

    Raises
    ------
    DataContractError
        A file is absent or cannot be read to its end.
    """
    missing = {layout.table.name for layout in LAYOUTS} - {file.layout.table.name for file in files}
    if missing:
        raise DataContractError(
            f"RavenStack is five files; missing {sorted(name + '.csv' for name in missing)}"
        )
    con, outcomes = staging.con, []
    for file in files:
        name = file.layout.table.name
        staging.examine(file)
        if name in _BETWEEN:
            con.execute(
                "insert into verdicts select row_number, [rule], [reason]"
                f" from ({_BETWEEN[name]}) as t (row_number, rule, reason) order by row_number"
            )
        outcomes.append(staging.settle(file))
        con.execute(
            f"create or replace temp table {name} as select * exclude (is_bad, row_number, account_key) from checked"
            " anti join verdicts using (row_number)"
        )
        staging.make_known(name, file.layout.table.key[0], name)
    into.mkdir()
    for layout, query in _QUERIES:
        write_raw(con, layout, query, into)
    return Adapted(tuple(outcomes), _cross_checks(con))


#: A fact dated D is known at the end of D.
_END_OF = "cast({day} as timestamp) + interval 1 day - interval 1 second"

_LAST_DAY = (
    "(select max(day) from (select max(start_date) as day from ravenstack_subscriptions union all"
    " select max(end_date) from ravenstack_subscriptions union all"
    " select max(usage_date) from ravenstack_feature_usage union all"
    " select max(submitted_at) from ravenstack_support_tickets))"
)

_QUERIES = (
    (
        churn.ACCOUNTS,
        f"""
        select subscription_id as account_id, account_name || ' / ' || subscription_id as account_name,
            industry as sector,
            case country when 'UK' then 'GB' else country end as country,
            null::bigint as employees, null::date as founded_on, signup_date as signed_up_on,
            {_END_OF.format(day="start_date")} as known_at
        from ravenstack_subscriptions join ravenstack_accounts using (account_id) order by 1
        """,
    ),
    (
        churn.SUBSCRIPTIONS,
        f"""
        with terms as (
            select *,
                cast(start_date + to_months(cast(n * months as integer)) as date) as term_start,
                cast(start_date + to_months(cast((n + 1) * months as integer)) as date) as term_end
            from (
                select *, case billing_frequency when 'annual' then 12 else 1 end as months,
                    coalesce(end_date, {_LAST_DAY} + 1) as stop_day
                from ravenstack_subscriptions
            ), unnest(range(0, 1 + date_diff('month', start_date, stop_day) // months)) as t (n)
        )
        select subscription_id || '-' || lpad(n::varchar, 2, '0') as term_id,
            subscription_id as account_id, subscription_id,
            case plan_tier {" ".join(f"when '{theirs}' then '{ours}'" for theirs, ours in _TIERS.items())} end
                as plan_tier,
            billing_frequency as billing_period, is_trial, seats, mrr_amount as mrr_eur, term_start, term_end,
            case when n = 0 then {_END_OF.format(day="term_start")}
                else {_END_OF.format(day="term_start")} - interval 1 day end as known_at
        from terms where n = 0 or term_start < stop_day
        order by term_id
        """,
    ),
    (
        churn.USAGE_EVENTS,
        f"""
        select subscription_id as account_id, usage_date as used_on, count(*) as logins,
            sum(usage_duration_secs) / 60 as duration_min,
            string_agg(distinct feature_name, '|' order by feature_name) as features_used,
            {_END_OF.format(day="usage_date")} as known_at
        from ravenstack_feature_usage group by all order by account_id, used_on
        """,
    ),
    (churn.INVOICES, no_rows(churn.INVOICES)),
    (
        churn.SUPPORT_TICKETS,
        """
        with tickets as (
            select ticket_id || '/' || subscription_id as ticket_id, subscription_id as account_id,
                cast(submitted_at as timestamp) as opened_at, 'other' as kind,
                case priority when 'medium' then 'normal' else priority end as priority,
                closed_at, satisfaction_score as csat
            from ravenstack_support_tickets t join ravenstack_subscriptions s on s.account_id = t.account_id
            and submitted_at between start_date and coalesce(end_date, submitted_at)
        )
        select ticket_id, account_id, opened_at, kind, priority, 'open' as status,
            null::timestamp as closed_at, null::bigint as csat, opened_at as known_at
        from tickets where closed_at is null or closed_at > opened_at
        union all
        select ticket_id, account_id, opened_at, kind, priority, 'closed', closed_at, csat, closed_at
        from tickets where closed_at is not null
        order by ticket_id, known_at
        """,
    ),
)  # fmt: skip


def _cross_checks(con: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Compare the churn events with the subscriptions; neither is changed by the other."""
    events, near, running = con.execute(
        "select count(*),"
        " count(*) filter (where exists (select 1 from ravenstack_subscriptions s where"
        "  s.account_id = e.account_id and not s.is_trial and abs(s.end_date - e.churn_date) <= 31)),"
        " count(*) filter (where exists (select 1 from ravenstack_subscriptions s where"
        "  s.account_id = e.account_id and not s.is_trial and s.start_date <= e.churn_date"
        "  and coalesce(s.end_date > e.churn_date + 31, true)))"
        " from ravenstack_churn_events e"
    ).fetchall()[0]
    return (
        f"{near} of {events} churn events have a paid subscription of the account that ended within 31 days",
        f"{running} of {events} churn events leave another paid subscription of the account running",
    )


ADAPTER = Adapter(LAYOUTS, adapt)
