"""The functions that workers import are found on the path of the tests."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Module of functions that worker processes can import."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import group_functions

    return group_functions
