"""A process that applies a function to one group after another; started by the local engine.

It ends when the other end of its connection closes, for whatever reason.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

#: A first message names where modules are found and the function; then every message is a group.
Task = tuple[Callable[[Any], Any], Any]


def serve(connection: Connection) -> None:
    """Answer every ``(function, frame)`` with ``(True, result)`` or ``(False, traceback)`` until the end."""
    sys.path[:] = connection.recv()
    while True:
        try:
            function, frame = connection.recv()
        except EOFError:
            return
        try:
            answer = (True, function(frame))
        except BaseException:  # noqa: BLE001 - whatever it is, the other side has to hear of it
            answer = (False, traceback.format_exc())
        try:
            connection.send(answer)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
