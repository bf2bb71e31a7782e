"""An object store that speaks S3: one PUT an object, checked on arrival; copies made by the server."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from cube.errors import MissingObjectError, Problem, SpecError
from cube.stores import answers, s3_conditions, s3_parts
from cube.stores.ranges import check_slice, is_empty
from cube.stores.s3_connection import Conditional, Connection, StatusError, connect
from cube.stores.s3_object import S3Object, check_answer
from cube.stores.storage import Storage
from cube.stores.store import TEMPORARY, Leftover, ObjectInfo, check_key, check_leftover

PART_BYTES = 200_000_000
"""Larger objects are sent in parts of so many bytes."""

_log = logging.getLogger(__name__)


class S3Store:
    """A store below `s3://bucket/prefix`. See `Store` for the methods' contract.

    Reads and writes are repeated for up to `retry.RETRY_SECONDS`; a key that this process has written is waited for
    where the server's answers lag behind.
    """

    def __init__(self, url: str, storage: Storage | None = None) -> None:
        bucket, _, prefix = url.removeprefix("s3://").rstrip("/").partition("/")
        if not url.startswith("s3://") or not bucket or any(character in url for character in "?#@"):
            raise SpecError(
                Problem("store-url", "the address of an object store is s3://bucket or s3://bucket/prefix", "store")
            )
        self.bucket = bucket
        self.prefix = check_key(prefix) + "/" if prefix else ""
        self.storage = storage or Storage()

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, S3Store) and (self.url, self.storage) == (other.url, other.storage)

    def __hash__(self) -> int:
        return hash((self.url, self.storage))

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    @property
    def connection(self) -> Connection:
        """This process's connection to the server."""
        return connect(self.storage)

    def _object(self, key: str) -> S3Object:
        return S3Object(self.connection, self.bucket, self.prefix + key)

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        target = self._object(check_key(key))
        check_slice(start, stop)
        if is_empty(start, stop):
            if self.head(key) is None:
                raise answers.missing(target.where)
            return b""
        try:
            return target.read(start, stop)[0]
        except StatusError:
            return b""  # 416: the slice lies past the end

    def head(self, key: str) -> ObjectInfo | None:
        target = self._object(check_key(key))
        try:
            answer = self.connection.call("head_object", target.where, target.target)
        except MissingObjectError:
            self._check_bucket()
            return None
        return ObjectInfo(int(answer["ContentLength"]), answer.get("ETag"))

    def _check_bucket(self) -> None:
        # The answer to HEAD has no body, so a missing bucket looks like a missing object.
        if self.connection.has_answered_for(self.bucket):
            return
        where = f"s3://{self.bucket}"
        try:
            self.connection.call("head_bucket", where, {"Bucket": self.bucket}, seen=(403,))
        except MissingObjectError:
            raise answers.refusal(404, "NoSuchBucket", "head_bucket", where) from None
        except StatusError:
            return  # it exists, but may not be looked at

    def put(self, key: str, data: bytes | memoryview, *, immutable: bool = True) -> None:
        target, headers = self._object(check_key(key)), _headers(key, immutable)
        if memoryview(data).nbytes > PART_BYTES:
            s3_parts.put_in_parts(target, memoryview(data).cast("B"), headers, PART_BYTES)
        else:
            target.write(bytes(data), headers)

    def put_if_unchanged(self, key: str, data: bytes, expected: bytes | None) -> bool:
        target = self._object(check_key(key))
        return s3_conditions.put_if_unchanged(target, data, expected, _headers(key, False), self._conditions())

    @property
    def conditional(self) -> bool:
        return self._conditions() == Conditional(create=True, replace=True)

    def _conditions(self) -> Conditional:
        return self.connection.conditional(self.bucket, self._probe)

    def _probe(self) -> Conditional:
        kept = s3_conditions.probe(self._object(f"{TEMPORARY}probe-{secrets.token_hex(8)}"))
        if not (kept.create and kept.replace):
            _log.warning("%s does not keep conditional PUT: two writers at once may both believe they won", self.url)
        return kept

    def copy(self, source: str, target: str) -> None:
        original, place = self._object(check_key(source)), self._object(check_key(target))

        def check(answer: dict[str, Any]) -> None:
            check_answer(answer, "CopyObjectResult", "copy_object", original.where)

        asked = place.target | {"CopySource": original.target, "MetadataDirective": "COPY"}
        self.connection.call("copy_object", original.where, asked, check=check)
        self.connection.note_written(place.where)

    def delete(self, key: str) -> None:
        self._object(check_key(key)).remove()

    def walk(self, prefix: str) -> Iterator[str]:
        found = [entry["Key"] for page in self._pages(self._folder(prefix)) for entry in page.get("Contents", ())]
        keys = [name.removeprefix(self.prefix) for name in found]
        # Not every server sorts by bytes; names ending in "/" are some tools' folders.
        yield from sorted(key for key in keys if not key.endswith("/") and f"/{TEMPORARY}" not in f"/{key}")

    def _folder(self, prefix: str) -> str:
        return self.prefix + (check_key(prefix.rstrip("/")) + "/" if prefix.rstrip("/") else "")

    def _pages(self, names: str) -> Iterator[dict[str, Any]]:
        """The pages of a listing of what begins with `names`."""
        wanted = {"Bucket": self.bucket, "Prefix": names}
        while True:
            page = self.connection.call("list_objects_v2", f"s3://{self.bucket}/{names}", wanted)
            yield page
            if not page.get("IsTruncated"):
                return
            wanted["ContinuationToken"] = page["NextContinuationToken"]

    def expect(self, keys: Iterable[str]) -> None:
        self.connection.note_written(*(self._object(key).where for key in keys))

    def leftovers(self, prefix: str) -> Iterator[Leftover]:
        folder = self._folder(prefix)
        for upload in s3_parts.unfinished(self.connection, self.bucket, folder):
            yield replace(upload, key=upload.key.removeprefix(self.prefix))
        if folder == self.prefix:
            # Objects by which a server was asked what it keeps.
            for page in self._pages(self.prefix + TEMPORARY):
                for entry in page.get("Contents", ()):
                    age = s3_parts.age(page, entry["LastModified"])
                    yield Leftover(entry["Key"].removeprefix(self.prefix), int(entry["Size"]), age)

    def sweep(self, leftover: Leftover) -> None:
        if leftover.id:
            s3_parts.abort(self._object(check_key(leftover.key)), leftover.id)
        else:
            self._object(check_leftover(leftover.key)).remove()

    def public_href(self, key: str) -> str:
        if self.storage.public_url:
            return f"{self.storage.public_url}/{quote(check_key(key))}"
        if self.storage.policy == "none":
            return f"s3://{self.bucket}/{self.prefix}{check_key(key)}"
        if self.storage.endpoint_url:
            base = f"{self.storage.endpoint_url}/{self.bucket}"
        else:
            region = f".{self.storage.region}" if self.storage.region else ""
            base = f"https://s3{region}.amazonaws.com/{self.bucket}"
        return f"{base}/{quote(self.prefix + check_key(key))}"


def _headers(key: str, immutable: bool) -> dict[str, Any]:
    return {
        "CacheControl": "public, max-age=31536000, immutable" if immutable else "no-cache",
        "ContentType": "application/json" if key.endswith(".json") else "application/octet-stream",
    }
