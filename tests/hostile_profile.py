"""What a hostile object store is asked, what it answers, and what goes wrong: values of `tests/hostile_store.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

DRAWN = ("errors", "hangs", "truncated", "resets", "lost", "late", "damaged")
"""Faults that befall a share of the calls."""


@dataclass(frozen=True)
class Profile:
    """What goes wrong. Shares are of the calls that a fault can befall; a call suffers one of them at most.

    errors        share refused with 500, 502 or 503 before anything happened
    hangs         share left without an answer for `hang_seconds`; then the connection closes
    truncated     share of GETs whose body ends early
    resets        share that is done, but the connection is reset within the answer
    lost          share of writes that are done and answered 500
    late          share of copies and completed uploads that are done and answered 200 with an error in the body
    damaged       share of uploads whose body changes on its way
    methods       methods that these shares are of; none = all
    most          so many of these faults at most
    conditions    If-None-Match and If-Match are "kept", "ignored", or "raced": two writers of one key that come within
                  `race_seconds` are both accepted
    meeting       the first read of a key that ends so waits up to `meeting_seconds` for a second one: both see the same
    bucket_409    PUT of a bucket that exists is answered 409 and a code of the server's own
    no_bulk       `POST ?delete` is refused
    no_checksums  status by which requests with the newer checksum headers are refused
    list_lag      listings are as they were so many seconds ago
    read_lag      a new key is answered 404 for so many seconds
    quota         bytes that a bucket takes; beyond, all writes are refused until something is deleted
    quota_status  403 or 507
    forbidden     methods answered 403
    """

    seed: int = 0
    errors: float = 0.0
    hangs: float = 0.0
    hang_seconds: float = 0.2
    truncated: float = 0.0
    resets: float = 0.0
    lost: float = 0.0
    late: float = 0.0
    damaged: float = 0.0
    methods: frozenset[str] = frozenset()
    most: int | None = None
    conditions: Literal["kept", "ignored", "raced"] = "kept"
    race_seconds: float = 0.3
    meeting: tuple[str, ...] = ()
    meeting_seconds: float = 60.0
    bucket_409: bool = False
    no_bulk: bool = False
    no_checksums: int = 0
    list_lag: float = 0.0
    read_lag: float = 0.0
    quota: int | None = None
    quota_status: int = 403
    forbidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Call:
    """One request: path "/bucket/key" decoded, `target` as it came, names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def bucket(self) -> str:
        return self.path.strip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """ "" for the bucket itself."""
        return self.path.strip("/").partition("/")[2]

    @property
    def source(self) -> str:
        """Path that a copy is made of, else ""."""
        name = unquote(self.headers.get("x-amz-copy-source", ""))
        return f"/{name.lstrip('/')}" if name else ""

    @property
    def completes(self) -> bool:
        return self.method == "POST" and "uploadId" in self.query

    @property
    def puts(self) -> bool:
        """Whether a whole object is put, or made by a copy."""
        return self.method == "PUT" and bool(self.key) and "uploadId" not in self.query

    @property
    def lists(self) -> bool:
        return self.method == "GET" and not self.key and "list-type" in self.query

    def suffers(self, fault: str) -> bool:
        """Whether a fault can befall this call."""
        if fault == "truncated":
            return self.method == "GET"
        if fault == "lost":
            return self.method in ("PUT", "POST", "DELETE")
        if fault == "late":
            return self.completes or bool(self.source)
        return fault != "damaged" or (self.method == "PUT" and bool(self.key) and bool(self.body))


@dataclass
class Reply:
    """length: Content-Length where it is not the body's; cut: the connection is reset after the body."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    length: int | None = None
    cut: bool = False
