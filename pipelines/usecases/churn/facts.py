"""The sentences of the churn features, in the order of the feature table."""

from __future__ import annotations

from pipelines.usecases.churn.wording import (
    Category,
    Change,
    Flag,
    Level,
    Template,
    Trend,
    earlier,
    without_change,
)

_YOUNG_4W = "signed up less than four weeks ago: no trend of use yet"
_YOUNG_8W = "signed up less than eight weeks ago: no trend of use over eight weeks yet"
_YOUNG_12W = "signed up less than twelve weeks ago: no trend of use over twelve weeks yet"

TEMPLATES: tuple[Template, ...] = (
    Category("plan_tier", "plan", "plan"),
    Category("billing_period", "plan", "billing"),
    Category("size_band", "company", "staff"),
    Category("sector", "company", "sector"),
    Category("country", "company", "country"),
    # The trends add 1 login (a week) or 4 (four weeks) to both terms: see the feature table.
    # Trends are divided by the day's median over all accounts, which takes out holidays and seasons.
    Change(
        "usage_trend_4w_vs_all", "trend of use", "weekly logins", "in four weeks", now="logins_7d",
        before=earlier("usage_trend_4w", "logins_7d", 1), missing=_YOUNG_4W, trend="usage_trend_4w",
    ),
    Trend(
        "minutes_trend_4w_vs_all", "trend of use", "time in the product", "over four weeks", _YOUNG_4W,
        trend="minutes_trend_4w",
    ),
    Change(
        "usage_trend_8w_vs_all", "trend of use", "logins in four weeks", "against the four weeks before",
        now="logins_28d", before=earlier("usage_trend_8w", "logins_28d", 4), missing=_YOUNG_8W,
        trend="usage_trend_8w",
    ),
    Change(
        "usage_trend_12w_vs_all", "trend of use", "logins in four weeks", "against eight weeks earlier",
        now="logins_28d", before=earlier("usage_trend_12w", "logins_28d", 4), missing=_YOUNG_12W,
        trend="usage_trend_12w",
    ),
    Level(
        "days_since_last_login", "last login", "last login {} days ago", one="last login yesterday",
        form="{} days", worse=1, ceiling=365, at_ceiling="no login in a year",
    ),
    Level(
        "logins_7d", "amount of use", "{} logins in the last 7 days", one="1 login in the last 7 days",
        zero="no login in the last 7 days", worse=-1,
    ),
    Level(
        "logins_28d", "amount of use", "{} logins in the last four weeks",
        one="1 login in the last four weeks", zero="no login in the last four weeks", worse=-1,
    ),
    Level(
        "logins_prev_28d", "amount of use", "{} logins in the four weeks before the last four",
        one="1 login in the four weeks before the last four",
        zero="no login in the four weeks before the last four", worse=-1,
    ),
    Level(
        "minutes_28d", "amount of use", "{} minutes in the product in the last four weeks",
        one="1 minute in the product in the last four weeks",
        zero="no time in the product in the last four weeks", form="{} min", worse=-1,
    ),
    Level(
        "minutes_prev_28d", "amount of use", "{} minutes in the product in the four weeks before the last four",
        one="1 minute in the product in the four weeks before the last four",
        zero="no time in the product in the four weeks before the last four", form="{} min", worse=-1,
    ),
    Level(
        "active_days_28d", "amount of use", "active on {} of the last 28 days",
        zero="active on none of the last 28 days", worse=-1,
    ),
    Level(
        "features_used_28d", "breadth of use", "{} product features used in four weeks",
        one="1 product feature used in four weeks", zero="no product feature used in four weeks", worse=-1,
    ),
    Level(
        "activation_score_28d", "breadth of use", "{} % of the key features used in four weeks",
        zero="none of the key features used in four weeks", form="{} %", scale=100, worse=-1,
    ),
    Level(
        "tickets_30d", "tickets", "{} support tickets in 30 days", one="1 support ticket in 30 days",
        zero="no support ticket in 30 days", worse=1,
    ),
    Level(
        "tickets_90d", "tickets", "{} support tickets in 90 days", one="1 support ticket in 90 days",
        zero="no support ticket in 90 days", worse=1,
    ),
    Level(
        "urgent_tickets_90d", "tickets", "{} urgent tickets in 90 days", one="1 urgent ticket in 90 days",
        zero="no urgent ticket in 90 days", worse=1,
    ),
    Level(
        "open_tickets", "tickets", "{} support tickets still open", one="1 support ticket still open",
        zero="no support ticket open", worse=1,
    ),
    Level(
        "csat_mean_90d", "satisfaction", "support rated {} of 5 on average in 90 days", digits=1, worse=-1,
        missing="no rating of support in 90 days",
    ),
    Level(
        "csat_answers_90d", "satisfaction", "{} ratings of support in 90 days",
        one="1 rating of support in 90 days", zero="no rating of support in 90 days",
    ),
    Level(
        "late_payments_180d", "payment", "{} invoices paid late or overdue in 180 days",
        one="1 invoice paid late or overdue in 180 days", zero="no invoice paid late or overdue in 180 days", worse=1,
    ),
    Level(
        "failed_payments_90d", "payment", "{} failed debits in 90 days", one="1 failed debit in 90 days",
        zero="no failed debit in 90 days", worse=1,
    ),
    Level(
        "disputes_180d", "payment", "{} disputed invoices in 180 days", one="1 disputed invoice in 180 days",
        zero="no disputed invoice in 180 days", worse=1,
    ),
    Level(
        "unpaid_eur", "payment", "{} EUR overdue and unpaid", zero="nothing overdue", form="{} EUR", worse=1,
    ),
    Level(
        "days_payment_delay_mean_180d", "payment", "invoices paid {} days late on average in 180 days",
        zero="invoices of the last 180 days paid in time", missing="no invoice paid in 180 days", form="{} days",
        digits=1, worse=1,
    ),
    Level(
        "tenure_days", "time as a customer", "customer for {} days", one="customer for 1 day",
        zero="customer since today", missing="no paid term has begun", form="{} days",
    ),
    Level(
        "days_to_renewal", "renewal", "the running term ends in {} days", one="the running term ends tomorrow",
        missing="no paid term is running", form="{} days",
    ),
    Flag(
        "term_ends_within_30d", "renewal", "the term ends within 30 days",
        "the term does not end within 30 days", "no paid term is running", worse=1,
    ),
    Flag(
        "renewal_booked", "renewal", "the renewal is booked", "the renewal is not booked yet",
        "no paid term is running", worse=-1,
    ),
    Flag("is_annual", "plan", "billed annually", "billed monthly", "no paid term is running"),
    Level(
        "seats", "contract size", "{} seats", one="1 seat", missing="no paid term is running",
    ),
    Change(
        "seats_change_365d", "contract size", "seats", "within a year",
        now="seats", before=without_change("seats", "seats_change_365d"), missing="no paid term is running",
    ),
    Level(
        "mrr_eur", "contract size", "{} EUR a month", zero="no monthly charge",
        missing="no paid term is running", form="{} EUR",
    ),
    Change(
        "mrr_change_365d", "contract size", "the monthly charge", "within a year", now="mrr_eur",
        before=without_change("mrr_eur", "mrr_change_365d"), unit=" EUR", missing="no paid term is running",
    ),
    Level(
        "tier_changes_365d", "plan", "{} changes of plan in a year", one="1 change of plan in a year",
        zero="no change of plan in a year",
    ),
    Level(
        "tier_downgrades_365d", "plan", "{} downgrades in a year", one="1 downgrade in a year",
        zero="no downgrade in a year", worse=1,
    ),
    Level(
        "reactivations", "time as a customer", "came back {} times after leaving",
        one="came back 1 time after leaving", zero="never left before",
    ),
    Level(
        "employees", "company", "{} employees", one="1 employee", missing="number of employees not known",
    ),
    Level(
        "company_age_years", "company", "company founded {} years ago", one="company founded 1 year ago",
        missing="age of the company not known", form="{} years",
    ),
)  # fmt: skip
