"""The features step: what it tells, what it refuses, and its figures worked out another way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.errors import DataContractError
from pipelines.settings import Settings
from pipelines.steps import prepare
from pipelines.steps.prepare import tables_read
from pipelines.usecases.clustering import USECASE
from tests.usecases.clustering.conftest import AS_OF, PARAMS


def test_every_known_store_is_accounted_for(alone: Any, company: Any) -> None:
    found = alone.features()
    known = {row["store_id"] for row in company["stores"] if row["known_at"].date() < AS_OF}
    assert set(found["store_id"]) == known
    record = alone.record
    assert record["stores"] == len(known) == record["in_scope"] + sum(record["out_of_scope"].values())
    assert (found["in_scope"] == found["scope_reason"].isna()).all()


def test_a_day_that_is_published_is_left_alone(alone: Any) -> None:
    again = prepare.run(USECASE, AS_OF, settings=alone.settings, params=PARAMS, only_if_missing=True)
    assert again == {"as_of": str(AS_OF), "published": False}


def test_without_sales_nothing_is_published(tmp_path: Any) -> None:
    with pytest.raises(DataContractError, match="raw/demand_stores"):
        prepare.run(USECASE, AS_OF, settings=Settings(var=tmp_path), params=PARAMS)


def test_figures_are_those_of_the_raw_rows(alone: Any, company: Any) -> None:
    """An oracle in pandas, from the raw rows known before the day."""
    sales = pd.DataFrame(company["sales"])
    known = pd.to_datetime(sales["known_at"]) < pd.Timestamp(AS_OF)
    first = pd.Timestamp(AS_OF) - pd.Timedelta(days=PARAMS.features.history_days)
    sold_on = pd.to_datetime(sales["sold_on"])
    sales = sales[known & (sold_on >= first) & (sold_on < pd.Timestamp(AS_OF)) & (sales["quantity"] > 0)]
    # The shelf price of a receipt, to the cent, is what features count with.
    paid = (sales["revenue_eur"] / sales["quantity"]).round(2) * sales["quantity"]
    daily = (
        sales.assign(paid=paid)
        .groupby(["store_id", "sold_on"])
        .agg(paid=("paid", "sum"), units=("quantity", "sum"), products=("sku_id", "size"))
    )
    customers = pd.DataFrame(company["customers"])
    customers = customers[pd.to_datetime(customers["known_at"]) < pd.Timestamp(AS_OF)]
    customers = customers[pd.to_datetime(customers["counted_on"]) >= first]
    counts = customers.set_index(["store_id", "counted_on"])["customers"]
    counts.index = counts.index.set_names(["store_id", "sold_on"])
    both = daily.join(counts, how="inner")
    weekend = pd.to_datetime(daily.index.get_level_values("sold_on")).dayofweek >= 5
    by_store = daily.groupby("store_id")
    wanted = pd.DataFrame(
        {
            "days_with_sales": by_store.size(),
            "revenue_per_day": by_store["paid"].mean(),
            "products_per_day": by_store["products"].mean(),
            "weekend_share": daily["units"][weekend].groupby("store_id").sum() / by_store["units"].sum(),
            "customers_per_day": counts.groupby("store_id").mean(),
            "basket_eur": both.groupby("store_id")["paid"].sum()
            / both.groupby("store_id")["customers"].sum(),
        }
    )
    found = alone.features().set_index("store_id").loc[wanted.index]
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=2e-3, err_msg=name)


def test_customers_may_be_absent(alone: Any) -> None:
    assert "raw/demand_customers" in tables_read(USECASE)[1]
    assert alone.features()["customers_per_day"].notna().any()
