"""What a bench found, in the one shape that all of them print."""

from __future__ import annotations

import json
import math
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class BenchResult:
    """Result of a bench.

    Attributes
    ----------
    bench : str
        Its name.
    metrics : mapping
        What was measured, by name; numbers or JSON-able structures of numbers.
    seconds : float
        Wall time of the whole bench.
    peak_rss_mb : float
        Largest resident memory, in MiB.
    peers : mapping
        The same metrics for what a user would pick instead, by name; measured in the same run.
    """

    bench: str
    metrics: Mapping[str, Any]
    seconds: float
    peak_rss_mb: float
    peers: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of JSON; numbers rounded to six decimals, small ones to six digits, undefined ones null."""
        return json.dumps(_plain(asdict(self)), allow_nan=False)


def peak_rss_mb() -> float:
    """Largest resident memory that this process, or any one ended child, has had, in MiB."""
    per_mib = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss: bytes on macOS, KiB on Linux
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(usage.ru_maxrss for usage in usages) / per_mib


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if hasattr(value, "item"):  # numpy's scalars
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        # Errors of arithmetic are tiny and must not print as zero.
        return round(value, 6) if abs(value) >= 1e-3 else float(f"{value:.6g}")
    return value
