"""MLflow tracking and registry: one experiment and one registered model per use case.

Versions carry the aliases ``challenger`` (newest trained) and ``champion`` (serving). Models are
stored in the skops format, which holds no executable pickle.
"""

from __future__ import annotations

import logging
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import ConfigError, ModelGateError, RegistryError
from pipelines.settings import Settings, hide_credentials

with warnings.catch_warnings():
    # When first imported, skops asks every loaded module for names, and Airflow's modules warn once for each that
    # it has moved: a thousand lines in the log of every task.
    warnings.filterwarnings("ignore", message=r"The `airflow\.")
    import skops.io

T = TypeVar("T")

CHAMPION = "champion"
CHALLENGER = "challenger"

#: Packages whose types may stand in a stored model; anything else is refused on load.
TRUSTED_PACKAGES = (
    "models.", "lightgbm.", "sklearn.", "numpy.", "collections.", "pandas.", "scipy.", "xgboost.",
)  # fmt: skip

_ABSENT = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)

#: What a served model needs; passed explicitly because inferring it loads the model in a new process.
_REQUIREMENTS = ("lightgbm", "xgboost-cpu", "scikit-learn", "numpy", "numba", "pandas", "skops")


@dataclass(frozen=True)
class ModelVersion:
    """A version in the registry."""

    #: Registered model and version number; ``label`` joins them as ``shop/3``.
    name: str
    version: str
    #: MLflow run that trained it.
    run_id: str
    #: Tags of the version, among them ``as_of`` and ``fingerprint``.
    tags: Mapping[str, str]

    @property
    def label(self) -> str:
        """Name and number as written to prediction tables."""
        return f"{self.name}/{self.version}"


class Registry:
    """Registered model of one use case, whose name it and its experiment have; raises ``RegistryError`` if it is down."""

    def __init__(self, settings: Settings, usecase: str) -> None:
        self.settings = settings
        self.usecase = usecase
        uri = settings.tracking_uri
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It warns in every training that the environment has no pip; uv makes environments without.
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        try:
            self.client = MlflowClient(uri, uri)
        except (MlflowException, SQLAlchemyError) as error:
            raise self._failed(error) from None

    @contextmanager
    def run(self, name: str, tags: Mapping[str, str]) -> Iterator[str]:
        """Open a run in the use case's experiment; yields its id. The run is marked failed if the block raises."""
        if experiment := self.client.get_experiment_by_name(self.usecase):
            experiment_id = experiment.experiment_id
        else:
            local = self.settings.tracking_uri.startswith("sqlite:///")
            location = f"{self.settings.artifact_root}/{self.usecase}" if local else None
            experiment_id = self.client.create_experiment(self.usecase, artifact_location=location)
        with mlflow.start_run(experiment_id=str(experiment_id), run_name=name, tags=dict(tags)) as active:
            yield active.info.run_id

    def log_model(
        self,
        model: Any,
        example: pd.DataFrame,
        *,
        tags: Mapping[str, str],
        predict: Literal["predict", "predict_proba"] = "predict_proba",
    ) -> ModelVersion:
        """Log a fitted estimator, preprocessing included, in the open run, register it and make it the challenger.

        ``example`` are a few feature rows, for the signature. What is stored as the input example is
        :func:`typical_row` of them: a model's artifacts outlive an erasure, so no row of a person is among
        them. ``tags`` are those of the version. ``predict`` is the method that serves; of ``predict_proba`` the
        signature shows the second column.
        """
        with warnings.catch_warnings():
            # The signature hint about integer columns: integers here are counts, never missing.
            warnings.filterwarnings("ignore", message=".*integer column.*", category=UserWarning)
            answer = getattr(model, predict)(example)
            shown = answer[:, 1] if predict == "predict_proba" else answer
            signature = infer_signature(example, shown)
            info = mlflow.sklearn.log_model(
                model,
                name="model",
                signature=signature,
                input_example=typical_row(example),
                pip_requirements=list(_REQUIREMENTS),
                serialization_format="skops",
                skops_trusted_types=_trusted(skops.io.get_untrusted_types(data=skops.io.dumps(model))),
                pyfunc_predict_fn=predict,
                registered_model_name=self.usecase,
            )
        version = str(info.registered_model_version)
        self.tag(version, tags)
        self.client.set_registered_model_alias(self.usecase, CHALLENGER, version)
        return self.version(version)

    def load(self, version: ModelVersion) -> Any:
        """Load the estimator of a version; raises ``ModelGateError`` if it holds types outside the trusted packages."""
        info = mlflow.models.get_model_info(f"models:/{version.name}/{version.version}")
        _trusted(info.flavors["sklearn"].get("skops_trusted_types") or [])
        return mlflow.sklearn.load_model(f"models:/{version.name}/{version.version}")

    def version(self, number: str) -> ModelVersion:
        """Look up a version by number; raises ``ConfigError`` if the registry says that there is none."""
        found = self._found(self.client.get_model_version, number) if number.isdecimal() else None
        if found is None:
            raise ConfigError(f"{self.usecase} has no version {number!r} in the registry")
        return ModelVersion(self.usecase, str(found.version), str(found.run_id), dict(found.tags))

    def aliased(self, alias: str) -> ModelVersion | None:
        """Version that carries an alias; None if the registry says that none does.

        Raises ``RegistryError`` if it did not say: taken for "none", a challenger would serve that was never
        compared with the champion.
        """
        # The aliases of the model, as MLflow has no error code of its own for an alias that is not there.
        model = self._found(self.client.get_registered_model)
        number = model.aliases.get(alias) if model else None
        return self.version(str(number)) if number else None

    def _found(self, look: Callable[..., T], *what: str) -> T | None:
        """Ask MLflow about the model; None only if MLflow says that there is no such thing."""
        try:
            return look(self.usecase, *what)
        except (MlflowException, SQLAlchemyError) as error:
            if isinstance(error, MlflowException) and error.error_code == _ABSENT:
                return None
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> RegistryError:
        """Make an error to raise without its cause, whose text holds the address with its credentials."""
        return RegistryError(
            f"the model registry at {self.settings.tracking_address} did not answer about {self.usecase}: "
            f"{hide_credentials(str(error)).strip(' .')}. Run `millrace doctor` to see whether it is up, then run the "
            "step again"
        )

    def serving(self, alias: str) -> ModelVersion:
        """Version to score with; raises ``ModelGateError`` if no version carries the alias."""
        version = self.aliased(alias)
        if version is None:
            raise ModelGateError(
                f"no model of {self.usecase} carries the alias {alias!r}: run `millrace train {self.usecase}`, "
                "read the verdict in ops/promotions, and score with `--alias challenger` only to look at a "
                "model that the gate refused"
            )
        return version

    def tag(self, number: str, tags: Mapping[str, str]) -> None:
        """Add tags to a version."""
        for name, value in tags.items():
            self.client.set_model_version_tag(self.usecase, number, name, value)

    def promote(self, version: ModelVersion) -> None:
        """Let a version serve."""
        self.client.set_registered_model_alias(self.usecase, CHAMPION, version.version)


def typical_row(rows: pd.DataFrame) -> pd.DataFrame:
    """One row that belongs to nobody: the lower median of every number, the most frequent of every other value."""
    made = {}
    for name, column in rows.items():
        known = column.dropna()
        if known.empty:
            value = column.iloc[:1]
        elif pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            value = known.sort_values(kind="stable").iloc[(len(known) - 1) // 2 :].head(1)
        else:
            value = known.mode().iloc[:1]
        made[name] = value.astype(column.dtype).reset_index(drop=True)
    return pd.DataFrame(made)


def _trusted(types: list[str]) -> list[str]:
    foreign = [name for name in types if not name.startswith(TRUSTED_PACKAGES)]
    if foreign:
        raise ModelGateError(
            f"the model holds types from outside {list(TRUSTED_PACKAGES)}, refused: {foreign}"
        )
    return types


def code_version(home: Path) -> str:
    """First seven digits of the commit, ``+`` appended if files differ from it.

    An image has no git: its build sets ``MILLRACE_CODE_VERSION``. ``unknown`` if neither is available.
    """
    if given := os.environ.get("MILLRACE_CODE_VERSION"):
        return given
    try:
        sha = _git(home, "rev-parse", "--short=7", "HEAD")
        return sha + ("+" if _git(home, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(home: Path, *arguments: str) -> str:
    command = ["git", "-C", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
