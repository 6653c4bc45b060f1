"""HTTP/1.1 over TLS, one thread per connection.

The standard library's server: an emulator serves a handful of clients, and a fault has to reach down
to the socket, which server frameworks hide.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import socketserver
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from pipelines.lab.emulator.http import Request, Response

MAX_HEAD_BYTES = 16_384
"""The service refuses a request whose URI and headers are longer: a query with a long ``IN`` list."""

_LOG = logging.getLogger(__name__)
_TOO_LONG = Response(414, b"<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>", "text/html")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no patience: close sends RST


class Application(Protocol):
    """What answers requests."""

    def answer(self, request: Request) -> tuple[Response, str | None]:
        """Response and transport fault; see :meth:`pipelines.lab.emulator.app.App.answer`."""


class HttpsServer(ThreadingHTTPServer):
    """The listening socket; connections end with the server.

    Parameters
    ----------
    address
        Host and port; port 0 takes a free one.
    context
        Certificate to present.
    application
        What answers.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, application: Application) -> None:
        self.application = application
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)
        # The handshake happens at the first read, in the connection's thread: a client that never
        # speaks must not stop the others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which may take long where there is no DNS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Serve a connection in a thread of its own."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close a connection."""
        with self._open_lock:
            self._open.discard(request)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore broken connections, which are this server's purpose; log everything else."""
        if not isinstance(sys.exc_info()[1], OSError):
            _LOG.exception("the Salesforce emulator failed to answer")

    def close_connections(self) -> None:
        """Break every open connection, as the end of the process would."""
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            _reset(connection)


def _reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # the peer was faster
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "millrace-salesforce-emulator"
    sys_version = ""
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True
    server: HttpsServer

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: requests are counted, and headers carry sessions."""

    def _serve(self) -> None:
        body = self._read_body()
        if len(self.requestline) + len(self.headers.as_bytes()) > MAX_HEAD_BYTES:
            self._send(_TOO_LONG, None)
            return
        split = urlsplit(self.path)
        request = Request(
            self.command,
            split.path.rstrip("/"),
            dict(parse_qsl(split.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
            ipaddress.ip_address(self.client_address[0]).is_loopback,
        )
        response, fault = self.server.application.answer(request)
        if fault == "silence":
            self.connection.recv(
                1
            )  # a client with manners says nothing before it is answered: this is its end
        if fault in ("drop_before", "drop_after", "silence"):
            self._drop()
        else:
            self._send(response, fault)

    def _send(self, response: Response, fault: str | None) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if fault == "truncate":
            self.wfile.write(response.body[: len(response.body) // 2])
            self.wfile.flush()
            self._drop()
            return
        self.wfile.write(response.body)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _drop(self) -> None:
        self.close_connection = True
        _reset(self.connection)
