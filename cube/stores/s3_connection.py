"""One S3 client for each process and way of signing in, shared by all stores and threads of the process."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import fsspec.asyn
import s3fs

from cube.errors import MissingObjectError, StoreError
from cube.stores import retry
from cube.stores.s3_errors import RAISED, code_of, request_error, status_of
from cube.stores.storage import Storage

CONFIG = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "max_pool_connections": 64,
    # Retries are ours alone.
    "retries": {"total_max_attempts": 1, "mode": "standard"},
    "s3": {"addressing_style": "path"},
    # Servers other than AWS's may not know the newer checksum headers.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


class StatusError(Exception):
    """An answer that the caller asked to see instead of an error."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Conditional:
    """Which conditional PUTs a server honours: of a new object (If-None-Match) and of a known one (If-Match)."""

    create: bool
    replace: bool


class Connection:
    """A client with retries, and what this process knows of the server. Use `connect`."""

    def __init__(self, storage: Storage) -> None:
        profile = {"profile": storage.profile} if storage.profile else {}
        self._filesystem = s3fs.S3FileSystem(
            anon=storage.anonymous,
            endpoint_url=storage.endpoint_url,
            client_kwargs={"region_name": storage.region} if storage.region else {},
            config_kwargs=CONFIG,
            skip_instance_cache=True,
            **profile,
        )
        self._client: Any = None
        self._answered = False
        self._buckets: set[str] = set()
        self._written: dict[str, float] = {}
        self._conditional: dict[str, Conditional] = {}
        self._lock = threading.Lock()

    def call(
        self,
        operation: str,
        where: str,
        parameters: Mapping[str, Any],
        *,
        body: bytes | None = None,
        seen: tuple[int, ...] = (),
        check: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """The answer to one S3 operation, its body read.

        operation   name of botocore's client method, such as "get_object"
        where       address of the object, for errors and for the memory of what was written
        parameters  of the method
        body        what to send
        seen        statuses raised as StatusError instead of being judged here
        check       raises TransientError for an answer that is not whole

        Raises StoreError, MissingObjectError and StatusError.
        """

        def attempt() -> dict[str, Any]:
            try:
                answer = self._send(operation, body, parameters)
            except RAISED as error:
                # Without the cause: its text is the server's.
                raise self._judged(error, operation, where, seen) from None
            self._answered = True
            self._buckets.add(str(parameters.get("Bucket")))
            if check:
                check(answer)
            return answer

        return retry.retrying(attempt)

    def _send(self, operation: str, body: bytes | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
        async def send() -> dict[str, Any]:
            client = await self._filesystem.set_session()
            if client is not self._client:
                client.meta.events.register("before-call.s3", _send_plain_digest)
                self._client = client
            # A fresh stream for each attempt; it shares the bytes.
            extra = {} if body is None else {"Body": io.BytesIO(body)}
            method: Callable[..., Awaitable[dict[str, Any]]] = getattr(client, operation)
            answer = await method(**parameters, **extra)
            if "Body" in answer:
                async with answer["Body"] as stream:
                    answer["Body"] = await stream.read()
            return answer

        answer: dict[str, Any] = fsspec.asyn.sync(self._filesystem.loop, send)
        return answer

    def _judged(self, error: BaseException, operation: str, where: str, seen: tuple[int, ...]) -> Exception:
        status = status_of(error)
        self._answered = self._answered or bool(status)
        judged = request_error(error, operation, where, answered=self._answered)
        if isinstance(judged, MissingObjectError) and code_of(error) != "NoSuchUpload" and self._lags(where):
            return retry.TransientError(judged)
        if status in seen and isinstance(judged, StoreError):
            return StatusError(status, code_of(error))
        return judged

    def has_answered_for(self, bucket: str) -> bool:
        """Whether a request to this bucket has succeeded, so that the bucket exists."""
        return bucket in self._buckets

    def note_written(self, *where: str) -> None:
        """Remember that the objects at these addresses have just been written."""
        now = time.monotonic()
        with self._lock:
            for name in where:
                # The last one written stands last.
                self._written.pop(name, None)
                self._written[name] = now
            while self._written and now - next(iter(self._written.values())) >= retry.LAG_SECONDS:
                del self._written[next(iter(self._written))]

    def note_deleted(self, where: str) -> None:
        with self._lock:
            self._written.pop(where, None)

    def _lags(self, where: str) -> bool:
        at = self._written.get(where)
        return at is not None and time.monotonic() - at < retry.LAG_SECONDS

    def conditional(self, bucket: str, probe: Callable[[], Conditional]) -> Conditional:
        """What `probe` found out for this bucket, asked once."""
        known = self._conditional.get(bucket)
        if known is None:
            known = self._conditional[bucket] = probe()
        return known


def content_md5(body: bytes) -> str:
    """The digest of a body as Content-MD5 gives it."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _send_plain_digest(params: dict[str, Any], **_: Any) -> None:
    """Content-MD5 for the few operations that botocore gives one of the newer checksums whatever its settings."""
    checksum = params["context"].get("checksum", {})
    if checksum.pop("request_algorithm", None):
        checksum.pop("request_algorithm_header", None)
        params["headers"]["Content-MD5"] = content_md5(params["body"])


_connections: dict[tuple[Storage, int], Connection] = {}
_connections_lock = threading.Lock()


_inherited: list[dict[tuple[Storage, int], Connection]] = []


def _start_afresh() -> None:
    global _connections, _connections_lock
    # Kept, because dropping them would wait for the parent's event loop to close them.
    _inherited.append(_connections)
    _connections = {}
    _connections_lock = threading.Lock()


# A child process shares neither sockets nor the event loop with its parent.
os.register_at_fork(after_in_child=_start_afresh)


def connect(storage: Storage) -> Connection:
    """The connection of this process; another one when the AWS_ variables of the environment have changed."""
    environment = hash(frozenset(item for item in os.environ.items() if item[0].startswith("AWS_")))
    key = (storage, environment)
    found = _connections.get(key)
    if found is None:
        with _connections_lock:
            found = _connections.get(key)
            if found is None:
                found = _connections[key] = Connection(storage)
    return found
