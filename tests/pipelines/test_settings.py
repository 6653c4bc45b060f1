"""Settings are typed, refuse what they do not know and never show a secret."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.settings import Settings

SALESFORCE = {
    "MILLRACE_SALESFORCE__USERNAME": "someone@example.org",
    "MILLRACE_SALESFORCE__PASSWORD": "hunter2-password",
    "MILLRACE_SALESFORCE__SECURITY_TOKEN": "hunter2-token",
}


@pytest.fixture
def salesforce(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SALESFORCE.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("salesforce")
def test_secrets_are_read_and_never_shown() -> None:
    settings = Settings.load()
    assert settings.salesforce is not None
    assert settings.salesforce.password.get_secret_value() == "hunter2-password"
    for shown in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.salesforce}"):
        assert "hunter2" not in shown


@pytest.mark.usefixtures("salesforce")
def test_an_unknown_nested_variable_is_refused_by_name_without_any_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MILLRACE_SALESFORCE__PASWORD", "hunter2-typo")
    with pytest.raises(ConfigError, match="MILLRACE_SALESFORCE__PASWORD: Extra inputs") as caught:
        Settings.load()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None or "hunter2" not in str(caught.value.__context__)


def test_a_missing_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_SALESFORCE__USERNAME", "someone@example.org")
    with pytest.raises(ConfigError, match="MILLRACE_SALESFORCE__PASSWORD: Field required"):
        Settings.load()


def test_secrets_may_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SALESFORCE.items():
        (tmp_path / name.lower()).write_text(value)
    monkeypatch.setenv("MILLRACE_SECRETS_DIR", str(tmp_path))
    settings = Settings.load()
    assert settings.salesforce is not None
    assert settings.salesforce.security_token.get_secret_value() == "hunter2-token"
    monkeypatch.setenv("MILLRACE_SECRETS_DIR", str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="MILLRACE_SECRETS_DIR"):
        Settings.load()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().lake = "elsewhere"  # type: ignore[misc]


def test_the_key_of_the_pseudonyms_may_be_given() -> None:
    assert Settings.load().load_pseudonym_key() == b"key of the tests"


def _secret(var: str) -> str:
    return Settings(var=Path(var)).local_secret("example")


def test_local_secrets_are_made_once_for_the_owner_only(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = set(pool.map(_secret, [str(tmp_path)] * 12))
    assert len(found) == 1
    assert len(found.pop()) == 64
    files = list((tmp_path / "secrets").iterdir())
    assert [file.name for file in files] == ["example"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
