"""Invoices of the paid terms, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipelines.lab.simulation.churn.engagement import State
from pipelines.lab.simulation.churn.population import Population
from pipelines.lab.simulation.churn.simulate import Trajectory
from pipelines.lab.simulation.days import DAY_US, Ints
from pipelines.lab.simulation.identifiers import identifiers
from pipelines.usecases.churn.layouts import INVOICE_STATUSES

_HOUR = 3_600_000_000
_CODE = {status: code for code, status in enumerate(INVOICE_STATUSES)}
_DUE_DAYS = 14


def invoices_table(
    rng: np.random.Generator, people: Population, life: Trajectory, ids: pa.Array, *, start: int
) -> pa.Table:
    """Rows of the layout ``invoices``: a version per status that an invoice goes through.

    A company short of cash misses debits; one that is unhappy disputes more and pays later.
    """
    terms = life.terms
    billed = np.flatnonzero(~terms["trial"].astype(bool) & (terms["start"].astype(np.int64) >= start - 20))
    billed = billed[np.lexsort((terms["start"][billed], terms["who"][billed]))]
    who = terms["who"][billed].astype(np.int64)
    booked = terms["known"][billed].astype(np.int64) // DAY_US
    issued = np.maximum(terms["start"][billed].astype(np.int64), booked)
    keep = issued >= start
    billed, who, issued = billed[keep], who[keep], issued[keep]
    amount = terms["mrr"][billed].astype(float) * np.where(terms["annual"][billed].astype(bool), 12, 1)
    n, due = len(who), issued + _DUE_DAYS

    # The company's situation when it has to pay.
    week = np.minimum((issued + 7 - life.begin) // 7, life.weeks - 1)
    cash, state = life.cash[week, who], life.state[week, who]
    unhappy = np.isin(state, (State.DRIFTING, State.LEAVING))
    closed = state == State.CLOSED

    draw = rng.random(n)
    fails = rng.random(n) < np.where(cash | closed, 0.55, 0.012)
    disputed = ~fails & (draw < np.where(unhappy, 0.018, 0.003))
    refunded = ~fails & ~disputed & (draw > 1 - np.where(unhappy, 0.006, 0.001))
    lost = (fails & (rng.random(n) < np.where(closed, 0.9, 0.25))) | (disputed & (rng.random(n) < 0.3))
    usual = people.payer[who] * rng.gamma(9.0, 1 / 9.0, n) + np.where(cash, 9.0, 0.0) + 2.0 * unhappy
    pays = issued + np.maximum(1, usual).astype(np.int64)
    recovery = rng.integers(3, 22, n)
    trouble = np.where(fails, due, issued + rng.integers(2, 12, n))
    paid = np.where(fails | disputed, trouble + recovery, pays)

    versions: list[tuple[Ints, Ints, str, bool]] = [(np.arange(n), issued, "issued", False)]
    for mask, day, status, has_paid in (
        (fails, trouble, "failed", False),
        (disputed, trouble, "disputed", False),
        (lost, trouble + 45 + recovery, "written_off", False),
        (~lost, paid, "paid", True),
        (refunded, paid + 5 + recovery, "refunded", True),
    ):
        row = np.flatnonzero(mask)
        versions.append((row, day[row], status, has_paid))
    row = np.concatenate([v[0] for v in versions])
    day = np.concatenate([v[1] for v in versions])
    sizes = [len(v[0]) for v in versions]
    code = np.repeat([_CODE[v[2]] for v in versions], sizes)
    with_payment = np.repeat([v[3] for v in versions], sizes)
    known = day * DAY_US + np.where(code == 0, 21, 22) * _HOUR + rng.integers(0, 3000, len(row)) * 1_000_000
    order = np.lexsort((known, row))
    row, code, with_payment, known = row[order], code[order], with_payment[order], known[order]

    first = np.searchsorted(who, np.arange(len(people)))
    name = identifiers("I", people.number[who] * 1000 + np.arange(n) - first[who], 12)
    return pa.table(
        {
            "invoice_id": name.take(pa.array(row)),
            "account_id": ids.take(pa.array(who[row])),
            "issued_on": pa.array(issued[row].astype("datetime64[D]")),
            "due_on": pa.array(due[row].astype("datetime64[D]")),
            "amount_eur": pa.array(np.round(amount[row], 2)),
            "status": pa.array(INVOICE_STATUSES).take(pa.array(code)),
            "paid_on": pa.array(paid[row].astype("datetime64[D]"), mask=~with_payment),
            "known_at": pa.array(known.astype("datetime64[us]")),
        }
    )
