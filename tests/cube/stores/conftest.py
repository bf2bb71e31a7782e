"""Stores to test, and a small web server that fails as it is told."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cube.stores import Storage, Store, open_store, retry


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer. `promised` is the Content-Length where it differs from what is sent; `hang_up` sends nothing."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None
    hang_up: bool = False
    delay: float = 0.0


class FaultyServer:
    """Answers by `respond`, on a free port of 127.0.0.1, and remembers what it was asked."""

    def __init__(self) -> None:
        self.forget()
        self._closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                outer.asked.append(asked)
                reply = outer.respond(asked)
                outer._closing.wait(reply.delay)
                if reply.hang_up or outer._closing.is_set():
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header(
                        "Content-Length", str(len(reply.body) if reply.promised is None else reply.promised)
                    )
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)
                if reply.promised is not None:
                    self.close_connection = True

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._answer)

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that hung up

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def forget(self) -> None:
        """Start anew, with a bucket name that nobody has used."""
        self.asked: list[Asked] = []
        self.respond: Callable[[Asked], Reply] = lambda asked: Reply(404)
        self.bucket = f"bucket-{secrets.token_hex(4)}"

    def replies(self, *replies: Reply) -> None:
        """Answer with these in turn, and with the last one for ever."""
        waiting = list(replies)
        self.respond = lambda asked: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="session")
def _one_faulty() -> Iterator[FaultyServer]:
    # One address, because a new S3 client for each test would take most of the time.
    server = FaultyServer()
    yield server
    server.close()


@pytest.fixture
def faulty(_one_faulty: FaultyServer) -> FaultyServer:
    """A server that answers 404 until it is told otherwise."""
    _one_faulty.forget()
    return _one_faulty


@pytest.fixture
def mortal() -> Iterator[FaultyServer]:
    """The same, for this test alone, which may close it."""
    server = FaultyServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without long pauses."""
    monkeypatch.setattr(retry, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(retry, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 5.0)
    monkeypatch.setattr(retry, "CONTACT_SECONDS", 0.1)
    monkeypatch.setattr(retry, "LAG_SECONDS", 1.0)


@pytest.fixture
def s3_storage(request: pytest.FixtureRequest) -> Storage:
    return Storage(endpoint_url=request.getfixturevalue("s3_server").endpoint_url, policy="aws")


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store that can be written."""
    if request.param == "directory":
        return open_store(tmp_path / "a store")
    return open_store(request.getfixturevalue("s3_url"), request.getfixturevalue("s3_storage"))


@pytest.fixture
def reader(request: pytest.FixtureRequest, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that reads from the faulty server, as a web address or as an object store."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return reading(request.param, faulty)


def reading(kind: str, server: FaultyServer, region: str | None = None) -> Store:
    """A store of the server's bucket: "http" or "s3". Another region makes another connection."""
    if kind == "http":
        return open_store(f"{server.url}/{server.bucket}")
    return open_store(f"s3://{server.bucket}", Storage(endpoint_url=server.url, anonymous=True, region=region))
