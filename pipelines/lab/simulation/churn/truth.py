"""The true risk: probability of churn within 30 days, given the latent state on a day.

The label is strict (the running term ends in ``(D, D + 30]`` and no renewal is booked by the end
of ``D + 30``), so the risk follows from the renewal decision alone. An account that decides to
leave after ``D`` keeps its notice period and stays beyond the horizon; what is left is the chain
of states up to the review (at most five weekly steps), the refusal given the state, the chance of
a late booking, and Bayes' rule for "not booked so far". Log hazard and season are held at their
values on ``D`` over those five weeks: the only approximation.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.schemas import Column, DType, Table
from pipelines.lab.simulation.churn.calendar import month_starts
from pipelines.lab.simulation.churn.contracts import (
    DELAY,
    LEAD_ANNUAL,
    LEAD_MONTHLY,
    refusal,
    review_lead,
)
from pipelines.lab.simulation.churn.engagement import State, transitions
from pipelines.lab.simulation.churn.population import Population
from pipelines.lab.simulation.churn.rates import RATES
from pipelines.lab.simulation.churn.simulate import Trajectory
from pipelines.lab.simulation.days import DAY_US, Floats, Ints

HORIZON_DAYS = 30
#: Share of the risk that a contact takes away from a persuadable account, by state.
_SAVED = np.array([0.35, 0.20, 0.50, 0.40, 0.0])

CHURN_RISK = Table(
    name="truth/churn_risk",
    description="What the simulator knows about accounts in scope. One row per `as_of` and account.",
    columns=(
        Column("account_id", DType.STRING, "Natural id of the account.", personal=True),
        Column("as_of", DType.DATE, "Day of the decision."),
        Column(
            "true_risk_30d",
            DType.NUMBER,
            "Probability of churn within 30 days given the latent state and the bookings known.",
            minimum=0,
            maximum=1,
        ),
        Column(
            "state",
            DType.STRING,
            "Relationship state on the eve of `as_of`.",
            allowed=tuple(state.name.lower() for state in State),
        ),
        Column("persuadable", DType.BOOLEAN, "Whether a contact can change the company's mind."),
        Column(
            "contact_effect",
            DType.NUMBER,
            "Change of `true_risk_30d` if the account is contacted on `as_of`; negative is good.",
            minimum=-1,
            maximum=0,
        ),
    ),
    key=("account_id", "as_of"),
)


def truth_days(start: int, end: int) -> list[int]:
    """All month starts, and every Monday of the last 14 months, up to and including ``end``."""
    recent = end - 427
    mondays = [day for day in range(max(start, recent), end + 1) if (day + 3) % 7 == 0]
    # The first weeks have no usage behind them.
    return sorted({*month_starts(start + 28, end), *(day for day in mondays if day >= start + 28)})


def true_risk(life: Trajectory, people: Population, ids: pa.Array, day: int) -> pa.Table:
    """Rows of :data:`CHURN_RISK` for one day: every account in scope on it."""
    terms = life.terms
    begin_of, end_of = terms["start"].astype(np.int64), terms["end"].astype(np.int64)
    known = terms["known"].astype(np.int64)
    seen = known < day * DAY_US
    running = np.flatnonzero((begin_of <= day) & (end_of > day) & ~terms["trial"].astype(bool) & seen)
    running = running[np.argsort(terms["who"][running])]
    who = terms["who"][running].astype(np.int64)
    annual, end = terms["annual"][running].astype(bool), end_of[running]
    now = (day - 1 - life.begin) // 7
    state = life.state[now, who]

    ahead = seen & (begin_of > day)
    booked = np.zeros(len(people), dtype=bool)
    booked[terms["who"][ahead].astype(np.int64)] = True

    risk = np.zeros(len(who))
    due = np.flatnonzero((end - day <= HORIZON_DAYS) & ~booked[who])
    risk[due] = _risk(life, who[due], annual[due], end[due], day)
    persuadable = people.persuadable[who]
    # `+ 0.0` turns the negative zeros of unpersuadable accounts into zeros.
    effect = -risk * np.where(persuadable, _SAVED[state], 0.0) + 0.0
    names = pa.array(CHURN_RISK.column("state").allowed)
    columns = {
        "account_id": ids.take(pa.array(who)),
        "as_of": pa.array(np.full(len(who), day).astype("datetime64[D]")),
        "true_risk_30d": pa.array(risk),
        "state": names.take(pa.array(state)),
        "persuadable": pa.array(persuadable),
        "contact_effect": pa.array(effect),
    }
    return pa.table(columns, schema=CHURN_RISK.arrow_schema)


def _risk(life: Trajectory, who: Ints, annual: NDArray[np.bool_], end: Ints, day: int) -> Floats:
    review_week = (end - review_lead(annual) - life.begin) // 7
    now = np.minimum((day - 1 - life.begin) // 7, review_week)
    steps = review_week - now
    state, x = life.state[now, who], life.x[now, who].astype(float)
    kept = end - (life.begin + 7 * life.since_week[now, who].astype(np.int64)) >= RATES.notice_days
    refuse = _expected_refusal(state, x, annual, kept, end, steps)

    total = RATES.cash_enter + RATES.cash_leave
    settled = RATES.cash_enter / total
    p_cash = settled + (life.cash[now, who] - settled) * (1 - total) ** steps

    left = end - day
    in_time = np.where(annual, *(_at(np.cumsum(p), left) for p in (LEAD_ANNUAL, LEAD_MONTHLY)))
    too_late = 1.0 - _at(np.cumsum(DELAY), day + HORIZON_DAYS - end)
    churn, open_so_far = np.zeros(len(who)), np.zeros(len(who))
    for cash, weight in ((False, 1 - p_cash), (True, p_cash)):
        gone = 1 - (1 - refuse) * (1 - RATES.refuse_cash * cash)
        late = RATES.late + RATES.late_cash * cash
        churn += weight * (gone + (1 - gone) * late * too_late)
        open_so_far += weight * (gone + (1 - gone) * (late + (1 - late) * in_time))
    risk: Floats = churn / open_so_far
    return risk


def _expected_refusal(
    state: NDArray[np.int8],
    x: Floats,
    annual: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    end: Ints,
    steps: Ints,
) -> Floats:
    """Probability to refuse at the review, averaged over the states reachable in ``steps`` weeks."""
    # A sixth state holds the leavers whose notice is kept: they can only be rescued.
    leaver = len(State)
    p = np.zeros((leaver + 1, len(state)))
    p[np.where((state == State.LEAVING) & kept, leaver, state), np.arange(len(state))] = 1.0
    moves = transitions(x)
    for step in range(int(steps.max(initial=0))):
        q = p.copy()
        for (source, target), probability in moves.items():
            for origin in (source, leaver) if source == State.LEAVING else (source,):
                flow = p[origin] * probability
                q[origin] -= flow
                q[target] += flow
        closed = RATES.closure * (q.sum(axis=0) - q[State.CLOSED])
        q *= 1 - RATES.closure * (np.arange(leaver + 1) != State.CLOSED)[:, None]
        q[State.CLOSED] += closed
        p = np.where(step < steps, q, p)
    no, yes = np.zeros(len(state), dtype=bool), np.ones(len(state), dtype=bool)
    total: Floats = p[leaver] * refusal(np.full(len(state), State.LEAVING, dtype=np.int8), annual, yes, end)
    for value in State:
        total += p[value] * refusal(np.full(len(state), value, dtype=np.int8), annual, no, end)
    return total


def _at(cumulative: Floats, index: Ints) -> Floats:
    values: Floats = cumulative[np.clip(index, 0, len(cumulative) - 1)]
    return values
