"""Training: a challenger fitted on the past, judged out of time, and registered.

What is judged is what serves: the registered model is the one whose judgement the gate sees, not a refit on
newer data that nobody measured.
"""

from __future__ import annotations

import math
from datetime import date

import mlflow

from pipelines.io.commits import commit_day
from pipelines.io.hashing import code_fingerprint
from pipelines.io.registry import CHALLENGER, CHAMPION, ModelVersion, Registry, code_version
from pipelines.monitoring.reference import store_reference
from pipelines.settings import Settings
from pipelines.usecase import D, M, P, Record, Run, Trained, UseCase

#: Longest description of a model version and longest parameter that MLflow shows.
_CARD, _PARAMETER = 5_000, 500


def run(
    usecase: UseCase[P, D, M], as_of: date, *, settings: Settings | None = None, params: P | None = None
) -> Record:
    """Train and register a challenger for ``as_of``.

    A run with the same data, parameters and code as the newest challenger's reuses that version. Raises
    ``DataContractError`` if the day was not prepared, or there is too little to learn from or to judge by.

    Returns ``model_version``, whether it was ``reused``, ``run_id`` and what the use case reports.
    """
    here = usecase.run(as_of, settings, params)
    registry, data = Registry(here.settings, usecase.name), usecase.read(here)
    home = here.settings.home
    folders = (*usecase.code, f"pipelines/usecases/{usecase.name}")
    fingerprint = code_fingerprint(home, folders, str(as_of), here.params.fingerprint, data.fingerprint)
    version = registry.aliased(CHALLENGER)
    if version is not None and version.tags.get("fingerprint") == fingerprint:
        return {"model_version": version.label, "reused": True, "run_id": version.run_id}

    tags = {
        "as_of": str(as_of),
        "code_version": code_version(home),
        "data_versions": str(dict(data.versions)),
        "data_fingerprint": data.fingerprint,
    }
    champion = registry.aliased(CHAMPION)
    serving: M | None = registry.load(champion) if champion is not None else None
    with registry.run(f"{usecase.name}-{as_of}-{tags['code_version']}", tags) as run_id:
        trained = usecase.fit(here, data, serving)
        version = registry.log_model(
            trained.model, trained.example, tags={**tags, **trained.tags}, predict=trained.predict
        )
        _log(registry, version, here, trained)
        for table, rows in trained.tables.items():
            commit_day(here.lake, table, as_of, rows, version.label)
    if trained.sample is not None:
        store_reference(here.lake, version.label, trained.sample, usecase=usecase.name, as_of=as_of)
    # Last, so that a version whose tables are incomplete after a crash is never reused.
    registry.tag(version.version, {"fingerprint": fingerprint})
    return {"model_version": version.label, "reused": False, "run_id": run_id, **trained.record}


def _log(registry: Registry, version: ModelVersion, here: Run[P], trained: Trained) -> None:
    """Log parameters, metrics, artefacts and the model card to the open run."""
    chosen = {f"chosen.{name}": value for name, value in trained.chosen.items()}
    logged = {**here.params.flat(), **chosen}
    mlflow.log_params({name: str(value)[:_PARAMETER] for name, value in logged.items()})
    mlflow.log_metrics(
        {name: float(value) for name, value in trained.metrics.items() if math.isfinite(value)}
    )
    for file, text in {**trained.texts, "model_card.md": trained.card}.items():
        mlflow.log_text(text, file)
    registry.client.update_model_version(version.name, version.version, description=trained.card[:_CARD])
