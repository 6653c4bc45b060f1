"""Raw layouts of the propensity use case: what a bank's systems deliver.

The *business* time of a row (``month_end``, ``contacted_on``) says when something was so; ``known_at`` says when the
source system had recorded it. A feature at ``as_of`` uses rows with ``known_at < as_of`` only.

A product is known by its name; there is no table of them, so a bank may offer what it likes.
"""

from __future__ import annotations

from features.schemas import KNOWN_AT, Table, day, flag, integer, number, text
from pipelines.sources.layout import History, RawLayout, RowRule

#: Column of the pseudonym, in raw tables as in features.
CUSTOMER_KEY = "customer_key"

EMPLOYMENTS = ("student", "employed", "self_employed", "retired", "not_employed")
RESPONSES = ("none", "interested", "declined")

CUSTOMER_ID = text("customer_id", "Id of the customer in the bank and the CRM.", personal=True)

CUSTOMERS = RawLayout(
    Table(
        name="customers",
        description="Customer as known from `known_at` on. One row per customer and version.",
        columns=(
            CUSTOMER_ID,
            integer(
                "birth_year", "Year of birth; null if unknown.", nullable=True, minimum=1900, personal=True
            ),
            day("joined_on", "Day on which the customer came to the bank."),
            text("region", "Region of residence; null if unknown.", nullable=True),
            text(
                "employment",
                "How the customer earns a living; null if unknown.",
                nullable=True,
                allowed=EMPLOYMENTS,
            ),
            number(
                "income_eur",
                "Net income per month; null if unknown.",
                unit="EUR/month",
                nullable=True,
                minimum=0,
            ),
            integer(
                "household_size",
                "People in the household; null if unknown.",
                unit="people",
                nullable=True,
                minimum=1,
            ),
            flag("consents_to_marketing", "Whether the customer may be sent offers."),
            KNOWN_AT,
        ),
        key=("customer_id", "known_at"),
    ),
    history=History.VERSIONED,
    subject="customer_id",
    subject_key=CUSTOMER_KEY,
    keeps_subject=True,
    rules=(RowRule("known_at", "not be before joined_on", "known_at >= joined_on"),),
)

HOLDINGS = RawLayout(
    Table(
        name="holdings",
        description="What was held at the end of a month. One row per customer, month and product.",
        columns=(
            CUSTOMER_ID,
            day("month_end", "Last day of the month."),
            text("product", "Name of the product; it holds no `|`."),
            day("opened_on", "Day on which the customer took it."),
            number(
                "balance_eur",
                "Balance at the end of the month: negative if the customer owes it; null for products without.",
                unit="EUR",
                nullable=True,
            ),
            KNOWN_AT,
        ),
        key=("customer_id", "month_end", "product"),
    ),
    history=History.IMMUTABLE,
    subject="customer_id",
    subject_key=CUSTOMER_KEY,
    month_of="month_end",
    references=(("customer_id", "customers", "customer_id"),),
    rules=(
        RowRule("month_end", "be the last day of a month", "month_end = last_day(month_end)"),
        RowRule("opened_on", "not be after month_end", "opened_on <= month_end"),
        RowRule("product", "hold no |", "not contains(product, '|')"),
        RowRule("known_at", "be after month_end", "known_at >= month_end + 1"),
    ),
)

CAMPAIGNS = RawLayout(
    Table(
        name="campaigns",
        description="Offers made to customers; an answer is a further version. One row per contact and version.",
        columns=(
            text("contact_id", "Key of the contact."),
            CUSTOMER_ID,
            text("campaign", "Name of the campaign."),
            text("product", "Name of the product that was offered."),
            text("channel", "Channel of the contact; null if unknown.", nullable=True),
            day("contacted_on", "Day of the contact."),
            text("response", "Answer in this version.", allowed=RESPONSES),
            KNOWN_AT,
        ),
        key=("contact_id", "known_at"),
    ),
    history=History.VERSIONED,
    subject="customer_id",
    subject_key=CUSTOMER_KEY,
    month_of="contacted_on",
    references=(("customer_id", "customers", "customer_id"),),
    rules=(
        RowRule("product", "hold no |", "not contains(product, '|')"),
        RowRule("known_at", "not be before contacted_on", "known_at >= contacted_on"),
    ),
)

#: In landing order: referenced tables first.
LAYOUTS: tuple[RawLayout, ...] = (CUSTOMERS, HOLDINGS, CAMPAIGNS)
