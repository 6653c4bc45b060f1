"""Bench of the churn use case: a simulated company through every step, and the truth beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.dataset as pa_dataset
from pydantic import SecretStr

from features.pseudonyms import pseudonymise
from models.evaluation.metrics import all_metrics
from pipelines.io.lake import Lake
from pipelines.lab.bench.result import BenchResult
from pipelines.lab.emulator.emulator import Emulator
from pipelines.lab.emulator.sessions import Credentials
from pipelines.lab.memory import PeakMemory
from pipelines.lab.simulation.churn import generate
from pipelines.measure import Stopwatch
from pipelines.settings import SalesforceSettings, Settings
from pipelines.sources.ingest import ingest
from pipelines.steps import gate, prepare, publish, score, train
from pipelines.usecases.churn import USECASE
from pipelines.usecases.churn.schemas import VALIDATION

AS_OF = date(2026, 1, 5)
_KEY = "key of the benches"
_METRICS = ("auc_roc", "auc_pr", "recall_at_top20")


def run(
    *, accounts: int = 15_000, seed: int = 0, say: Callable[[str], None] = lambda line: None
) -> BenchResult:
    """Generate, land, prepare, train, score and publish ``accounts`` accounts; measure each.

    Accuracy is out of time, over the months that the gate judges. ``peers`` are the baselines on the
    same rows and ``best_reachable``, the metrics of scoring by the simulation's true risk.

    Parameters
    ----------
    accounts
        Size of the simulated company.
    seed
        Seed of the simulation.
    """
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name, PeakMemory() as memory:
        folder = Path(name)
        settings = Settings(var=folder / "var", lake="", pseudonym_key=SecretStr(_KEY))
        with watch.phase("generate"):
            generate(accounts, seed, folder / "data", end=AS_OF)
        say(f"generated in {watch.seconds['generate']:.1f} s")
        with watch.phase("ingest"):
            arrived = datetime.combine(AS_OF, datetime.min.time())
            ingest("churn", folder / "data", source="native", settings=settings, ingested_at=arrived)
        say(f"ingested in {watch.seconds['ingest']:.1f} s")
        with watch.phase("train"):
            prepare.run(USECASE, AS_OF, settings=settings, training=True)
            trained = train.run(USECASE, AS_OF, settings=settings)
            verdict = gate.run(USECASE, AS_OF, settings=settings)
        say(f"trained in {watch.seconds['train']:.1f} s: {verdict['words']}")
        with watch.phase("features"):
            prepared = prepare.run(USECASE, AS_OF, settings=settings)
        with watch.phase("score"):
            scored = score.run(USECASE, AS_OF, settings=settings, alias="challenger")
        say(f"features in {watch.seconds['features']:.1f} s, scores in {watch.seconds['score']:.1f} s")
        published = _publish(settings, folder, watch)
        peers = _peers(settings, folder)
    return BenchResult(
        bench="churn",
        metrics={
            **{f"seconds_{phase}": round(seconds, 2) for phase, seconds in watch.seconds.items()},
            "accounts_in_scope": prepared["in_scope"],
            "accounts_scored": scored["scored"],
            "rows_trained": trained["rows_trained"],
            "rows_published": published,
            "gate": verdict["outcome"],
            **{name: trained[name] for name in _METRICS},
        },
        seconds=round(sum(watch.seconds.values()), 2),
        peak_rss_mb=round(memory.peak_mb, 1),
        peers=peers,
    )


def _publish(settings: Settings, folder: Path, watch: Stopwatch) -> int:
    """Publish to an emulated org that knows the accounts; only the publication is timed."""
    credentials = Credentials()
    accounts = Lake.of(settings).read("raw/churn_accounts", columns=["account_id", "account_name"])
    with Emulator(folder / "salesforce", credentials=credentials) as emulator:
        names = {row["account_id"]: row["account_name"] for row in accounts.to_pylist()}  # newest version
        records = [{"Millrace_Account_Id__c": key, "Name": name} for key, name in names.items()]
        emulator.control.seed("Account", records, "Millrace_Account_Id__c")
        reached = SalesforceSettings(
            username=credentials.username,
            password=SecretStr(credentials.password),
            security_token=SecretStr(credentials.security_token),
            instance=emulator.url.removeprefix("https://"),
            ca_bundle=emulator.ca_bundle,
        )
        with watch.phase("publish"):
            record = publish.run(
                USECASE, AS_OF, settings=settings.model_copy(update={"salesforce": reached}), force=True
            )
    return int(record["ok"])


def _peers(settings: Settings, folder: Path) -> dict[str, Any]:
    """Metrics of the baselines, and of the true risk, on the rows that judged the challenger."""
    rows = pl.DataFrame(Lake.of(settings).read(VALIDATION, where=pa_dataset.field("as_of") == AS_OF))
    truth = pl.read_parquet(folder / "data" / "truth" / "churn_risk.parquet")
    keys = pseudonymise(truth["account_id"].to_arrow(), key=_KEY.encode())
    truth = truth.select(pl.col("as_of").alias("snapshot"), pl.Series("account_key", keys), "true_risk_30d")
    peers: dict[str, Any] = {}
    for (candidate,), part in rows.group_by("candidate", maintain_order=True):
        if candidate == "challenger":
            joined = part.join(truth, on=["snapshot", "account_key"], how="inner")
            peers["best_reachable"] = {
                **_rounded(joined["churned"].to_numpy(), joined["true_risk_30d"].to_numpy()),
                "rows": joined.height,
                "rows_judged": part.height,
            }
        else:
            peers[str(candidate)] = _rounded(part["churned"].to_numpy(), part["score"].to_numpy())
    return peers


def _rounded(churned: Any, score: Any) -> dict[str, float]:
    found = all_metrics(churned, np.asarray(score), probability=False)
    return {name: round(found[name], 4) for name in _METRICS}
