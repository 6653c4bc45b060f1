"""Raw layouts of the churn use case: what a B2B SaaS company's systems deliver.

Two times run through every table. The *business* time of a row (``term_start``, ``used_on``,
``issued_on``, ``opened_at``) says when something happened; ``known_at`` says when the source
system had recorded it. A feature at ``as_of`` uses rows with ``known_at < as_of`` only.
"""

from __future__ import annotations

from features.schemas import KNOWN_AT, Table, day, flag, integer, number, text, timestamp
from pipelines.sources.layout import History, RawLayout, RowRule

PLAN_TIERS = ("starter", "growth", "business")
BILLING_PERIODS = ("monthly", "annual")
INVOICE_STATUSES = ("issued", "paid", "failed", "disputed", "refunded", "written_off")
TICKET_STATUSES = ("open", "closed")
TICKET_KINDS = ("bug", "outage", "billing", "how_to", "feature_request", "other")
TICKET_PRIORITIES = ("low", "normal", "high", "urgent")

ACCOUNT_ID = text("account_id", "Natural id of the account in the source systems and the CRM.", personal=True)

ACCOUNTS = RawLayout(
    Table(
        name="accounts",
        description="Company profile as known from `known_at` on. One row per account and version.",
        columns=(
            ACCOUNT_ID,
            text("account_name", "Trading name.", personal=True),
            text("sector", "Industry of the company; null if not stated.", nullable=True),
            text("country", "ISO 3166-1 alpha-2 code; null if not stated.", nullable=True),
            integer(
                "employees", "Staff of the company; null if unknown.", unit="people", nullable=True, minimum=1
            ),
            day("founded_on", "Founding date of the company; null if unknown.", nullable=True),
            day("signed_up_on", "First contact with the product (start of the trial, if any)."),
            KNOWN_AT,
        ),
        key=("account_id", "known_at"),
    ),
    history=History.VERSIONED,
    subject="account_id",
    keeps_subject=True,
    rules=(
        RowRule("founded_on", "not be after signed_up_on", "founded_on <= signed_up_on"),
        RowRule("known_at", "not be before signed_up_on", "known_at >= signed_up_on"),
    ),
)

SUBSCRIPTIONS = RawLayout(
    Table(
        name="subscriptions",
        description=(
            "Contract terms. A renewal is a further term; a term that is not renewed has no successor. "
            "One row per term."
        ),
        columns=(
            text("term_id", "Key of the term."),
            ACCOUNT_ID,
            text(
                "subscription_id",
                "Contract the term belongs to; constant over renewals, new after a reactivation.",
            ),
            text("plan_tier", "Plan during the term.", allowed=PLAN_TIERS),
            text("billing_period", "Length of the commitment.", allowed=BILLING_PERIODS),
            flag("is_trial", "Whether the term is an unpaid trial."),
            integer("seats", "Licensed users.", unit="users", minimum=1),
            number("mrr_eur", "Recurring revenue per month; 0 for trials.", unit="EUR/month", minimum=0),
            day("term_start", "First day of the term."),
            day("term_end", "First day *after* the term: the day by which it must be renewed."),
            KNOWN_AT,
        ),
        key=("term_id",),
    ),
    history=History.IMMUTABLE,
    subject="account_id",
    references=(("account_id", "accounts", "account_id"),),
    rules=(
        # Not "known_at >= term_start": a renewal is booked before the term that it starts.
        RowRule("term_end", "be after term_start", "term_end > term_start"),
        RowRule("mrr_eur", "be 0 for a trial", "mrr_eur = 0 or not is_trial"),
    ),
)

USAGE_EVENTS = RawLayout(
    Table(
        name="usage_events",
        description="Use of the product by all users of an account. One row per account and active day.",
        columns=(
            ACCOUNT_ID,
            day("used_on", "Day of use (UTC)."),
            integer("logins", "Sessions opened that day.", unit="sessions", minimum=1),
            number("duration_min", "Time in the product that day.", unit="minutes", minimum=0),
            text(
                "features_used",
                "Names of the product features touched that day, sorted, joined by `|`; empty if none.",
            ),
            KNOWN_AT,
        ),
        key=("account_id", "used_on"),
    ),
    history=History.IMMUTABLE,
    subject="account_id",
    month_of="used_on",
    references=(("account_id", "accounts", "account_id"),),
    rules=(RowRule("known_at", "not be before used_on", "known_at >= used_on"),),
    lists=("features_used",),
)

INVOICES = RawLayout(
    Table(
        name="invoices",
        description="Invoices as known from `known_at` on. One row per invoice and status version.",
        columns=(
            text("invoice_id", "Key of the invoice."),
            ACCOUNT_ID,
            day("issued_on", "Date of the invoice."),
            day("due_on", "Last day to pay in time."),
            number("amount_eur", "Amount due, tax excluded.", unit="EUR", minimum=0),
            text(
                "status",
                "State of the invoice: a failed debit is `failed`, a contested one `disputed`.",
                allowed=INVOICE_STATUSES,
            ),
            day("paid_on", "Day of payment; null unless `status` is `paid` or `refunded`.", nullable=True),
            KNOWN_AT,
        ),
        key=("invoice_id", "known_at"),
    ),
    history=History.VERSIONED,
    subject="account_id",
    references=(("account_id", "accounts", "account_id"),),
    rules=(
        RowRule("due_on", "not be before issued_on", "due_on >= issued_on"),
        RowRule("known_at", "not be before issued_on", "known_at >= issued_on"),
        RowRule("known_at", "not be before paid_on", "known_at >= paid_on"),
        RowRule("paid_on", "be given when status is paid", "paid_on is not null or status <> 'paid'"),
        RowRule(
            "paid_on",
            "be null unless status is paid or refunded",
            "paid_on is null or status in ('paid', 'refunded')",
        ),
    ),
)

SUPPORT_TICKETS = RawLayout(
    Table(
        name="support_tickets",
        description="Support tickets as known from `known_at` on. One row per ticket and version.",
        columns=(
            text("ticket_id", "Key of the ticket."),
            ACCOUNT_ID,
            timestamp("opened_at", "When the customer opened it (UTC)."),
            text("kind", "What it is about.", allowed=TICKET_KINDS),
            text("priority", "Urgency set at opening.", allowed=TICKET_PRIORITIES),
            text("status", "Whether it is still open.", allowed=TICKET_STATUSES),
            timestamp("closed_at", "When it was closed (UTC); null while open.", nullable=True),
            integer(
                "csat",
                "Satisfaction given after closing, 1 (bad) to 5 (good); null if not answered.",
                unit="points",
                nullable=True,
                minimum=1,
                maximum=5,
            ),
            KNOWN_AT,
        ),
        key=("ticket_id", "known_at"),
    ),
    history=History.VERSIONED,
    subject="account_id",
    references=(("account_id", "accounts", "account_id"),),
    rules=(
        RowRule("closed_at", "not be before opened_at", "closed_at >= opened_at"),
        RowRule("closed_at", "be given when status is closed", "closed_at is not null or status <> 'closed'"),
        RowRule("closed_at", "be null while status is open", "closed_at is null or status <> 'open'"),
        RowRule("csat", "be null while status is open", "csat is null or status <> 'open'"),
        RowRule("known_at", "not be before opened_at", "known_at >= opened_at"),
        RowRule("known_at", "not be before closed_at", "known_at >= closed_at"),
    ),
)

#: In landing order: referenced tables first.
LAYOUTS: tuple[RawLayout, ...] = (ACCOUNTS, SUBSCRIPTIONS, USAGE_EVENTS, INVOICES, SUPPORT_TICKETS)

#: Product features, of which the first six are the key features of the activation score.
PRODUCT_FEATURES = (
    "dashboards", "reports", "integrations", "automation", "collaboration", "api",
    "exports", "alerts", "templates", "mobile", "forecasting", "audit_log",
)  # fmt: skip
