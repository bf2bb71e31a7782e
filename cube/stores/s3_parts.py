"""Objects sent in parts, and what is left where that was not finished: uploads that no listing of objects shows."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from cube.errors import MissingObjectError, StoreError
from cube.stores import answers
from cube.stores.s3_connection import Connection, StatusError, content_md5
from cube.stores.s3_object import S3Object, check_answer
from cube.stores.store import Leftover

_UNKNOWN = (400, 403, 405, 501)
"""Answers of servers that list no uploads, or not to us."""

_log = logging.getLogger(__name__)


def put_in_parts(target: S3Object, data: memoryview, headers: dict[str, Any], part_bytes: int) -> None:
    """Put an object in parts of `part_bytes`, each checked on arrival."""
    where, call = target.where, target.connection.call

    def confirmed(operation: str, name: str, **more: Any) -> dict[str, Any]:
        def check(answer: dict[str, Any]) -> None:
            check_answer(answer, name, operation, where)

        return call(operation, where, check=check, **more)

    begun = confirmed("create_multipart_upload", "UploadId", parameters=target.target | headers)
    upload = target.target | {"UploadId": begun["UploadId"]}
    try:
        parts = []
        for number, start in enumerate(range(0, len(data), part_bytes), 1):
            body = bytes(data[start : start + part_bytes])
            part = upload | {"PartNumber": number, "ContentMD5": content_md5(body)}
            parts.append(
                {"PartNumber": number, "ETag": confirmed("upload_part", "ETag", parameters=part, body=body)["ETag"]}
            )
        try:
            confirmed("complete_multipart_upload", "ETag", parameters=upload | {"MultipartUpload": {"Parts": parts}})
        except MissingObjectError:
            # An attempt whose answer was lost may have completed it; then the upload is gone and the object is there.
            target.connection.note_written(where)
            if not _holds(target, data, part_bytes):
                raise
    except BaseException as error:
        # Parts left behind take space that no listing of objects shows.
        with contextlib.suppress(StoreError):
            call("abort_multipart_upload", where, upload)
        if isinstance(error, MissingObjectError):
            raise answers.unavailable("the upload was ended before it was complete", where) from None
        raise
    target.connection.note_written(where)


def _holds(target: S3Object, data: memoryview, part_bytes: int) -> bool:
    try:
        if int(target.connection.call("head_object", target.where, target.target)["ContentLength"]) != len(data):
            return False
        starts = range(0, len(data), part_bytes)
        return all(target.read(start, start + part_bytes)[0] == data[start : start + part_bytes] for start in starts)
    except (MissingObjectError, StatusError):
        return False


def unfinished(connection: Connection, bucket: str, folder: str) -> Iterator[Leftover]:
    """Uploads below `folder` ("" or ending in "/") that were begun and neither completed nor aborted.

    Keys are full names. A server that does not list them is warned about.
    """
    where, wanted = f"s3://{bucket}/{folder}", {"Bucket": bucket, "Prefix": folder}
    while True:
        try:
            page = connection.call("list_multipart_uploads", where, wanted, seen=_UNKNOWN)
        except StatusError as error:
            _log.warning(
                "s3://%s: the server does not list unfinished uploads (%s %s): give the bucket a rule to end old ones",
                bucket,
                error.status,
                error.code,
            )
            return
        for upload in page.get("Uploads", ()):
            # Not every server heeds the prefix.
            if upload["Key"].startswith(folder) and (found := _described(connection, bucket, upload)):
                yield found
        # Some servers give one of the markers only, and expect no other.
        markers = {
            name: page[f"Next{name}"] for name in ("KeyMarker", "UploadIdMarker") if page.get(f"Next{name}") is not None
        }
        if not page.get("IsTruncated") or not markers or markers.items() <= wanted.items():
            return
        wanted |= markers


def _described(connection: Connection, bucket: str, upload: Mapping[str, Any]) -> Leftover | None:
    """Size of an upload's parts and the time since the last one came; None where it has ended meanwhile."""
    target = S3Object(connection, bucket, upload["Key"])
    size, last = 0, upload["Initiated"]
    wanted = target.target | {"UploadId": upload["UploadId"]}
    while True:
        try:
            page = target.connection.call("list_parts", target.where, wanted)
        except MissingObjectError:
            return None
        for part in page.get("Parts", ()):
            size += int(part["Size"])
            last = max(last, part["LastModified"])
        if not page.get("IsTruncated"):
            return Leftover(target.name, size, age(page, last), upload["UploadId"])
        wanted["PartNumberMarker"] = page["NextPartNumberMarker"]


def abort(target: S3Object, upload: str) -> None:
    """End an upload and free its parts; one that has ended is fine."""
    with contextlib.suppress(MissingObjectError):
        target.connection.call("abort_multipart_upload", target.where, target.target | {"UploadId": upload})


def age(answer: Mapping[str, Any], since: datetime.datetime) -> float:
    """Seconds from `since` to an answer, by the clock of the server that gave both."""
    told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    now = email.utils.parsedate_to_datetime(told) if told else datetime.datetime.now(datetime.UTC)
    return max(0.0, (now - since).total_seconds())
