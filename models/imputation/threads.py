"""One thread for linear algebra on small matrices: more would wait for each other, and the blocks have threads."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def single_blas() -> AbstractContextManager[Any]:
    """Pin BLAS to one thread inside a ``with`` block."""
    limits: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limits
