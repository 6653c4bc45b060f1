"""Loading of use-case parameters: one YAML file per use case, typed, frozen, unknown keys refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.errors import ConfigError


class Params(BaseModel, frozen=True, extra="forbid"):
    """Base of the parameter models; nested models derive from it too."""

    @classmethod
    def load(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read and validate a YAML file; ``overrides`` replace values by dotted key: ``{"gate.min_auc_pr": 0.5}``.

        Raises ``ConfigError`` if the file is missing or not YAML, a key is unknown, a value is out of range.
        The message names file, key, value and rule.
        """
        try:
            content = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            raise ConfigError(f"parameter file {path} does not exist") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"parameter file {path} is not valid YAML: {error}") from None
        if not isinstance(content, dict):
            raise ConfigError(f"parameter file {path} must be a mapping, got {type(content).__name__}")
        for dotted, value in (overrides or {}).items():
            *parents, leaf = dotted.split(".")
            target = content
            for parent in parents:
                target = target.setdefault(parent, {})
            target[leaf] = value
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors()
            )
            raise ConfigError(f"{path.name} is not valid: {problems}. Allowed keys: {_keys(cls)}") from None

    def flat(self) -> dict[str, Any]:
        """Dotted keys and values, as logged with a run."""
        return dict(_flatten(self.model_dump(mode="json")))

    @property
    def fingerprint(self) -> str:
        """Short hash of all values; two runs with equal fingerprints had equal parameters."""
        return hashlib.sha256(json.dumps(self.flat(), sort_keys=True).encode()).hexdigest()[:12]


def _keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            keys += _keys(nested, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _flatten(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for key, value in values.items():
        items += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return items
