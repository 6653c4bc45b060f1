"""Tables that the repurchase steps produce in Python (features and labels are declared in dbt)."""

from __future__ import annotations

from features.schemas import AS_OF, MODEL_VERSION, Column, Reference, Table, day, integer, number, text

CUSTOMER_KEY = text("customer_key", "Pseudonym of the customer.")
PRODUCT_ID = text("product_id", "Product, as in the shop's own tables.")
CANDIDATE = text("candidate", "What predicted: `challenger`, `champion`, or the name of a simpler rule.")
SNAPSHOT = day("snapshot", "Past day that the row would have been scored on.")


def _share(name: str, description: str, *, nullable: bool = False) -> Column:
    return number(name, description, unit="share", minimum=0, maximum=1, nullable=nullable)


def _days(name: str, description: str, *, nullable: bool = False) -> Column:
    return number(name, description, unit="days", minimum=0, nullable=nullable)


NEXT_ORDERS = Table(
    name="predictions/repurchase_next_order",
    description=(
        "When each customer comes back, and how many products the predicted list has. "
        "One row per customer in scope and `as_of`."
    ),
    columns=(
        AS_OF,
        CUSTOMER_KEY,
        _share("return_probability", "Probability of an order within the horizon from `as_of` on."),
        day(
            "expected_on",
            "Day on which the customer is expected if at all within the horizon: before it as likely as after.",
        ),
        day("window_from", "First day of the window that holds 80 % of such returns."),
        day("window_to", "Last day of that window."),
        _days("expected_days", "Days from `as_of` to `expected_on`."),
        integer("orders", "Orders so far.", unit="orders", minimum=1),
        integer("days_since_last", "Days since the last order.", unit="days", minimum=0),
        _days(
            "gap_median_days",
            "Median days between the customer's orders; null after one order.",
            nullable=True,
        ),
        integer("candidates", "Products bought before.", unit="products", minimum=0),
        integer(
            "products",
            "Products on the list; 0 where nothing again is the best guess.",
            unit="products",
            minimum=0,
        ),
        _share("expected_f1", "Expected F1 of the list; null without candidates.", nullable=True),
        _share(
            "nothing_probability",
            "Probability that the next order repeats no product; null without candidates.",
            nullable=True,
        ),
        text("top_products", "JSON list of the ids of the (up to five) likeliest products, listed or not."),
        MODEL_VERSION,
    ),
    key=("as_of", "customer_key"),
    partition_by=("as_of",),
    references=(Reference(("as_of", "customer_key"), "features/repurchase_customers", where="in_scope"),),
    steady=("return_probability", "expected_days"),
)

BASKETS = Table(
    name="predictions/repurchase_baskets",
    description=(
        "The predicted list for the predicted date. One row per listed product, customer and `as_of`; customers "
        "of whom nothing again is expected have none."
    ),
    columns=(
        AS_OF,
        CUSTOMER_KEY,
        PRODUCT_ID,
        integer("rank", "1 = likeliest product of the customer; ties by id.", minimum=1),
        _share("probability", "Calibrated probability that the next order has the product."),
    ),
    key=("as_of", "customer_key", "product_id"),
    partition_by=("as_of",),
    references=(Reference(("as_of", "customer_key", "product_id"), "features/repurchase_candidates"),),
    steady=("probability",),
)

TIMING_VALIDATION = Table(
    name="predictions/repurchase_timing_validation",
    description=(
        "Predicted and true days to the next order, out of time, from which the gate and the report judge. "
        "One row per training `as_of`, candidate, snapshot and customer."
    ),
    columns=(
        AS_OF,
        CANDIDATE,
        SNAPSHOT,
        CUSTOMER_KEY,
        integer(
            "days_to_next",
            "Days from `snapshot` to the next order; null if not within `judged_days`.",
            unit="days",
            minimum=0,
            nullable=True,
        ),
        integer(
            "judged_days",
            "The horizon, or the days after `snapshot` that are known if fewer.",
            unit="days",
            minimum=1,
        ),
        _days("expected_days", "Predicted days, given a return within `judged_days`."),
        _days("low_days", "Lower end of the 80 % window; null if the candidate has none.", nullable=True),
        _days("high_days", "Upper end of the 80 % window.", nullable=True),
        _share(
            "return_probability",
            "Probability of an order within `observed_days`; null if none.",
            nullable=True,
        ),
    ),
    key=("as_of", "candidate", "snapshot", "customer_key"),
    partition_by=("as_of",),
)

BASKET_VALIDATION = Table(
    name="predictions/repurchase_basket_validation",
    description=(
        "Predicted lists against the orders that followed, out of time. One row per training `as_of`, candidate, "
        "snapshot and customer who came back."
    ),
    columns=(
        AS_OF,
        CANDIDATE,
        SNAPSHOT,
        CUSTOMER_KEY,
        integer("named", "Products on the list.", unit="products", minimum=0),
        integer("hits", "Of these, products of the next order.", unit="products", minimum=0),
        integer(
            "repeated",
            "Products of the next order that had been bought before, candidates or not.",
            unit="products",
            minimum=0,
        ),
        integer("bought", "All products of the next order.", unit="products", minimum=1),
        _share("f1", "F1 of the list against the repeated products; 1 if both are empty."),
        _share("expected_f1", "What was expected of it; null for simpler rules.", nullable=True),
        _share("nothing_probability", "Probability of no repeat; null for simpler rules.", nullable=True),
    ),
    key=("as_of", "candidate", "snapshot", "customer_key"),
    partition_by=("as_of",),
)

CURVES = Table(
    name="predictions/repurchase_curves",
    description=(
        "Reliability and gains of the probabilities, out of time. One row per training `as_of`, candidate, kind "
        "(`product`: bought next; `product_out_of_time`: the same before the calibration on the judged snapshot; "
        "`return`: back within the horizon) and bin of equally many rows, likeliest first."
    ),
    columns=(
        AS_OF,
        CANDIDATE,
        text("kind", "What the probability is of.", allowed=("product", "product_out_of_time", "return")),
        integer("bin", "1 = likeliest.", minimum=1),
        integer("rows", "Rows of the bin.", minimum=1),
        _share("predicted", "Mean probability."),
        _share("observed", "Share of rows that came true."),
    ),
    key=("as_of", "candidate", "kind", "bin"),
    partition_by=("as_of",),
)

REALISED = Table(
    name="ops/repurchase_realised",
    description=(
        "What became of past predictions: sums over the customers of a score day whose horizon is over. "
        "One row per day of the predictions and size group of the list."
    ),
    columns=(
        AS_OF,
        text("group", "`all`, or the size of the list: `0`, `1-5`, `6-15`, `16+`."),
        integer("customers", "Customers scored.", minimum=0),
        integer("returned", "Of these, came back within the horizon.", minimum=0),
        number("expected_returns", "Sum of their return probabilities.", minimum=0),
        integer("in_window", "Returns inside their window.", minimum=0),
        number("absolute_error_days", "Sum of absolute errors of returns.", minimum=0),
        number("baseline_error_days", "The same of the customer's median gap.", minimum=0),
        integer("judged_lists", "Returns whose order's products are known.", minimum=0),
        integer("named", "Products listed for them.", minimum=0),
        integer("hits", "Listed products that they bought.", minimum=0),
        integer("repeated", "Products that they bought again.", minimum=0),
        number("f1_sum", "Sum of the F1 of their lists.", minimum=0),
        number("expected_f1_sum", "Sum of what was expected of them.", minimum=0),
        MODEL_VERSION,
    ),
    key=("as_of", "group"),
    partition_by=("as_of",),
)

#: Candidates as people call them; the models first, then simpler rules.
LABELS = {
    "challenger": "challenger",
    "champion": "champion",
    "median_gap": "customer's median gap",
    "bgnbd": "BG/NBD",
    "last_order": "last order again",
    "most_frequent": "most frequent products",
}


def label(candidate: str) -> str:
    """Name of a candidate for people."""
    return LABELS.get(candidate, candidate.replace("_", " "))
