"""What a machine needs to run the pipelines, checked one by one, each with how to fix it.

Nothing is changed, except that a probe file is written to and removed from the folders that runs
write to. Imports of heavy libraries stay inside the functions.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import uuid
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import psutil

from pipelines.discovery import every
from pipelines.errors import MillraceError
from pipelines.extension import Check, extensions
from pipelines.settings import Settings, hide_credentials

#: Room for 15,000 accounts over three years, and for the models.
_DISK_GIB, _MEMORY_GIB = 5.0, 3.0

#: Libraries whose version decides results or file formats.
_KEY_PACKAGES = (
    "apache-airflow", "dbt-core", "dbt-duckdb", "deltalake", "duckdb", "lightgbm", "mlflow", "pandas",
)  # fmt: skip


def checks(settings: Settings) -> list[Check]:
    """Look at everything; a check that cannot be made is a failed one, never an exception."""
    ours = (
        _python, _locked, _packages, _disk, _memory, _var, _lake, _mlflow, _dbt, _airflow, _pseudonym_key, _salesforce,
    )  # fmt: skip
    return [
        *(check(settings) for check in ours),
        *(check for extension in extensions() for check in extension.checks(settings)),
    ]


def _check(name: str, fix: str) -> Callable[[Callable[[Settings], str]], Callable[[Settings], Check]]:
    """Make a check of a function that returns what it found, or raises what is wrong; ``fix`` may name settings."""

    def made(look: Callable[[Settings], str]) -> Callable[[Settings], Check]:
        @wraps(look)
        def check(settings: Settings) -> Check:
            told = fix.format(settings=settings)
            try:
                return Check(name, True, look(settings), told)
            except (OSError, LookupError, ValueError, subprocess.TimeoutExpired, MillraceError) as error:
                text = hide_credentials(str(error)).strip()
                return Check(name, False, text.splitlines()[0][:300] if text else type(error).__name__, told)

        return check

    return made


@_check("Python", "install Python 3.11 and run `make setup`")
def _python(settings: Settings) -> str:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] != (3, 11):
        raise LookupError(version)
    return version


def _locked_versions(settings: Settings) -> dict[str, set[str]]:
    """Versions per package of the lock; a package may be locked twice for different platforms."""
    lock = tomllib.loads((settings.home / "uv.lock").read_text(encoding="utf-8"))
    versions: dict[str, set[str]] = {}
    for package in lock["package"]:
        versions.setdefault(package["name"], set()).add(package.get("version", ""))
    return versions


@_check("lock file", "run `uv lock` after editing pyproject.toml, then `make setup`")
def _locked(settings: Settings) -> str:
    """Every dependency that pyproject.toml names is in the lock."""
    from packaging.requirements import Requirement

    project = tomllib.loads((settings.home / "pyproject.toml").read_text(encoding="utf-8"))
    versions = _locked_versions(settings)
    wanted = [Requirement(text) for text in project["project"]["dependencies"]]
    astray = [
        str(requirement)
        for requirement in wanted
        if not any(requirement.specifier.contains(v) for v in versions.get(requirement.name.lower(), ()))
    ]
    if astray:
        raise LookupError(f"uv.lock does not satisfy {', '.join(astray)}")
    return f"uv.lock satisfies {len(wanted)} dependencies"


@_check("packages", "run `make setup`: it installs exactly what uv.lock says")
def _packages(settings: Settings) -> str:
    """The key packages are installed in the locked version."""
    versions = _locked_versions(settings)
    astray = []
    for name in _KEY_PACKAGES:
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "not installed"
        if installed not in versions.get(name, ()):
            astray.append(f"{name} {installed} (locked: {', '.join(sorted(versions.get(name, ())))})")
    if astray:
        raise LookupError("; ".join(astray))
    return f"{', '.join(_KEY_PACKAGES)} as locked"


@_check("free disk", f"free {_DISK_GIB:g} GiB, or set MILLRACE_VAR to a folder on a larger disk")
def _disk(settings: Settings) -> str:
    var = settings.var.absolute()
    existing = next(folder for folder in (var, *var.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 2**30
    if free < _DISK_GIB:
        raise LookupError(f"{free:.1f} GiB for {settings.var}")
    return f"{free:.1f} GiB for {settings.var}"


@_check("free memory", f"close programs until {_MEMORY_GIB:g} GiB are free, or process fewer accounts")
def _memory(settings: Settings) -> str:
    available = psutil.virtual_memory().available / 2**30
    if available < _MEMORY_GIB:
        raise LookupError(f"{available:.1f} GiB free")
    return f"{available:.1f} GiB free"


@_check("var folder", "make {settings.var} writable, or set MILLRACE_VAR to another folder")
def _var(settings: Settings) -> str:
    return _written(settings.var)


@_check(
    "lake",
    "make {settings.lake_uri} writable, or set MILLRACE_LAKE to another place; an object store needs credentials"
    " (AWS_* variables)",
)
def _lake(settings: Settings) -> str:
    """The lake's root can be written; an object store is asked through the library that will write."""
    uri = settings.lake_uri
    if "://" not in uri:
        return _written(Path(uri))
    from pyarrow import fs

    store, root = fs.FileSystem.from_uri(uri)
    probe = f"{root}/.doctor-{uuid.uuid4().hex}"
    with store.open_output_stream(probe) as stream:
        stream.write(b"")
    store.delete_file(probe)
    return f"{uri} is writable"


def _written(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".doctor-{uuid.uuid4().hex}"
    probe.write_text("")
    probe.unlink()
    return f"{folder} is writable"


@_check(
    "MLflow",
    "check MILLRACE_MLFLOW_TRACKING_URI; for a database of another release: `mlflow db upgrade <uri>`",
)
def _mlflow(settings: Settings) -> str:
    """The tracking back end answers; a SQLite file that is not there yet is made on first use."""
    uri, shown = settings.tracking_uri, settings.tracking_address
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return f"{shown} will be made on first use"
    if uri.startswith("http"):
        import requests

        requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
        return f"{shown} answers"
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        tables = sqlalchemy.inspect(engine).get_table_names()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise OSError(str(error)) from error
    finally:
        engine.dispose()
    if "experiments" not in tables:
        raise LookupError(f"{shown} has no MLflow tables, found {tables[:5]}")
    return f"{shown} holds {len(tables)} tables"


@_check(
    "dbt",
    "`millrace dbt parse` says more; `make setup` if dbt is not installed, MILLRACE_HOME must be the checkout",
)
def _dbt(settings: Settings) -> str:
    """Have dbt parse the project, as every run begins."""
    if not (settings.dbt_project / "dbt_project.yml").exists():
        raise LookupError(f"{settings.dbt_project} is not a dbt project")
    command = Path(sysconfig.get_path("scripts")) / "millrace"
    done = subprocess.run(  # noqa: S603 - our own command, arguments as a list
        [command, "dbt", "parse", "--quiet"],
        env=os.environ | {"MILLRACE_HOME": str(settings.home), "MILLRACE_VAR": str(settings.var)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    if done.returncode:
        raise LookupError((done.stdout + done.stderr).strip()[-300:].replace("\n", " "))
    return f"{settings.dbt_project} parses"


@_check(
    "Airflow",
    "MILLRACE_HOME must be the checkout; export AIRFLOW_CONFIG={settings.home}/airflow.cfg and"
    " AIRFLOW_HOME={settings.var}/airflow; `make up` does both",
)
def _airflow(settings: Settings) -> str:
    """Airflow reads our configuration, and keeps its files out of the checkout."""
    ours, home = settings.home / "airflow.cfg", os.environ.get("AIRFLOW_HOME")
    config = os.environ.get("AIRFLOW_CONFIG")
    if not ours.exists():
        raise LookupError(f"{ours} does not exist")
    if config is None and home is None:
        return f"{ours}; `make demo` and `make up` point Airflow to it"
    if config is None or Path(config).resolve() != ours.resolve():
        raise LookupError(f"AIRFLOW_CONFIG={config}, AIRFLOW_HOME={home}")
    return f"AIRFLOW_CONFIG={config}, AIRFLOW_HOME={home}"


@_check("pseudonym key", "set MILLRACE_PSEUDONYM_KEY to at least 16 characters, or `chmod 600` the key file")
def _pseudonym_key(settings: Settings) -> str:
    """A key that exists is private and long enough; one that does not is made at the first ingest."""
    if settings.pseudonym_key is not None:
        length = len(settings.pseudonym_key.get_secret_value())
        if length < 16:
            raise LookupError(f"from the environment, {length} characters")
        return f"from the environment, {length} characters"
    path = settings.var / "secrets" / "pseudonym.key"
    if not path.exists():
        return f"{path} will be made at the first ingest"
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise LookupError(f"{path} has mode {mode:o}")
    return f"{path} has mode {mode:o}"


@_check(
    "Salesforce",
    "check MILLRACE_SALESFORCE__*; deploy the package under pipelines/sinks/salesforce/sfdx and assign its permission"
    " set to the integration user",
)
def _salesforce(settings: Settings) -> str:
    """The org answers the login, and every object that is published to takes every field that is sent."""
    from pipelines.io.marts import mart_contract
    from pipelines.sinks.backoff import Backoff
    from pipelines.sinks.salesforce.connection import Connection
    from pipelines.sinks.salesforce.preflight import check_fields
    from pipelines.sinks.salesforce.target import PublishOptions
    from pipelines.sinks.target import SalesforceObject

    if settings.salesforce is None:
        return "not configured: nothing can be published to an org"
    options = PublishOptions(http=Backoff(attempts=2), connect_timeout_s=5, read_timeout_s=20)
    connection, found = Connection(settings.salesforce, options), []
    for target in (each for usecase in every() for each in usecase.targets):
        if isinstance(target, SalesforceObject):
            contract = mart_contract(settings.dbt_project, "exports", target.export)
            fields = check_fields(connection, target.described(contract.table.column_names))
            found.append(f"{target.object} with {len(fields)} fields")
    return f"{settings.salesforce.instance} has {', '.join(found)}"
