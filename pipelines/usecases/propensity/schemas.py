"""Tables that the propensity steps produce in Python (features and labels are declared in dbt)."""

from __future__ import annotations

from dataclasses import replace

from features.schemas import AS_OF, MODEL_VERSION, Column, Table, integer, number, text

CUSTOMER_KEY = text("customer_key", "Pseudonym of the customer.")
PRODUCT = text("product", "Name of the product.")
CHANCE = number(
    "chance", "Calibrated chance that it is taken within the horizon.", unit="share", minimum=0, maximum=1
)


def _offer(place: int) -> tuple[Column, ...]:
    """Columns of one of the three offers; null where the customer holds too much already."""
    chance = replace(CHANCE, name=f"chance_{place}", nullable=True)
    return (
        text(f"product_{place}", f"Recommended product no. {place}.", nullable=True),
        chance,
        replace(chance, name=f"score_{place}", description="Share of the votes of similar customers."),
        text(f"reason_{place}", "Why it is recommended, in words.", nullable=True),
    )


OFFERS = Table(
    name="predictions/propensity_offers",
    description="Three recommended products for each customer. One row per customer in scope and `as_of`.",
    columns=(AS_OF, CUSTOMER_KEY, *_offer(1), *_offer(2), *_offer(3), MODEL_VERSION),
    key=("as_of", "customer_key"),
    partition_by=("as_of",),
)

CHANCES = Table(
    name="predictions/propensity_chances",
    description=(
        "Chance of each product for those who do not hold it, from which campaigns are drawn. "
        "One row per customer in scope, product not held and `as_of`."
    ),
    columns=(AS_OF, CUSTOMER_KEY, PRODUCT, CHANCE),
    key=("as_of", "customer_key", "product"),
    partition_by=("as_of",),
)

NOT_HELD = "of the judged customers who did not hold it"

PRODUCTS = Table(
    name="predictions/propensity_products",
    description="What a training found of each product, out of time. One row per training `as_of` and product.",
    columns=(
        AS_OF,
        PRODUCT,
        integer("events", f"Takers {NOT_HELD}.", unit="customers", minimum=0),
        number("rate", f"Share {NOT_HELD} who took it.", nullable=True),
        *(
            number(f"{name}{end}", f"{words}{of}; null if nobody took it.", nullable=True)
            for name, words in (
                ("ap", "Average precision"),
                ("calibration", "Takers over the sum of the chances"),
                ("gain", "Average precision less the champion's"),
            )
            for end, of in (("", ""), ("_low", ", lower end"), ("_high", ", upper end"))
        ),
    ),
    key=("as_of", "product"),
    partition_by=("as_of",),
)

RULES = Table(
    name="predictions/propensity_rules",
    description="Rules that marketing can read. One row per training `as_of`, product and place.",
    columns=(
        AS_OF,
        PRODUCT,
        integer("place", "1 = strongest.", minimum=1),
        text("rule", "The rule in words."),
        number("support", "Share of those without the product who meet it.", minimum=0, maximum=1),
        number("lift", "How many times as likely they take it.", minimum=0),
        integer("events", "Takers among them.", minimum=0),
    ),
    key=("as_of", "product", "place"),
    partition_by=("as_of",),
)

LISTS = Table(
    name="predictions/propensity_lists",
    description="Judged lists. One row per training `as_of` and customer who was in scope on the judged day.",
    columns=(
        AS_OF,
        CUSTOMER_KEY,
        *(text(f"product_{place}", "Recommended then.", nullable=True) for place in (1, 2, 3)),
        *(
            number(f"ap_{name}", "Average precision of the list; null of who took nothing.", nullable=True)
            for name in ("challenger", "popularity")
        ),
    ),
    key=("as_of", "customer_key"),
    partition_by=("as_of",),
)
