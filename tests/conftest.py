"""Fixtures that many tests share: folders of their own, never the user's."""

# ruff: noqa: DTZ001 - times in the lake are UTC without a zone

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pipelines.io.lake import Lake
    from pipelines.settings import Settings
    from pipelines.sources.ingest import IngestReport
    from pipelines.usecases.churn.params import ChurnParams

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MILLRACE_DATA", ROOT.parent / "shared" / "data"))


def pytest_configure(config: pytest.Config) -> None:
    """Warnings that libraries give about their own code, named one by one; all others are errors."""
    main = sys.modules["__main__"]
    if not hasattr(main, "__file__"):
        # A process of xdist has none, and PySpark ends a process that has none when it is imported.
        main.__file__ = pytest.__file__
    for ignored in (
        # MLflow's store of a run's models, with the SQLAlchemy that Airflow needs.
        "ignore:The ``noload`` loader strategy is deprecated",
        # The type hints of its own agents, when pyfunc is first imported; coloured.
        "ignore:.*Any type hint is inferred as AnyType",
        # skops, when first imported, asks every loaded module for names; Airflow's warn that they have moved.
        r"ignore:The `airflow\.\S+` (attribute )?is deprecated",
        # A docstring of utilsforecast, when it is first compiled.
        "ignore:invalid escape sequence:DeprecationWarning",
    ):
        config.addinivalue_line("filterwarnings", ignored)


def pytest_report_header() -> str:
    """Say whether the tests on public data run."""
    return f"public data: {DATA}" if DATA.is_dir() else f"public data: none at {DATA}, set MILLRACE_DATA"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests on public data where it is not; the header and the count say so."""
    if DATA.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("real_data")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Everything that tests write goes below a temporary folder, whatever the user has set."""
    var = tmp_path_factory.mktemp("var")
    home = tmp_path_factory.mktemp("airflow")
    for name in [name for name in os.environ if name.startswith(("MILLRACE_", "AIRFLOW_"))]:
        if name != "MILLRACE_DATA":
            del os.environ[name]
    os.environ |= {
        "MILLRACE_HOME": str(ROOT),
        "MILLRACE_VAR": str(var),
        "MILLRACE_PSEUDONYM_KEY": "key of the tests",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(ROOT / "airflow.cfg"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "DO_NOT_TRACK": "1",
    }
    return var


@pytest.fixture(scope="session")
def airflow_home(own_environment: Path) -> Path:
    """Home of Airflow for tests that import it."""
    return Path(os.environ["AIRFLOW_HOME"])


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the public data sets for tests marked ``real_data``."""
    return DATA


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a deployment of this test's own."""
    from pipelines.settings import Settings

    return Settings(var=tmp_path / "var")


def _landing(usecase: str, at: datetime, settings: Settings) -> Callable[..., IngestReport]:
    """Function that ingests a folder into the lake of a test, at a time of its own unless told otherwise."""
    from pipelines.sources.ingest import ingest

    def run(folder: Path, **options: Any) -> IngestReport:
        given = {"ingested_at": at, "settings": settings, "quality_checks": False, **options}
        return ingest(usecase, folder, **given)

    return run


@pytest.fixture
def land(settings: Settings) -> Callable[..., IngestReport]:
    """Ingest a folder of a software company."""
    return _landing("churn", datetime(2024, 6, 1, 12), settings)


@pytest.fixture
def land_demand(settings: Settings) -> Callable[..., IngestReport]:
    """Ingest a folder of a retailer."""
    return _landing("demand", datetime(2024, 6, 1, 12), settings)


@pytest.fixture
def land_repurchase(settings: Settings) -> Callable[..., IngestReport]:
    """Ingest a folder of a shop."""
    return _landing("repurchase", datetime(2026, 1, 5, 3), settings)


class PageReader(HTMLParser):
    """Elements, links and texts of a page of the report; scripts apart."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._script: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self.links += [str(found[name]) for name in ("href", "src") if found.get(name)]
        if tag == "script":
            self._script = found
            self.scripts.append((found, ""))

    def handle_endtag(self, tag: str) -> None:
        """Note the end of an element."""
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self._script is not None:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        """What a reader sees, blanks collapsed."""
        return re.sub(r"\s+", " ", "".join(self.words))

    def embedded(self, kind: str) -> list[Any]:
        """Data of the scripts of a class, for instance ``grid-data``."""
        return [json.loads(text) for attributes, text in self.scripts if attributes.get("class") == kind]

    def grid(self) -> dict[str, Any]:
        """Data of the page's one grid."""
        [found] = self.embedded("grid-data")
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="session")
def read_page() -> Callable[[Path], PageReader]:
    """Read a page of the report."""

    def read(path: Path) -> PageReader:
        reader = PageReader()
        reader.feed(path.read_text(encoding="utf-8"))
        return reader

    return read


@dataclass(frozen=True)
class Deployment:
    """A small company that was simulated, landed, trained on and scored.

    Attributes
    ----------
    files
        The delivery as the source systems wrote it.
    overrides
        What differs from ``params.yaml``, so that a small company can be trained on and judged.
    trained_on
        Day of the training run; its accounts are scored as well.
    scored_on
        A Monday five weeks later, by which the fate of the accounts of ``trained_on`` is known.
    records
        What the steps returned, by step and day.
    """

    settings: Settings
    files: Path
    overrides: dict[str, Any]
    trained_on: date
    scored_on: date
    records: dict[tuple[str, date], dict[str, Any]]

    @property
    def lake(self) -> Lake:
        """Its lake."""
        from pipelines.io.lake import Lake

        return Lake.of(self.settings)

    def params(self, **changed: Any) -> ChurnParams:
        """Parameters of the use case; ``gate__min_auc_pr=0.5`` changes one more of them."""
        from pipelines.usecases.churn import USECASE

        more = {name.replace("__", "."): value for name, value in changed.items()}
        return USECASE.load_params(self.settings, {**self.overrides, **more})

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a process of its own works on this deployment."""
        return {
            "MILLRACE_VAR": str(self.settings.var),
            "MILLRACE_CHURN_PARAMS": json.dumps(self.overrides),
        }


@pytest.fixture(scope="session")
def deployed(own_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The company after training and two score days. To be read only: ``working_copy`` is for changes."""
    from pipelines.lab.simulation.churn import generate
    from pipelines.settings import Settings
    from pipelines.sources.ingest import ingest
    from pipelines.steps import gate, prepare, score, train
    from pipelines.usecases.churn import USECASE

    var = tmp_path_factory.mktemp("deployed")
    made = Deployment(
        settings=Settings(var=var),
        files=var / "data" / "churn",
        overrides={
            "snapshots.months": 10,
            "snapshots.holdout_months": 3,
            "tuning.trials": 0,
            "gate.bootstrap_replicates": 100,
            "gate.min_positives": 20,
            "gate.min_auc_pr": 0.3,
            "gate.min_recall_at_top20": 0.3,
            "gate.confidence": 0.51,  # so few accounts separate two good models by little
            "monitoring.min_predictions": 300,
            "monitoring.max_predictions": 900,
            "monitoring.min_labels": 100,
            "monitoring.min_positives": 10,
        },
        trained_on=date(2025, 6, 2),
        scored_on=date(2025, 7, 7),
        records={},
    )
    generate(700, 1, made.files, start=date(2024, 5, 6), end=made.scored_on)
    arrived = datetime.combine(made.scored_on, time(3))
    ingest("churn", made.files, settings=made.settings, ingested_at=arrived, quality_checks=False)
    own: dict[str, Any] = {"settings": made.settings, "params": made.params()}
    for day in (made.trained_on, made.scored_on):
        training = day == made.trained_on
        made.records["prepare", day] = prepare.run(USECASE, day, training=training, **own)
        if training:
            made.records["train", day] = train.run(USECASE, day, **own)
            verdict = made.records["gate", day] = gate.run(USECASE, day, **own)
            assert verdict["outcome"] == "promoted", f"the company needs a champion: {verdict['words']}"
        made.records["score", day] = score.run(USECASE, day, **own)
    return made


@pytest.fixture
def working_copy(deployed: Deployment, tmp_path: Path) -> Deployment:
    """A copy of the deployment for a test to change."""
    return copied(deployed, tmp_path / "var")


@pytest.fixture(scope="module")
def module_copy(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A copy of the deployment that the tests of a module share."""
    return copied(deployed, tmp_path_factory.mktemp("copy") / "var")


def copied(deployment: Deployment, var: Path) -> Deployment:
    """Copy what runs wrote; dbt's parse is shared, since it is the same for all."""
    var.mkdir(parents=True)
    for name in ("lake", "mlflow"):
        shutil.copytree(deployment.settings.var / name, var / name)
    (var / "dbt_cache").symlink_to(deployment.settings.var / "dbt_cache")
    return replace(deployment, settings=deployment.settings.model_copy(update={"var": var}))
