"""A store that can only be read, over HTTP(S): a published cube as anybody sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn
from urllib.parse import quote

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from cube.errors import MissingObjectError, Problem, SpecError, StoreError
from cube.stores import answers, retry
from cube.stores.ranges import check_slice, cut, is_empty, range_header
from cube.stores.storage import plain_url
from cube.stores.store import Leftover, ObjectInfo, check_key

_TIMEOUT = urllib3.Timeout(connect=10, read=60)
# Retries are ours alone.
_NO_RETRIES = urllib3.Retry(None, connect=0, read=0, redirect=5, status=0, other=0, raise_on_redirect=False)
_UNREACHABLE = (ConnectTimeoutError, NameResolutionError, NewConnectionError, SSLError)


class HttpStore:
    """What is below a web address. See `Store` for the methods' contract; those that write or list raise StoreError."""

    conditional = False

    def __init__(self, url: str) -> None:
        try:
            self._url = plain_url(url)
        except ValueError as error:
            raise SpecError(Problem("store-url", str(error), "store")) from None

    @property
    def url(self) -> str:
        return self._url

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HttpStore) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __repr__(self) -> str:
        return f"HttpStore({self.url!r})"

    def public_href(self, key: str) -> str:
        return f"{self.url}/{quote(check_key(key))}"

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        check_slice(start, stop)
        where = self.public_href(key)
        if is_empty(start, stop):
            if self.head(key) is None:
                raise answers.missing(where)
            return b""
        header = range_header(start, stop)

        def attempt() -> bytes:
            answer = _request("GET", where, {"Range": header} if header else {})
            if header and answer.status == 416:
                return b""  # the slice lies past the end
            _check(answer, "GET", where)
            # A server that takes no ranges sends the whole object.
            part = cut(answer.data, start, stop, answer.headers.get("Content-Range") if header else None)
            if part is None:
                raise answers.cut_off("GET", f"{len(answer.data)} bytes came", where)
            return part

        return retry.retrying(attempt)

    def head(self, key: str) -> ObjectInfo | None:
        where = self.public_href(key)

        def attempt() -> ObjectInfo | None:
            answer = _request("HEAD", where, {})
            try:
                _check(answer, "HEAD", where)
            except MissingObjectError:
                return None
            length = answer.headers.get("Content-Length")
            return ObjectInfo(len(self.get(key)) if length is None else int(length), answer.headers.get("ETag"))

        return retry.retrying(attempt)

    def put(self, key: str, data: bytes | memoryview, *, immutable: bool = True) -> None:
        self._refuse("write")

    def put_if_unchanged(self, key: str, data: bytes, expected: bytes | None) -> bool:
        self._refuse("write")

    def copy(self, source: str, target: str) -> None:
        self._refuse("write")

    def delete(self, key: str) -> None:
        self._refuse("delete")

    def walk(self, prefix: str) -> Iterator[str]:
        self._refuse("list")

    def expect(self, keys: Iterable[str]) -> None:
        pass  # nobody writes by a web address

    def leftovers(self, prefix: str) -> Iterator[Leftover]:
        self._refuse("list")

    def sweep(self, leftover: Leftover) -> None:
        self._refuse("delete")

    def _refuse(self, what: str) -> NoReturn:
        raise StoreError(
            Problem(
                "store-read-only",
                f"a store opened by its web address can be read only, not {what}",
                self.url,
                fix="open it by its s3:// address or its directory",
            )
        )


_pools: dict[int, urllib3.PoolManager] = {}
_answered: set[str] = set()


def _request(method: str, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    # A forked child must not share its parent's sockets.
    process = os.getpid()
    pool = _pools.get(process) or _pools.setdefault(process, urllib3.PoolManager(maxsize=32, timeout=_TIMEOUT))
    origin = urllib3.util.parse_url(url).netloc or ""
    try:
        answer = pool.request(
            method,
            url,
            headers={"Accept-Encoding": "identity", **headers},
            retries=_NO_RETRIES,
            preload_content=True,
        )
    except HTTPError as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, _UNREACHABLE):
            raise answers.unreachable(type(reason).__name__, url, answered=origin in _answered) from None
        raise answers.cut_off(method, type(reason).__name__, url) from None
    _answered.add(origin)
    return answer


def _check(answer: urllib3.BaseHTTPResponse, operation: str, where: str) -> None:
    if answer.status >= 300:
        raise answers.refusal(answer.status, "", operation, where)
