"""An object store that fails as real ones do: a proxy before a working one, which plays the faults of a profile.

Which calls suffer follows from the seed, the request and how often it was made, not from how threads take turns.
"""

from __future__ import annotations

import http.client
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .hostile_profile import DRAWN, Call, Profile, Reply
from .s3_server import S3Server

_ERRORS = ((500, "InternalError"), (503, "SlowDown"), (502, "BadGateway"), (503, "ServiceUnavailable"))
_CONDITIONS = ("if-none-match", "if-match")
# What a new signature replaces, and what belongs to one connection.
_RESIGNED = frozenset({"authorization", "x-amz-date", "x-amz-content-sha256", "host", "expect", "content-length"})
_HOPS = frozenset({"content-length", "transfer-encoding", "connection"})


@dataclass
class _Kept:
    """An object as the proxy saw it made, and when it was deleted or replaced."""

    bytes: int
    born: float
    died: float = float("inf")
    new: bool = True


class HostileStore:
    """The proxy. `counts` tells how often each fault was played since `play`, `asked` the (method, path) of all calls.

    clock  gives the seconds by which things lag

    What was not written through it is in no delayed listing and counts for no quota.
    """

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.url = ""
        self.closing = threading.Event()
        self.clock: Callable[[], float] = time.monotonic
        self.counts: Counter[str] = Counter()
        self.asked: list[tuple[str, str]] = []
        self._kept: dict[str, list[_Kept]] = {}
        self._parts: dict[str, dict[str, int]] = {}
        self._met: dict[tuple[str, str], threading.Barrier] = {}
        self._lock = threading.RLock()
        self.play()

    def play(self, profile: Profile | None = None) -> None:
        """Another profile from now on, by default without faults; counts begin anew, what is stored stays."""
        with self._lock:
            self.profile = profile or Profile()
            self.counts.clear()
            self.asked.clear()
            self._drawn: Counter[tuple[str, str, str]] = Counter()
            self._seen_together: set[str] = set()
            self._full = False

    @property
    def faults(self) -> int:
        return self.counts.total()

    def answer(self, call: Call) -> Reply | None:
        """What the client gets; None where the connection closes without an answer."""
        profile = self.profile
        with self._lock:
            self.asked.append((call.method, call.path))
        if refused := self._refused(call, profile):
            return refused
        fault = self._draw(call, profile)
        if fault == "errors":
            return _error(*_ERRORS[self.counts["errors"] % len(_ERRORS)], call)
        if fault == "hangs":
            self.closing.wait(profile.hang_seconds)
            return None
        if profile.list_lag and call.lists:
            return self._old_listing(call, self.clock() - profile.list_lag)
        if profile.meeting and call.method == "GET" and call.key.endswith(profile.meeting):
            first = call.path not in self._seen_together
            if first and self._meets(call, profile.meeting_seconds):
                with self._lock:
                    self._seen_together.add(call.path)
                    self.counts["meeting"] += 1
        reply = self._forward(call, self._strips(call, profile), fault == "damaged")
        if reply.status < 300:
            self._remember(call)
        if fault in ("lost", "late"):
            return _error(500 if fault == "lost" else 200, "InternalError", call)
        if fault in ("truncated", "resets"):
            reply.length, reply.body = len(reply.body), reply.body[: len(reply.body) // 2]
            reply.cut = fault == "resets"
        return reply

    def _draw(self, call: Call, profile: Profile) -> str | None:
        kind = (call.method, call.key, "&".join(sorted(call.query)))
        with self._lock:
            self._drawn[kind] += 1
            chance = random.Random(f"{profile.seed} {kind} {self._drawn[kind]}").random()
            spent = profile.most is not None and sum(self.counts[name] for name in DRAWN) >= profile.most
            if spent or (profile.methods and call.method not in profile.methods):
                return None
            for name in filter(call.suffers, DRAWN):
                share: float = getattr(profile, name)
                if chance < share:
                    self.counts[name] += 1
                    return name
                chance -= share
        return None

    def _refused(self, call: Call, profile: Profile) -> Reply | None:
        newer = any(
            name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")) for name in call.headers
        )
        if call.method in profile.forbidden:
            return self._played("forbidden", 403, "AccessDenied", call)
        if profile.no_checksums and newer:
            return self._played("no_checksums", profile.no_checksums, "NotImplemented", call)
        if profile.no_bulk and call.method == "POST" and "delete" in call.query:
            return self._played("no_bulk", 403, "AccessDenied", call)
        if profile.bucket_409 and call.method == "PUT" and not call.key and not call.query and self._has(call):
            return self._played("bucket_409", 409, "BucketAlreadyExists", call)
        if profile.read_lag and any(self._is_new(path, profile.read_lag) for path in _read(call)):
            return self._played("read_lag", 404, "NoSuchKey", call)
        if profile.quota is not None and call.method in ("PUT", "POST") and call.key and not call.completes:
            with self._lock:
                last = [kept[-1] for path, kept in self._kept.items() if path.startswith(f"/{call.bucket}/")]
                used = sum(each.bytes for each in last if each.died == float("inf"))
                self._full = self._full or used + len(call.body) > profile.quota
            if self._full:
                return self._played("quota", profile.quota_status, "QuotaExceeded", call)
        return None

    def _played(self, fault: str, status: int, code: str, call: Call) -> Reply:
        with self._lock:
            self.counts[fault] += 1
        return _error(status, code, call)

    def _has(self, call: Call) -> bool:
        return self._forward(Call("HEAD", call.target, {}, b""), signed=True).status == 200

    def _is_new(self, path: str, lag: float) -> bool:
        with self._lock:
            kept = self._kept.get(path) or [_Kept(0, float("-inf"))]
            return kept[-1].new and self.clock() - kept[-1].born < lag

    def _strips(self, call: Call, profile: Profile) -> bool:
        """Whether the conditions of a PUT are taken off."""
        asked = call.method == "PUT" and any(name in call.headers for name in _CONDITIONS)
        if not asked or profile.conditions == "kept":
            return False
        if profile.conditions == "raced" and not self._meets(call, profile.race_seconds):
            return False
        with self._lock:
            self.counts[profile.conditions] += 1
        return True

    def _meets(self, call: Call, seconds: float) -> bool:
        """Wait for a second call of this kind; whether it came."""
        kind = (call.method, call.path)
        with self._lock:
            barrier = self._met.pop(kind, None) or self._met.setdefault(kind, threading.Barrier(2))
        try:
            barrier.wait(seconds)
        except threading.BrokenBarrierError:
            with self._lock:
                if self._met.get(kind) is barrier:
                    del self._met[kind]
            return False
        return True

    def _forward(self, call: Call, signed: bool, damaged: bool = False) -> Reply:
        """The server's answer; signed anew where headers were taken off."""
        headers, body = call.headers, call.body
        if signed:
            dropped = {*_RESIGNED, *_CONDITIONS}
            request = AWSRequest(
                call.method,
                self.server.endpoint_url + call.target,
                {name: value for name, value in headers.items() if name not in dropped},
                body,
            )
            S3SigV4Auth(Credentials(self.server.access_key, self.server.secret), "s3", "us-east-1").add_auth(request)
            headers = {**request.headers, "Host": urlsplit(self.server.endpoint_url).netloc}
            headers |= {"Content-Length": str(len(body))} if body or call.method in ("PUT", "POST") else {}
        if damaged:
            body = bytes([body[0] ^ 1]) + body[1:]
        back = http.client.HTTPConnection(urlsplit(self.server.endpoint_url).netloc)
        try:
            back.putrequest(call.method, call.target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                back.putheader(name, value)
            back.endheaders(body or None)
            answer = back.getresponse()
            content = answer.read()
        finally:
            back.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOPS]
        length = int(answer.getheader("Content-Length") or 0) if call.method == "HEAD" else None
        return Reply(answer.status, kept, content, length)

    def _remember(self, call: Call) -> None:
        """What a successful call has made or deleted."""
        query, now = call.query, self.clock()
        with self._lock:
            parts = self._parts.setdefault(query["uploadId"], {}) if "uploadId" in query else {}
            if call.method == "PUT" and "partNumber" in query:
                parts[query["partNumber"]] = len(call.body)
            elif call.puts or call.completes or (call.method == "DELETE" and call.key and not query):
                held = self._kept.setdefault(call.path, [])
                lives = bool(held) and held[-1].died == float("inf")
                if lives:
                    held[-1].died = now
                if call.method == "DELETE":
                    self._full = False
                else:
                    source = self._kept.get(call.source)
                    size = source[-1].bytes if source else sum(parts.values()) or len(call.body)
                    held.append(_Kept(size, now, new=not lives))

    def _old_listing(self, call: Call, at: float) -> Reply:
        """ListObjectsV2 as it was at a time, in one page."""
        bucket, query = call.path.strip("/"), call.query
        prefix = f"/{bucket}/{query.get('prefix', '')}"
        with self._lock:
            kept = {path: held for path, held in self._kept.items() if path.startswith(prefix)}
            found = {path: each for path, held in kept.items() for each in held if each.born <= at < each.died}
            self.counts["list_lag"] += set(found) != {path for path, held in kept.items() if held[-1].died > 1e300}
        entries = "".join(
            f"<Contents><Key>{quote(path.removeprefix(f'/{bucket}/'))}</Key><Size>{found[path].bytes}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;0&quot;</ETag></Contents>"
            for path in sorted(found)
        )
        text = (
            f"<ListBucketResult><Name>{bucket}</Name><Prefix>{quote(query.get('prefix', ''))}</Prefix><EncodingType>url"
            f"</EncodingType><KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        )
        return Reply(200, [("Content-Type", "application/xml")], text.encode())


def _read(call: Call) -> list[str]:
    """Paths of the objects that a call reads."""
    return [call.path] if call.key and call.method in ("GET", "HEAD") else [call.source] if call.source else []


def _error(status: int, code: str, call: Call) -> Reply:
    """A refusal that quotes what was signed, as real servers do."""
    told = call.headers.get("authorization", "").replace("&", "&amp;")
    text = f"<Error><Code>{code}</Code><Message>{told}</Message><StringToSign>{told}</StringToSign></Error>"
    body = b"" if call.method == "HEAD" else text.encode()
    return Reply(status, [("Content-Type", "application/xml")], body)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hostile: HostileStore

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        try:
            reply = self.hostile.answer(Call(self.command, self.path, headers, body))
        except (OSError, http.client.HTTPException):
            reply = None  # the server itself is gone
        if reply is None:
            self.close_connection = True
            return
        length = len(reply.body) if reply.length is None else reply.length
        if reply.cut and not reply.body:
            self.wfile.write(b"HTTP/1.1 2")
            self._reset()
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.cut:
            self._reset()
        elif self.command != "HEAD" and length != len(reply.body):
            self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hung up


@contextmanager
def hostile_store(server: S3Server) -> Iterator[HostileStore]:
    """A proxy on a free port, without faults until it is told what to play."""
    state = HostileStore(server)
    handler = type("Handler", (_Handler,), {"hostile": state})
    proxy = _Quiet(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{proxy.server_port}"
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        proxy.shutdown()
        thread.join()
        with suppress(OSError):
            proxy.server_close()
