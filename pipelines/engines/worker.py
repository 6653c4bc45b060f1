"""A process that applies a function to one group after another; started by the local engine.

It ends when the other end of its connection closes, for whatever reason.
"""

from __future__ import annotations

import sys
import traceback
from multiprocessing.connection import Connection


def serve(connection: Connection) -> None:
    """Take the path of modules, then answer every ``(function, frame)`` with success and the result or traceback."""
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
