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
from pathlib import Path

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
    return [
        _python(),
        _locked(settings),
        _packages(settings),
        _disk(settings),
        _memory(),
        _writable("var folder", settings.var, "MILLRACE_VAR"),
        _lake(settings),
        _mlflow(settings),
        _dbt(settings),
        _airflow(settings),
        _pseudonym_key(settings),
        _salesforce(settings),
        *(check for extension in extensions() for check in extension.checks(settings)),
    ]


def _attempt(name: str, fix: str, look: Callable[[], str], errors: tuple[type[Exception], ...]) -> Check:
    """Run ``look``, which returns what it found or raises one of ``errors``."""
    try:
        return Check(name, True, look(), fix)
    except errors as error:
        text = hide_credentials(str(error)).strip()
        return Check(name, False, text.splitlines()[0][:300] if text else type(error).__name__, fix)


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check(
        "Python", sys.version_info[:2] == (3, 11), version, "install Python 3.11 and run `make setup`"
    )


def _locked_versions(settings: Settings) -> dict[str, set[str]]:
    """Versions per package of the lock; a package may be locked twice for different platforms."""
    lock = tomllib.loads((settings.home / "uv.lock").read_text(encoding="utf-8"))
    versions: dict[str, set[str]] = {}
    for package in lock["package"]:
        versions.setdefault(package["name"], set()).add(package.get("version", ""))
    return versions


def _locked(settings: Settings) -> Check:
    """Every dependency that pyproject.toml names is in the lock."""
    fix = "run `uv lock` after editing pyproject.toml, then `make setup`"

    def look() -> str:
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

    return _attempt("lock file", fix, look, (OSError, LookupError, ValueError))


def _packages(settings: Settings) -> Check:
    """The key packages are installed in the locked version."""
    fix = "run `make setup`: it installs exactly what uv.lock says"

    def look() -> str:
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

    return _attempt("packages", fix, look, (OSError, LookupError, ValueError))


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _disk(settings: Settings) -> Check:
    free = shutil.disk_usage(_existing(settings.var.absolute())).free / 2**30
    fix = f"free {_DISK_GIB:g} GiB, or set MILLRACE_VAR to a folder on a larger disk"
    return Check("free disk", free >= _DISK_GIB, f"{free:.1f} GiB for {settings.var}", fix)


def _memory() -> Check:
    fix = f"close programs until {_MEMORY_GIB:g} GiB are free, or process fewer accounts"

    def look() -> str:
        available = _available_memory() / 2**30
        if available < _MEMORY_GIB:
            raise LookupError(f"{available:.1f} GiB free")
        return f"{available:.1f} GiB free"

    return _attempt("free memory", fix, look, (OSError, LookupError, ValueError))


def _available_memory() -> int:
    """Bytes that a new process can have; on macOS, which does not tell, all there are."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _writable(name: str, folder: Path, variable: str) -> Check:
    fix = f"make {folder} writable, or set {variable} to another folder"

    def look() -> str:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor-{uuid.uuid4().hex}"
        probe.write_text("")
        probe.unlink()
        return f"{folder} is writable"

    return _attempt(name, fix, look, (OSError,))


def _lake(settings: Settings) -> Check:
    """The lake's root can be written; an object store is asked through the library that will write."""
    uri = settings.lake_uri
    if "://" not in uri:
        return _writable("lake", Path(uri), "MILLRACE_LAKE")
    fix = "check MILLRACE_LAKE and the credentials of the object store (AWS_* variables)"

    def look() -> str:
        from pyarrow import fs

        store, root = fs.FileSystem.from_uri(uri)
        probe = f"{root}/.doctor-{uuid.uuid4().hex}"
        with store.open_output_stream(probe) as stream:
            stream.write(b"")
        store.delete_file(probe)
        return f"{uri} is writable"

    return _attempt("lake", fix, look, (OSError, ValueError))


def _mlflow(settings: Settings) -> Check:
    """The tracking back end answers; a SQLite file that is not there yet is made on first use."""
    uri, shown = settings.tracking_uri, settings.tracking_address
    fix = "check MILLRACE_MLFLOW_TRACKING_URI; for a database of another release: `mlflow db upgrade <uri>`"

    def look() -> str:
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

    return _attempt("MLflow", fix, look, (OSError, LookupError, ValueError))


def _dbt(settings: Settings) -> Check:
    """Have dbt parse the project, as every run begins."""
    fix = "`millrace dbt parse` says more; `make setup` if dbt is not installed, MILLRACE_HOME must be the checkout"

    def look() -> str:
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

    return _attempt("dbt", fix, look, (OSError, LookupError, subprocess.TimeoutExpired))


def _airflow(settings: Settings) -> Check:
    """Airflow reads our configuration, and keeps its files out of the checkout."""
    ours, home = settings.home / "airflow.cfg", os.environ.get("AIRFLOW_HOME")
    config = os.environ.get("AIRFLOW_CONFIG")
    fix = f"export AIRFLOW_CONFIG={ours} and AIRFLOW_HOME={settings.var / 'airflow'}; `make up` does both"
    if not ours.exists():
        return Check("Airflow", False, f"{ours} does not exist", "set MILLRACE_HOME to the checkout")
    if config is None and home is None:
        return Check("Airflow", True, f"{ours}; `make demo` and `make up` point Airflow to it", fix)
    ok = config is not None and Path(config).resolve() == ours.resolve()
    return Check("Airflow", ok, f"AIRFLOW_CONFIG={config}, AIRFLOW_HOME={home}", fix)


def _pseudonym_key(settings: Settings) -> Check:
    """A key that exists is private and long enough; one that does not is made at the first ingest."""
    fix = "set MILLRACE_PSEUDONYM_KEY to at least 16 characters, or `chmod 600` the key file"
    if settings.pseudonym_key is not None:
        length = len(settings.pseudonym_key.get_secret_value())
        return Check("pseudonym key", length >= 16, f"from the environment, {length} characters", fix)
    path = settings.var / "secrets" / "pseudonym.key"
    if not path.exists():
        return Check("pseudonym key", True, f"{path} will be made at the first ingest", fix)
    mode = path.stat().st_mode & 0o777
    return Check("pseudonym key", not mode & 0o077, f"{path} has mode {mode:o}", fix)


def _salesforce(settings: Settings) -> Check:
    """The org answers the login, and every object that is published to takes every field that is sent."""
    fix = (
        "check MILLRACE_SALESFORCE__*; deploy the package under pipelines/sinks/salesforce/sfdx and assign"
        " its permission set to the integration user"
    )

    def look() -> str:
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

    return _attempt("Salesforce", fix, look, (OSError, LookupError, MillraceError))
