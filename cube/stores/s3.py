"""An object store that speaks S3: one PUT an object, checked on arrival; copies made by the server."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from cube.errors import MissingObjectError, Problem, SpecError, StoreError
from cube.stores import answers
from cube.stores.ranges import check_slice, cut, is_empty, range_header
from cube.stores.retry import TransientError
from cube.stores.s3_connection import Conditional, Connection, StatusError, connect
from cube.stores.storage import Storage
from cube.stores.store import TEMPORARY, ObjectInfo, check_key

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

    def _target(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    def _where(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{key}"

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        check_key(key)
        check_slice(start, stop)
        if is_empty(start, stop):
            if self.head(key) is None:
                raise answers.missing(self._where(key))
            return b""
        try:
            return self._read(key, start, stop)[0]
        except StatusError:
            return b""  # 416: the slice lies past the end

    def _read(self, key: str, start: int | None = None, stop: int | None = None) -> tuple[bytes, str]:
        where, header = self._where(key), range_header(start, stop)
        asked = {"Range": header} if header else {}
        data = b""

        def check(answer: dict[str, Any]) -> None:
            nonlocal data
            body: bytes = answer.pop("Body")
            part = cut(body, start, stop, answer.get("ContentRange")) if header else body
            if part is None or len(body) != int(answer.get("ContentLength", len(body))):
                raise answers.cut_off("get_object", f"{len(body)} bytes came", where)
            data = part

        seen = (416,) if header else ()
        answer = self.connection.call("get_object", where, self._target(key) | asked, seen=seen, check=check)
        return data, str(answer.get("ETag", ""))

    def _read_or_none(self, key: str) -> tuple[bytes, str] | None:
        try:
            return self._read(key)
        except MissingObjectError:
            return None

    def head(self, key: str) -> ObjectInfo | None:
        try:
            answer = self.connection.call("head_object", self._where(check_key(key)), self._target(key))
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
        where, headers = self._where(check_key(key)), _headers(key, immutable)
        if memoryview(data).nbytes > PART_BYTES:
            self._put_in_parts(key, memoryview(data).cast("B"), headers)
        else:
            body = bytes(data)
            headers["ContentMD5"] = _md5(body)
            self.connection.call("put_object", where, self._target(key) | headers, body=body, check=_confirmed(where))
        self.connection.note_written(where)

    def _put_in_parts(self, key: str, data: memoryview, headers: dict[str, Any]) -> None:
        where, target, call = self._where(key), self._target(key), self.connection.call
        upload = target | {"UploadId": call("create_multipart_upload", where, target | headers)["UploadId"]}
        try:
            parts = []
            for number, start in enumerate(range(0, len(data), PART_BYTES), 1):
                body = bytes(data[start : start + PART_BYTES])
                part = upload | {"PartNumber": number, "ContentMD5": _md5(body)}
                answer = call("upload_part", where, part, body=body)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            call("complete_multipart_upload", where, upload | {"MultipartUpload": {"Parts": parts}})
        except BaseException:
            # Parts left behind take space that no listing of objects shows.
            with contextlib.suppress(StoreError):
                call("abort_multipart_upload", where, upload)
            raise

    def put_if_unchanged(self, key: str, data: bytes, expected: bytes | None) -> bool:
        check_key(key)
        held = None
        if expected is not None:
            held = self._read_or_none(key)
            if held is None or held[0] != expected:
                return False
        honoured = self._conditions()
        if held is None and honoured.create:
            return self._put_on_condition(key, data, {"IfNoneMatch": "*"})
        if held is not None and honoured.replace:
            return self._put_on_condition(key, data, {"IfMatch": held[1]})
        if held is None and self._read_or_none(key) is not None:
            return False
        self.put(key, data, immutable=False)
        return self._holds(key, data)

    def _put_on_condition(
        self, key: str, data: bytes, condition: dict[str, str], seen: tuple[int, ...] = (412,)
    ) -> bool:
        where = self._where(key)
        headers = _headers(key, False) | {"ContentMD5": _md5(data)} | condition
        try:
            self.connection.call(
                "put_object", where, self._target(key) | headers, body=data, seen=seen, check=_confirmed(where)
            )
        except StatusError:
            # An attempt whose answer was lost may have been ours.
            return self._holds(key, data)
        except MissingObjectError:
            return False  # If-Match, and it has been deleted since
        self.connection.note_written(where)
        return True

    def _holds(self, key: str, data: bytes) -> bool:
        held = self._read_or_none(key)
        return held is not None and held[0] == data

    @property
    def conditional(self) -> bool:
        return self._conditions() == Conditional(create=True, replace=True)

    def _conditions(self) -> Conditional:
        return self.connection.conditional(self.bucket, self._probe)

    def _probe(self) -> Conditional:
        """Find out on an object of our own which conditions are honoured, where they hold and where they do not."""
        key = f"{TEMPORARY}probe-{secrets.token_hex(8)}"

        def accepted(data: bytes, **condition: str) -> bool:
            return self._put_on_condition(key, data, condition, seen=(400, 405, 409, 412, 501))

        try:
            create = accepted(b"1", IfNoneMatch="*") and not accepted(b"2", IfNoneMatch="*")
            self.connection.call("put_object", self._where(key), self._target(key), body=b"3")
            replace = not accepted(b"4", IfMatch='"00000000000000000000000000000000"')
            replace = replace and accepted(b"5", IfMatch=self._read(key)[1])
        finally:
            self._delete(key)
        if not (create and replace):
            _log.warning("%s does not honour conditional PUT: two writers at once may both believe they won", self.url)
        return Conditional(create, replace)

    def copy(self, source: str, target: str) -> None:
        self.connection.call(
            "copy_object",
            self._where(check_key(source)),
            self._target(check_key(target)) | {"CopySource": self._target(source), "MetadataDirective": "COPY"},
        )
        self.connection.note_written(self._where(target))

    def delete(self, key: str) -> None:
        self._delete(check_key(key))

    def _delete(self, key: str) -> None:
        self.connection.note_deleted(self._where(key))
        with contextlib.suppress(MissingObjectError):
            self.connection.call("delete_object", self._where(key), self._target(key))

    def walk(self, prefix: str) -> Iterator[str]:
        folder = self.prefix + (check_key(prefix.rstrip("/")) + "/" if prefix.rstrip("/") else "")
        wanted, found = {"Bucket": self.bucket, "Prefix": folder}, list[str]()
        while True:
            page = self.connection.call("list_objects_v2", self._where(prefix), wanted)
            found += [entry["Key"].removeprefix(self.prefix) for entry in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                break
            wanted["ContinuationToken"] = page["NextContinuationToken"]
        # Not every server sorts by bytes; names ending in "/" are some tools' folders.
        yield from sorted(key for key in found if not key.endswith("/") and f"/{TEMPORARY}" not in f"/{key}")

    def public_href(self, key: str) -> str:
        if self.storage.public_url:
            return f"{self.storage.public_url}/{quote(check_key(key))}"
        if self.storage.policy == "none":
            return self._where(check_key(key))
        if self.storage.endpoint_url:
            base = f"{self.storage.endpoint_url}/{self.bucket}"
        else:
            region = f".{self.storage.region}" if self.storage.region else ""
            base = f"https://s3{region}.amazonaws.com/{self.bucket}"
        return f"{base}/{quote(self.prefix + check_key(key))}"


def _confirmed(where: str) -> Callable[[dict[str, Any]], None]:
    def check(answer: dict[str, Any]) -> None:
        if "ETag" not in answer:
            # A proxy's or portal's page, not an object store's word that it has the object.
            raise TransientError(answers.unavailable("put_object was not confirmed", where))

    return check


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _headers(key: str, immutable: bool) -> dict[str, Any]:
    return {
        "CacheControl": "public, max-age=31536000, immutable" if immutable else "no-cache",
        "ContentType": "application/json" if key.endswith(".json") else "application/octet-stream",
    }
