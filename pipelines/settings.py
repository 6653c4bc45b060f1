"""Deployment settings: where things are. Read once, at the start of a step.

Every setting is an environment variable ``MILLRACE_<NAME>``; nested ones use two underscores
(``MILLRACE_SALESFORCE__USERNAME``). Secrets are never printed. Where the environment is not the place
for them, ``MILLRACE_SECRETS_DIR`` names a folder with one file per variable, called like the variable
in lower case (``millrace_salesforce__password``); the environment wins.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from pipelines.errors import ConfigError
from pipelines.usecases import names

PROJECT_ROOT = Path(__file__).resolve().parents[1]


def hide_credentials(text: str) -> str:
    """Leave user and password out of every address in a text."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, which no proxy between can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


_LOGIN = "SOAP login of an integration user."


class SalesforceSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """How to reach a Salesforce org (or the emulator)."""

    username: str = Field(description=_LOGIN)
    password: SecretStr = Field(description=_LOGIN)
    security_token: SecretStr = Field(SecretStr(""), description=_LOGIN)
    instance: str = Field(
        "login.salesforce.com",
        description="Host (and port) that answers the login, for instance `login.salesforce.com`, "
        "`test.salesforce.com` or `127.0.0.1:8443`.",
    )
    ca_bundle: Path | None = Field(
        None,
        description="PEM file of the certificate authority to trust instead of the system's; the emulator's.",
    )


class DynamoSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Where forecasts are served from. Credentials are none of ours: boto3 finds them as it always does."""

    table: str = Field(
        "millrace", description="Table that all use cases share, each under a namespace of its own."
    )
    region: str = Field("", description="AWS region; that of the environment or profile if empty.")
    endpoint_url: str = Field(
        "", description="Address of another service than AWS's, for instance DynamoDB Local; empty for AWS."
    )
    create_table: bool = Field(
        False,
        description="Whether a table that is missing is made. Off where the table is managed elsewhere, so that a "
        "mistyped name is an error.",
    )


_PARAMS = re.compile(r"MILLRACE_([A-Z0-9_]+)_PARAMS")


def _overrides() -> dict[str, Mapping[str, Any]]:
    """Parameter overrides by use case; raises ``ConfigError`` if a variable names none, or is not a mapping."""
    found: dict[str, Mapping[str, Any]] = {}
    for variable, text in os.environ.items():
        matched = _PARAMS.fullmatch(variable)
        if matched is None or not text:
            continue
        usecase = matched[1].lower()
        if usecase not in names():
            raise ConfigError(f"{variable} names no use case; they are {', '.join(names())}")
        try:
            given = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{variable} is not valid YAML: {error}") from None
        if not isinstance(given, dict):
            raise ConfigError(f"{variable} must be a mapping of dotted keys, got {given!r}")
        found[usecase] = given
    return found


class Settings(BaseSettings):
    """All deployment settings, frozen; an unknown ``MILLRACE_*`` nested key is refused."""

    model_config = SettingsConfigDict(
        env_prefix="MILLRACE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    home: Path = Field(PROJECT_ROOT, description="Checkout: DAGs, dbt project, parameter files.")
    var: Path = Field(PROJECT_ROOT / "var", description="Everything that runs write.")
    lake: str = Field("", description="Folder or s3:// address of the Delta tables; <var>/lake if empty.")
    mlflow_tracking_uri: str = Field("", description="MLflow back end; SQLite under <var> if empty.")
    pseudonym_key: SecretStr | None = Field(
        None, description="Key of the account pseudonyms; <var>/secrets/pseudonym.key if unset."
    )
    salesforce: SalesforceSettings | None = None
    dynamodb: DynamoSettings | None = None
    overrides: Mapping[str, Mapping[str, Any]] = Field(
        default_factory=dict,
        description="By use case: dotted keys that replace values of its params.yaml; set "
        "MILLRACE_<USE CASE>_PARAMS to a JSON or YAML mapping.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, then the files under ``MILLRACE_SECRETS_DIR``."""
        folder = os.environ.get("MILLRACE_SECRETS_DIR")
        if not folder:
            return init_settings, env_settings
        files = NestedSecretsSettingsSource(
            file_secret_settings, secrets_dir=folder, secrets_dir_missing="error"
        )
        return init_settings, env_settings, files

    @classmethod
    def load(cls) -> Settings:
        """Read the environment.

        Raises ``ConfigError`` if a variable is unknown or malformed; the message names it, never its value.
        """
        try:
            return cls(overrides=_overrides())
        except ValidationError as error:
            problems = "; ".join(
                f"MILLRACE_{'__'.join(str(part).upper() for part in e['loc'])}: {e['msg']}"
                for e in error.errors(include_input=False, include_url=False)
            )
            raise ConfigError(f"the environment is not valid: {problems}") from None
        except SettingsError as error:  # the folder of secrets
            raise ConfigError(f"MILLRACE_SECRETS_DIR: {error}") from None

    @property
    def lake_uri(self) -> str:
        """Root of the lake."""
        return self.lake or str(self.var / "lake")

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking and registry back end."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.var / 'mlflow' / 'mlflow.db'}"

    @property
    def tracking_address(self) -> str:
        """The tracking URI without user, password and parameters, for messages and pages."""
        return hide_credentials(self.tracking_uri).partition("?")[0]

    @property
    def artifact_root(self) -> str:
        """Where MLflow keeps artifacts when the back end is the local SQLite file."""
        return (self.var / "mlflow" / "artifacts").as_uri()

    @property
    def report_dir(self) -> Path:
        """Root of the HTML report site."""
        return self.var / "report"

    @property
    def dbt_project(self) -> Path:
        """The dbt project folder."""
        return self.home / "dbt_project"

    def load_pseudonym_key(self) -> bytes:
        """Key of the pseudonyms; without ``MILLRACE_PSEUDONYM_KEY`` a local secret, so that a laptop needs no set-up."""
        if self.pseudonym_key is not None:
            return self.pseudonym_key.get_secret_value().encode()
        return self.local_secret("pseudonym.key").encode()

    def local_secret(self, name: str) -> str:
        """Read a secret of this machine, made at random on first use, from ``<var>/secrets``.

        The file is readable by its owner only. Whoever comes first makes it; the others read it.
        """
        path = self.var / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            handle, draft = tempfile.mkstemp(dir=path.parent)  # mode 0600
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)  # atomic: never a half-written secret, never two
            Path(draft).unlink()
        return path.read_text()
