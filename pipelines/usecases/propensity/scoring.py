"""Propensity, scoring: chances of every product, three offers with reasons; and why one customer gets theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pa_dataset

from features.pseudonyms import pseudonym
from models.classification.product_propensity import ProductPropensity
from pipelines.errors import DataContractError
from pipelines.io.lake import on_day
from pipelines.io.registry import ModelVersion
from pipelines.io.volume import volume_audit
from pipelines.usecase import Output, Record, Run
from pipelines.usecases.propensity.dataset import read_scope
from pipelines.usecases.propensity.offers import TOP, make_offers
from pipelines.usecases.propensity.params import PropensityParams
from pipelines.usecases.propensity.schemas import CHANCES, OFFERS
from pipelines.usecases.propensity.training import N_JOBS, votes_of


def predict(run: Run[PropensityParams], model: ProductPropensity, version: ModelVersion) -> Iterator[Output]:
    """Chances first, offers last: readers and the publication go by the offers."""
    frame = read_scope(run)
    chances = model.predict_proba(frame)
    keys = pa.array(frame["customer_key"], pa.string())
    customer, product = np.nonzero(~np.isnan(chances))
    yield Output(
        CHANCES,
        pa.table(
            {
                "as_of": np.full(len(customer), np.datetime64(run.as_of, "D")),
                "customer_key": keys.take(pa.array(customer)),
                "product": pa.array(model.products_, pa.string()).take(pa.array(product)),
                "chance": chances[customer, product],
            },
            schema=CHANCES.arrow_schema,
        ),
    )
    offers = make_offers(frame, chances, model, votes_of(run.params), n_jobs=N_JOBS)
    offers.insert(0, "customer_key", frame["customer_key"])
    volume = volume_audit(
        run.lake,
        OFFERS,
        run.as_of,
        share=run.params.monitoring.max_volume_change,
        parameter="monitoring.max_volume_change",
        nothing="no customer is in scope: look at the freshness of raw/propensity_holdings",
    )
    record = {
        "scored": len(frame),
        "chances": len(customer),
        "full_lists": int(offers["product_3"].notna().sum()),
        "first_products": offers["product_1"].value_counts().to_dict(),
    }
    yield Output(OFFERS, offers, audits=[volume], record=record)


def explain(run: Run[PropensityParams], keys: Sequence[str]) -> Record:
    """Offers of a customer, by natural id or pseudonym, with the chances of everything else.

    Raises ``DataContractError`` if the customer got no offers on that day.
    """
    [customer] = keys
    hashed = pseudonym(customer, key=run.settings.load_pseudonym_key())
    mine = on_day(run.as_of) & pa_dataset.field("customer_key").isin([customer, hashed])
    found = run.lake.read(OFFERS, where=mine, missing_ok=True).to_pylist()
    if not found:
        raise DataContractError(
            f"no offers for {customer!r} on {run.as_of}: check the id, or run `{run.command('score')}`; who holds nothing "
            "or did not consent to marketing is out of scope"
        )
    chances = run.lake.read(CHANCES, where=mine, missing_ok=True).sort_by([("chance", "descending")])
    listed = {row["product"]: round(row["chance"], 4) for row in chances.to_pylist()}
    return {**found[0], "chances": listed}


def explanation(record: Record) -> str:
    """Word an explanation for the person who asks why."""
    lines = [f"Customer {record['customer_key']} on {record['as_of']}:"]
    for place in range(1, TOP + 1):
        if record[f"product_{place}"] is not None:
            chance = record[f"chance_{place}"]
            lines.append(
                f"{place}. {record[f'product_{place}']} ({chance:.1%}): {record[f'reason_{place}']}."
            )
    likely = [f"{name} {chance:.1%}" for name, chance in list(record["chances"].items())[:5]]
    return "\n".join([*lines, f"Likeliest of all: {', '.join(likely)}.", f"Model {record['model_version']}."])
