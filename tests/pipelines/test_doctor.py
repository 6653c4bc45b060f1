"""Each check passes on this machine and fails, with a way to fix it, on what it is there to find."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipelines import doctor
from pipelines.extension import Check, Extension
from pipelines.lab.emulator import Emulator
from pipelines.settings import SalesforceSettings, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var")


def failed(check: Check, words: str) -> None:
    assert not check.ok, check
    assert words in check.detail
    assert len(check.fix) > 20


def test_this_checkout_is_healthy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Settings] = []

    def more(asking: Settings) -> list[Check]:
        asked.append(asking)
        return [Check("extended", True, "found", "what to do if it is not so")]

    extension = Extension(commands=lambda app: None, adapters=lambda usecase: {}, checks=more)
    monkeypatch.setattr(doctor, "extensions", lambda: (extension,))
    found = doctor.checks(settings)
    assert [check for check in found if not check.ok] == []
    assert len({check.name for check in found}) == len(found) == 13
    assert (found[-1].name, asked) == ("extended", [settings])
    assert not any("java" in check.name.lower() for check in found)


def test_a_lock_that_lags_behind_and_other_versions_installed(settings: Settings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    other = Settings(home=home, var=settings.var)
    failed(doctor._locked(other), "No such file")
    lock = (settings.home / "uv.lock").read_text()
    (home / "uv.lock").write_text(
        lock.replace('name = "duckdb"\nversion = "2.', 'name = "duckdb"\nversion = "1.')
    )
    (home / "pyproject.toml").write_text((settings.home / "pyproject.toml").read_text())
    failed(doctor._locked(other), "does not satisfy duckdb==")
    failed(doctor._packages(other), "duckdb 2.")
    failed(doctor._dbt(other), "is not a dbt project")
    failed(doctor._airflow(other), "does not exist")


@pytest.mark.parametrize(
    ("limit", "check"),
    [
        ("_DISK_GIB", lambda settings: doctor._disk(settings)),
        ("_MEMORY_GIB", lambda settings: doctor._memory(settings)),
    ],
)
def test_too_little_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, limit: str, check: Callable[[Settings], Check]
) -> None:
    assert check(settings).ok
    monkeypatch.setattr(doctor, limit, 1e6)
    failed(check(settings), "GiB")


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")  # a file in the way: unwritable for root too
    settings = Settings(var=tmp_path / "file" / "var", lake=str(tmp_path / "file" / "lake"))
    failed(doctor._var(settings), "Not a directory")
    failed(doctor._lake(settings), "Not a directory")
    failed(doctor._lake(Settings(lake="nonsense://bucket/lake")), "nonsense")


def test_a_database_that_is_not_mlflow_s(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as con:
        con.execute("create table recipes (name text)")
    con.close()
    uri = f"sqlite:///{path}"
    failed(doctor._mlflow(Settings(mlflow_tracking_uri=uri)), "no MLflow tables, found ['recipes']")
    path.write_text("not a database" * 100)
    failed(doctor._mlflow(Settings(mlflow_tracking_uri=uri)), "not a database")
    failed(doctor._mlflow(Settings(mlflow_tracking_uri="http://127.0.0.1:9")), "127.0.0.1")


def test_airflow_reading_another_configuration(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._airflow(settings).ok
    monkeypatch.setenv("AIRFLOW_CONFIG", "/etc/airflow.cfg")
    failed(doctor._airflow(settings), "/etc/airflow.cfg")
    monkeypatch.delenv("AIRFLOW_CONFIG")
    failed(doctor._airflow(settings), "AIRFLOW_CONFIG=None")


def test_a_weak_or_public_key(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed(doctor._pseudonym_key(Settings(pseudonym_key=SecretStr("short"))), "5 characters")
    monkeypatch.delenv("MILLRACE_PSEUDONYM_KEY")
    own = Settings(var=tmp_path / "own")
    assert doctor._pseudonym_key(own).ok
    own.load_pseudonym_key()
    assert doctor._pseudonym_key(own).ok
    (tmp_path / "own" / "secrets" / "pseudonym.key").chmod(0o644)
    failed(doctor._pseudonym_key(own), "has mode 644")


def test_salesforce_is_asked_for_the_fields_that_are_sent(settings: Settings) -> None:
    with Emulator() as org:
        who = SalesforceSettings(
            username=org.credentials.username,
            password=SecretStr(org.credentials.password),
            security_token=SecretStr(org.credentials.security_token),
            instance=org.instance,
            ca_bundle=org.ca_bundle,
        )
        assert "Churn_Score__c with" in doctor._salesforce(Settings(var=settings.var, salesforce=who)).detail
        wrong = who.model_copy(update={"password": SecretStr("wrong")})
        failed(doctor._salesforce(Settings(var=settings.var, salesforce=wrong)), "INVALID_LOGIN")
    failed(doctor._salesforce(Settings(var=settings.var, salesforce=who)), "SALESFORCE__CA_BUNDLE")
