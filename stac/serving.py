"""A read-only HTTP server for a cube directory, for browsing and for notebooks.

Only what readers need is served, by position: catalogue, collections, items and what lies below a version. The
standard library's server is used because byte ranges are the whole point, and the libraries at hand do not get
`If-Range` and unknown range units right (RFC 9110, sections 13.1.5 and 14.2).
"""

from __future__ import annotations

import contextlib
import http.server
import logging
import os
import socket
import socketserver
import stat
import threading
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from cube.errors import CubeError, MissingObjectError, Problem
from stac.requests import byte_range, content_type, names, served_key

log = logging.getLogger(__name__)

_IMMUTABLE = "public, max-age=31536000, immutable"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
}
_PREFLIGHT = {
    "Allow": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Cache-Control, Content-Type, If-None-Match, If-Range, Range",
    "Access-Control-Max-Age": "86400",
}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "cube"
    sys_version = ""
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"
    timeout = 60
    disable_nagle_algorithm = True

    @property
    def cube(self) -> _HTTPServer:
        return cast("_HTTPServer", self.server)

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        # A body is never read: what follows on the connection could not be told from it.
        if parsed and ({"content-length", "transfer-encoding"} & {name.lower() for name in self.headers}):
            self.close_connection = True
        return parsed

    def end_headers(self) -> None:
        for name, value in {**_CORS, "X-Content-Type-Options": "nosniff"}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s %r", self.address_string(), format % args)

    def do_GET(self) -> None:
        key = served_key(self.path)
        file = self._open(key) if key else None
        if key is None or file is None:
            self._say(HTTPStatus.NOT_FOUND, {"Cache-Control": "no-cache"})
            return
        with file:
            self._answer(key, file)

    do_HEAD = do_GET  # noqa: N815

    def do_OPTIONS(self) -> None:
        self._head(HTTPStatus.NO_CONTENT, _PREFLIGHT)

    def _refuse(self) -> None:
        self.close_connection = True
        self._say(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": _PREFLIGHT["Allow"], "Connection": "close"})

    do_POST = do_PUT = do_PATCH = do_DELETE = _refuse  # noqa: N815

    def _open(self, key: tuple[str, ...]) -> BinaryIO | None:
        """The regular file of a key; None where there is none or where a link leads elsewhere."""
        path = self.cube.root.joinpath(*key)
        try:
            if path.resolve() != path:
                return None
            # Non-blocking, so that a named pipe cannot hold the thread.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return os.fdopen(descriptor, "rb")

    def _answer(self, key: tuple[str, ...], file: BinaryIO) -> None:
        found = os.fstat(file.fileno())
        size = found.st_size
        etag = f'"{found.st_mtime_ns:x}-{size:x}-{found.st_ino:x}"'
        headers = {
            "ETag": etag,
            "Cache-Control": _IMMUTABLE if len(key) > 3 else "no-cache",
            "Accept-Ranges": "bytes",
        }
        if names(self.headers.get("If-None-Match"), etag):
            self._head(HTTPStatus.NOT_MODIFIED, headers)
            return
        headers["Content-Type"] = content_type(key)
        # Ranges are for GET only, and only of the very file that the client holds a part of.
        wanted = self.headers.get("Range") if self.command == "GET" else None
        if self.headers.get("If-Range", etag) != etag:
            wanted = None
        try:
            part = byte_range(wanted, size)
        except ValueError:
            headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers)
            return
        start, stop = part or (0, size)
        headers["Content-Length"] = str(stop - start)
        if part:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._head(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK, headers)
        if self.command == "GET" and stop > start:
            self._send(file, start, stop - start)

    def _say(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        body = f"{status} {status.phrase}\n".encode()
        common = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        self._head(status, {**common, **headers})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, file: BinaryIO, start: int, count: int) -> None:
        try:
            sent = self.connection.sendfile(file, start, count)
        except OSError:  # the client went away, or was too slow
            sent = 0
        if sent != count:
            self.close_connection = True


class _HTTPServer(http.server.ThreadingHTTPServer):
    allow_reuse_port = False
    request_queue_size = 128

    def __init__(self, root: Path, host: str, port: int) -> None:
        self.root = root
        self.connections: dict[Any, threading.Thread] = {}
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # The inherited method looks the host's name up, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        arguments = (request, client_address)
        thread = threading.Thread(target=self.process_request_thread, args=arguments, daemon=True)
        self.connections[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        self.connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("connection from %s failed", client_address, exc_info=True)


class Server:
    """A running server; `close` it, or use it as a context manager."""

    def __init__(self, server: _HTTPServer, host: str) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="cube-serve", daemon=True)
        self._thread.start()
        name = f"[{host}]" if ":" in host else host
        self.port = int(server.server_address[1])
        self.url = f"http://{name}:{self.port}"

    def wait(self) -> None:
        """Return when the server is closed, by another thread or a signal's exception."""
        self._thread.join()

    def close(self) -> None:
        """Stop answering, end open connections and free the port. Closing twice is fine."""
        self._server.shutdown()
        self._server.server_close()
        for connection, thread in list(self._server.connections.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def serve(directory: Path | str, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Serve the cube in a directory, in the background, until the returned server is closed.

    host  the address to listen on; any other than a loopback one shows the cube to the network
    port  0 takes a free one, see `Server.url`

    Raises MissingObjectError where the directory holds no catalogue, CubeError where the address cannot be used.
    """
    root = Path(directory).resolve()
    if not (root / "catalog.json").is_file():
        raise MissingObjectError(
            Problem(
                "serve-no-cube",
                "there is no catalog.json",
                str(directory),
                "only a cube is served, never any other directory",
                "name the directory of a cube's `store:`, after its first `cube build`",
            )
        )
    try:
        return Server(_HTTPServer(root, host, port), host)
    except (OSError, OverflowError) as error:
        raise CubeError(
            Problem(
                "serve-address",
                f"cannot listen: {error}",
                f"{host}:{port}",
                fix="name another --port (0 takes a free one) or an address of this machine",
            )
        ) from error
