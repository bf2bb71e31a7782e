"""One object of a server that speaks S3: read whole or in part, written in one PUT that is checked on arrival."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cube.errors import MissingObjectError
from cube.stores import answers
from cube.stores.ranges import cut, range_header
from cube.stores.retry import TransientError
from cube.stores.s3_connection import Connection, content_md5


@dataclass(frozen=True)
class S3Object:
    """An object by its full name in a bucket. All methods raise StoreError."""

    connection: Connection
    bucket: str
    name: str

    @property
    def where(self) -> str:
        """Its address, for errors and for the memory of what was written."""
        return f"s3://{self.bucket}/{self.name}"

    @property
    def target(self) -> dict[str, Any]:
        """It as parameters of botocore's methods."""
        return {"Bucket": self.bucket, "Key": self.name}

    def read(self, start: int | None = None, stop: int | None = None) -> tuple[bytes, str]:
        """The slice [start:stop], not an empty one, and the ETag.

        Raises MissingObjectError, and StatusError (416) for a slice that lies past the end.
        """
        header = range_header(start, stop)
        asked = {"Range": header} if header else {}
        data = b""

        def check(answer: dict[str, Any]) -> None:
            nonlocal data
            body: bytes = answer.pop("Body")
            part = cut(body, start, stop, answer.get("ContentRange")) if header else body
            if part is None or len(body) != int(answer.get("ContentLength", len(body))):
                raise answers.cut_off("get_object", f"{len(body)} bytes came", self.where)
            data = part

        seen = (416,) if header else ()
        answer = self.connection.call("get_object", self.where, self.target | asked, seen=seen, check=check)
        return data, str(answer.get("ETag", ""))

    def read_or_none(self) -> tuple[bytes, str] | None:
        """All of it and its ETag; None where there is no such object."""
        try:
            return self.read()
        except MissingObjectError:
            return None

    def write(self, data: bytes, headers: dict[str, Any], seen: tuple[int, ...] = ()) -> None:
        """Put it. Statuses in `seen` raise StatusError."""

        def confirmed(answer: dict[str, Any]) -> None:
            check_answer(answer, "ETag", "put_object", self.where)

        parameters = self.target | headers | {"ContentMD5": content_md5(data)}
        self.connection.call("put_object", self.where, parameters, body=data, seen=seen, check=confirmed)
        self.connection.note_written(self.where)

    def remove(self) -> None:
        """Delete it; an absent one is fine."""
        self.connection.note_deleted(self.where)
        with contextlib.suppress(MissingObjectError):
            self.connection.call("delete_object", self.where, self.target)


def check_answer(answer: Mapping[str, Any], name: str, operation: str, where: str) -> None:
    """Raises TransientError for an answer that lacks what every object store tells: a proxy's or portal's page."""
    if name not in answer:
        raise TransientError(answers.unavailable(f"{operation} was not confirmed", where))
