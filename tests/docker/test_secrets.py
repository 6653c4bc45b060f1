"""The secret files: made once, readable where they must be, understood by those that read them."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy.engine import make_url

from pipelines.errors import ConfigError
from pipelines.settings import Settings

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "make_secrets.sh"


def make(folder: Path) -> str:
    return subprocess.run([SCRIPT, folder], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    make(folder)
    return folder


def test_only_the_owner_gets_into_the_folder_and_containers_read_the_files(secrets: Path) -> None:
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {0o444}


def test_files_that_exist_are_kept_and_missing_ones_made(secrets: Path) -> None:
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    (secrets / "airflow_jwt_secret").unlink()
    assert make(secrets).startswith("1 secret files made")
    after = {file.name: file.read_text() for file in secrets.iterdir()}
    assert after.pop("airflow_jwt_secret") != before.pop("airflow_jwt_secret")
    assert after == before


def test_no_two_secrets_are_alike(secrets: Path, tmp_path: Path) -> None:
    make(tmp_path / "other")
    fixed = {"millrace_salesforce__username"}
    values = [
        file.read_text()
        for folder in (secrets, tmp_path / "other")
        for file in folder.iterdir()
        if file.name not in fixed
    ]
    assert len(set(values)) == len(values) == 26
    assert min(map(len, values)) >= 24


def test_addresses_hold_the_passwords_that_postgresql_gets(secrets: Path) -> None:
    for name in ("airflow", "mlflow"):
        url = make_url((secrets / f"{name}_db_url").read_text())
        assert (url.drivername, url.username, url.host, url.database) == (
            "postgresql+psycopg",
            name,
            "postgres",
            name,
        )
        assert url.password == (secrets / f"{name}_db_password").read_text()


def test_airflow_can_use_its_keys(secrets: Path) -> None:
    key = Fernet((secrets / "airflow_fernet_key").read_text())
    assert key.decrypt(key.encrypt(b"a connection")) == b"a connection"
    assert set(json.loads((secrets / "airflow_passwords").read_text())) == {"admin", "viewer"}


def test_settings_read_the_files_as_they_are_mounted(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILLRACE_PSEUDONYM_KEY", raising=False)
    monkeypatch.setenv("MILLRACE_SECRETS_DIR", str(secrets))
    monkeypatch.setenv("MILLRACE_SALESFORCE__INSTANCE", "salesforce-emulator:8443")
    settings = Settings.load()
    assert settings.load_pseudonym_key() == (secrets / "millrace_pseudonym_key").read_bytes()
    assert settings.salesforce is not None
    assert settings.salesforce.instance == "salesforce-emulator:8443"
    password = settings.salesforce.password.get_secret_value()
    assert password == (secrets / "millrace_salesforce__password").read_text()
    assert password not in repr(settings)


def test_a_secret_file_that_is_no_setting_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "millrace_salesforce__pasword").write_text("hunter2")
    monkeypatch.setenv("MILLRACE_SECRETS_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="MILLRACE_SALESFORCE__PASWORD: Extra inputs") as caught:
        Settings.load()
    assert "hunter2" not in str(caught.value)


def test_a_missing_folder_of_secrets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"MILLRACE_SECRETS_DIR: directory .* does not exist"):
        Settings.load()
