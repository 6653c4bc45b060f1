"""How every generator starts: its arguments checked, its random streams, its progress told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.errors import ConfigError

#: Called with what is being done and the share done, 0 to 1.
Progress = Callable[[str, float], None]


def silent(message: str, share: float) -> None:
    """Report no progress."""


def require_at_least(*arguments: tuple[str, int, int]) -> None:
    """Check sizes, each as name, value and least value.

    Raises
    ------
    ConfigError
        One is too small.
    """
    for name, value, least in arguments:
        if value < least:
            raise ConfigError(f"--{name} must be at least {least}, got {value}")


def require_dirty_share(share: float) -> None:
    """Check the share of bad rows.

    Raises
    ------
    ConfigError
        It is not in [0, 0.1].
    """
    if not 0 <= share <= 0.1:
        raise ConfigError(f"dirty_share must be in [0, 0.1], got {share}")


def random_stream(seed: int, stream: int, block: int = 0) -> np.random.Generator:
    """Random numbers of a concern in a block of the data, independent of those of all others."""
    return np.random.default_rng(np.random.SeedSequence([seed, block], spawn_key=(stream,)))
