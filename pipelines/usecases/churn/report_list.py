"""Report, first part: the list that customer success works from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pa_dataset

from pipelines.io.lake import Lake
from pipelines.reporting.site import Missing
from pipelines.reporting.tables import Grid, GridColumn
from pipelines.usecases.churn.schemas import RISK_LEVELS, SCORES

ACCOUNTS = "raw/churn_accounts"

GRID = Grid(
    name="churn-list",
    caption="Accounts in scope, highest score first. A score of 30 % means: of 100 such accounts, 30 leave.",
    columns=(
        GridColumn("Account", "two_lines", ("account_name", "account_line"), "17%"),
        GridColumn("Risk", "level", ("score", "risk_level"), "12%", "Risk"),
        GridColumn("Why", "list", ("reason_1", "reason_2", "reason_3"), "35%"),
        GridColumn("What to do", "text", ("action",), "18%"),
        GridColumn("Revenue a month", "euros", ("mrr_eur",), "10%", "Revenue"),
        GridColumn("Renewal in", "days", ("days_to_renewal",), "8%", "Renewal"),
    ),
    filters={
        "risk_level": ("Risk level", tuple(reversed(RISK_LEVELS))),
        "plan_tier": ("Plan", None),
        "sector": ("Sector", None),
    },
    search=("account_name", "account_id", "reason_1", "reason_2", "reason_3", "action"),
    export={
        "account_id": "account_id",
        "account_name": "account_name",
        "rank": "rank",
        "score": "score",
        "risk_level": "risk_level",
        "reason_1": "reason_1",
        "reason_2": "reason_2",
        "reason_3": "reason_3",
        "action": "action",
        "mrr_eur": "mrr_eur",
        "days_to_renewal": "days_to_renewal",
        "plan_tier": "plan_tier",
        "size_band": "size_band",
        "sector": "sector",
    },
)


@dataclass(frozen=True)
class WorkList:
    """The list and the figures above it.

    Attributes
    ----------
    payload
        Data of the grid.
    expected_churners, expected_loss_eur
        Sum of the scores; sum of score times monthly revenue.
    levels
        Accounts by risk level, most urgent first.
    """

    payload: dict[str, Any]
    scored: int
    model_version: str
    expected_churners: float
    expected_loss_eur: float
    levels: Mapping[str, int]


def work_list(lake: Lake, as_of: date) -> WorkList | Missing:
    """Scores of the day with the names of the accounts, as far as they were known that day."""
    scores = lake.read(SCORES, where=pa_dataset.field("as_of") == as_of, missing_ok=True).sort_by("rank")
    if not scores.num_rows:
        return Missing(f"There are no scores of {as_of}.", f"millrace score churn --as-of {as_of}")
    named = _with_names(lake, scores, as_of)
    counted = pc.value_counts(scores["risk_level"]).to_pylist()
    counts = {row["values"]: row["counts"] for row in counted}
    return WorkList(
        payload=GRID.payload(named),
        scored=scores.num_rows,
        model_version=scores["model_version"][0].as_py(),
        expected_churners=pc.sum(scores["score"]).as_py(),
        expected_loss_eur=pc.sum(pc.multiply(scores["score"], scores["mrr_eur"])).as_py(),
        levels={level: counts.get(level, 0) for level in reversed(RISK_LEVELS)},
    )


def account_names(lake: Lake, as_of: date) -> pa.Table:
    """Natural id and newest name of every account known before ``as_of``, by pseudonym."""
    columns = ["account_key", "account_id", "account_name", "known_at"]
    if not lake.exists(ACCOUNTS):
        text = pa.string()
        return pa.schema([(name, text) for name in columns[:3]]).empty_table()
    start = datetime.combine(as_of, datetime.min.time())
    rows = lake.read(ACCOUNTS, columns=columns, where=pa_dataset.field("known_at") < pa.scalar(start))
    newest = rows.sort_by("known_at").group_by("account_key", use_threads=False)
    return newest.aggregate([("account_id", "last"), ("account_name", "last")]).rename_columns(
        {"account_id_last": "account_id", "account_name_last": "account_name"}
    )


def _with_names(lake: Lake, scores: pa.Table, as_of: date) -> pa.Table:
    joined = scores.join(account_names(lake, as_of), keys="account_key").sort_by("rank")
    # An account without a profile is shown by its pseudonym rather than left out.
    identity = pc.coalesce(joined["account_id"], joined["account_key"])
    name = pc.coalesce(joined["account_name"], identity)
    line = pc.binary_join_element_wise(identity, joined["plan_tier"], joined["sector"], " · ")
    joined = joined.set_column(joined.column_names.index("account_id"), "account_id", identity)
    joined = joined.set_column(joined.column_names.index("account_name"), "account_name", name)
    return joined.append_column("account_line", line)
