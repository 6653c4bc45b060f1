"""What the simulator knows and nobody else: people, true chances, and what they took next."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.schemas import Column, DType, Table
from pipelines.lab.simulation.days import Floats
from pipelines.lab.simulation.propensity.bank import Flags, State, log_hazard, month
from pipelines.lab.simulation.propensity.people import SEGMENTS, People
from pipelines.lab.simulation.propensity.products import NAMES, NEEDS
from pipelines.lab.simulation.propensity.span import Month
from pipelines.lab.simulation.write import encoded

_CUSTOMER = Column("customer_id", DType.STRING, "Customer.", personal=True)
_PRODUCT = Column("product", DType.STRING, "Product.")

PEOPLE = Table(
    name="truth/people",
    description="What each person was drawn with. One row per person.",
    columns=(
        _CUSTOMER,
        Column("segment", DType.STRING, "Segment.", allowed=SEGMENTS),
        *(Column(f"need_{need}", DType.NUMBER, f"Need: {need}.") for need in NEEDS),
        Column("left_on", DType.DATE, "From this day on nothing is held."),
    ),
    key=("customer_id",),
)

CHANCES = Table(
    name="truth/chances",
    description=(
        "Chance at the end of the delivery to take a product within the horizon. One row per customer with holdings "
        "and product not held."
    ),
    columns=(
        _CUSTOMER,
        _PRODUCT,
        Column("chance", DType.NUMBER, "Mean over several futures.", minimum=0, maximum=1),
    ),
    key=("customer_id", "product"),
)

TAKEN = Table(
    name="truth/taken",
    description="What was taken within the horizon after the end. One row per customer and product.",
    columns=(_CUSTOMER, _PRODUCT, Column("taken_on", DType.DATE, "Day.")),
    key=("customer_id", "product"),
)

TABLES = (PEOPLE, CHANCES, TAKEN)

#: Futures over which chances are averaged. Within each, chances are summed and not drawn, so a few are enough.
_FUTURES = 4


def chances(rng: np.random.Generator, people: People, state: State, months: list[Month]) -> Floats:
    """Chance of each product within the months, shape (n, n_products), given the state at the start of the first.

    Parameters
    ----------
    months
        The months that the horizon touches, each with the part that lies in it.
    """
    missed = np.zeros((len(people), len(NAMES)), dtype=np.float32)
    for _ in range(_FUTURES):
        now = state
        total = np.zeros_like(missed)
        for each in months:
            total -= np.log1p(-np.exp(log_hazard(people, now, each.first))) * np.float32(each.part)
            now, _, _, _ = month(rng, people, now, each.first, each.days, each.number)
        missed += np.exp(-total)
    return np.asarray(1 - missed / _FUTURES, dtype=np.float64)


def people_table(customer_ids: pa.Array, people: People) -> pa.Table:
    """What the people of a block were drawn with."""
    columns = {
        "customer_id": customer_ids,
        "segment": encoded(pa.array(SEGMENTS), people.segment),
        **{f"need_{need}": people.needs[:, j].astype(np.float64).round(4) for j, need in enumerate(NEEDS)},
        "left_on": people.left.astype("datetime64[D]"),
    }
    return pa.table(columns)


def chances_table(customer_ids: pa.Array, chance: Floats, eligible: Flags) -> pa.Table:
    """Chances of a block where a customer could take a product."""
    row, column = np.nonzero(eligible)
    return pa.table(
        {
            "customer_id": encoded(customer_ids, row),
            "product": encoded(pa.array(NAMES), column),
            "chance": chance[row, column].round(6),
        }
    )


def taken_table(customer_ids: pa.Array, day: Floats) -> pa.Table:
    """Products of a block that were taken, by day; NaN where not."""
    row, column = np.nonzero(~np.isnan(day))
    return pa.table(
        {
            "customer_id": encoded(customer_ids, row),
            "product": encoded(pa.array(NAMES), column),
            "taken_on": day[row, column].astype(np.int64).astype("datetime64[D]"),
        }
    )
