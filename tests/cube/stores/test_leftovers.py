"""What killed writers leave: seen with its age, swept when told, and never what somebody is writing just now."""

import errno
import logging
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cube.errors import StoreError
from cube.stores import Leftover, Storage, Store, open_store, retry, s3
from cube.stores.directory import DirectoryStore
from cube.stores.http import HttpStore
from cube.stores.s3 import S3Store
from cube.stores.s3_connection import Connection

from ...s3_server import S3Server
from .conftest import Asked, FaultyServer, Reply

DAY = 86400.0
MIB = 2**20


@pytest.fixture
def bucket(s3_url: str, s3_storage: Storage) -> Iterator[S3Store]:
    made = S3Store(s3_url, s3_storage)
    yield made
    # Tests share the bucket, and some look for uploads in all of it.
    for each in made.leftovers(""):
        made.sweep(each)


@pytest.fixture
def directory(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "cube")


def aged(path: Path, seconds: float) -> None:
    """Make a file and its folder look as if they were changed so long ago."""
    when = time.time() - seconds
    os.utime(path, (when, when))
    os.utime(path.parent, (when, when))


def begun(server: S3Server, store: S3Store, key: str, parts: int = 1) -> str:
    """An upload that nobody will finish."""
    client, target = server.client(), {"Bucket": store.bucket, "Key": f"{store.prefix}{key}"}
    upload: str = client.create_multipart_upload(**target)["UploadId"]
    for number in range(1, parts + 1):
        client.upload_part(**target, UploadId=upload, PartNumber=number, Body=bytes(5 * MIB + number))
    return upload


def test_a_file_of_a_killed_writer_is_unseen_or_is_not_swept(directory: DirectoryStore) -> None:
    directory.put("v/c/0", b"0")
    left = directory.root / "v/c/.tmp-0011"
    left.write_bytes(b"half of it")
    (directory.root / "w").mkdir()
    alone = directory.root / "w/.tmp-0022"
    alone.write_bytes(b"x")
    aged(left, 3 * DAY)
    aged(alone, DAY)
    found = {each.key: each for each in directory.leftovers("")}
    assert {key: (each.bytes, each.id) for key, each in found.items()} == {
        "v/c/.tmp-0011": (10, ""),
        "w/.tmp-0022": (1, ""),
    }
    assert found["v/c/.tmp-0011"].age_seconds == pytest.approx(3 * DAY, abs=60)
    assert found["w/.tmp-0022"].age_seconds == pytest.approx(DAY, abs=60)
    assert [each.key for each in directory.leftovers("v")] == ["v/c/.tmp-0011"]
    assert [each.key for each in directory.leftovers("v/c/")] == ["v/c/.tmp-0011"]
    for each in found.values():
        directory.sweep(each)
        directory.sweep(each)
    assert list(directory.leftovers("")) == []
    assert [str(path.relative_to(directory.root)) for path in sorted(directory.root.rglob("*"))] == [
        "v",
        "v/c",
        "v/c/0",
    ]


def test_a_store_that_is_not_there_is_made_by_looking(directory: DirectoryStore) -> None:
    assert list(directory.leftovers("")) == []
    assert not directory.root.exists()


def test_age_is_told_by_the_clock_of_this_machine(directory: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.put("a", b"")
    left = directory.root / "v/.tmp-0"
    left.parent.mkdir()
    left.write_bytes(b"")
    real = time.time
    for shift in (-10 * DAY, 10 * DAY):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        (each,) = directory.leftovers("")
        assert 0 <= each.age_seconds < 60


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES])
def test_who_may_only_read_sees_no_leftovers(
    directory: DirectoryStore, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    directory.put("v/c/0", b"0")
    (directory.root / "v/.tmp-0").write_bytes(b"123")
    real = os.open

    def refusing(path: Path, flags: int, *mode: int, **more: object) -> int:
        if flags & os.O_CREAT:
            raise OSError(reason, "no")
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", refusing)
    (each,) = directory.leftovers("")
    assert (each.key, each.bytes) == ("v/.tmp-0", 3)
    assert each.age_seconds < 60


def test_a_link_that_is_being_made_has_the_age_of_its_source(directory: DirectoryStore) -> None:
    directory.put("old/shard", b"0123")
    aged(directory.root / "old/shard", 400 * DAY)
    (directory.root / "new").mkdir()
    link = directory.root / "new/.tmp-3"
    link.hardlink_to(directory.root / "old/shard")
    (each,) = directory.leftovers("")
    assert each.age_seconds < 60
    # Later links to the same file change its status, but not the folder that was left alone.
    os.utime(link.parent, (time.time() - 9 * DAY,) * 2)
    (each,) = directory.leftovers("new")
    assert each.age_seconds == pytest.approx(9 * DAY, abs=60)
    directory.sweep(each)
    assert directory.get("old/shard") == b"0123"


def test_a_writer_at_work_loses_its_file_to_a_sweep_by_age(directory: DirectoryStore) -> None:
    program = (
        "import os, sys, time\n"
        "from cube.stores import files, open_store\n"
        "real = os.fsync\n"
        "def slow(descriptor):\n"
        "    print('written', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    real(descriptor)\n"
        "os.fsync = slow\n"
        "files.flush_folder = lambda folder: None\n"
        f"open_store({str(directory.root)!r}).put('v/c/0', b'whole')\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) for _ in range(2)]
    for writer in writers:
        assert writer.stdout.readline() == "written\n"
    writers[0].send_signal(signal.SIGKILL)
    writers[0].wait()
    left = list(directory.leftovers(""))
    assert [each.bytes for each in left] == [5, 5]
    for each in left:
        if each.age_seconds > DAY:
            directory.sweep(each)
    writers[1].communicate("\n" * 9)
    assert writers[1].returncode == 0
    assert directory.get("v/c/0") == b"whole"
    (killed,) = directory.leftovers("")
    aged(directory.root / killed.key, 2 * DAY)
    (killed,) = directory.leftovers("")
    assert killed.age_seconds > DAY
    directory.sweep(killed)
    assert list(directory.leftovers("")) == []
    for pipe in (writers[0].stdin, writers[0].stdout):
        pipe.close()


@pytest.mark.parametrize(
    "key", ["v/c/0", "item.json", "../.tmp-1", "v/../../.tmp-1", "/.tmp-1", ".tmp-", "v/.tmp-a\nb"]
)
def test_an_object_or_what_lies_outside_is_swept(directory: DirectoryStore, bucket: S3Store, key: str) -> None:
    for store in (directory, bucket):
        with pytest.raises(StoreError) as caught:
            store.sweep(Leftover(key, 0, 1e9))
        assert caught.value.problems[0].code == "key-invalid"


def test_a_folder_outside_is_swept_through_a_link(directory: DirectoryStore, tmp_path: Path) -> None:
    directory.put("a", b"")
    (tmp_path / "elsewhere").mkdir()
    outside = tmp_path / "elsewhere/.tmp-1"
    outside.write_bytes(b"")
    (directory.root / "link").symlink_to(tmp_path / "elsewhere")
    assert list(directory.leftovers("")) == []
    with pytest.raises(StoreError) as caught:
        directory.sweep(Leftover("link/.tmp-1", 0, 1e9))
    assert caught.value.problems[0].code == "store-outside"
    assert outside.exists()


@pytest.mark.s3
def test_an_unfinished_upload_is_unseen_or_is_not_ended(s3_server: S3Server, bucket: S3Store) -> None:
    first, second = begun(s3_server, bucket, "v/model.ubj", 2), begun(s3_server, bucket, "v/model.ubj", 0)
    other = begun(s3_server, bucket, "v2/model.ubj")
    bucket.put("v/c/0", b"0")
    assert list(bucket.walk("")) == ["v/c/0"]
    found = {each.id: each for each in bucket.leftovers("")}
    assert {upload: (each.key, each.bytes) for upload, each in found.items()} == {
        first: ("v/model.ubj", 10 * MIB + 3),
        second: ("v/model.ubj", 0),
        other: ("v2/model.ubj", 5 * MIB + 1),
    }
    assert all(0 <= each.age_seconds < 60 for each in found.values())
    assert {each.id for each in bucket.leftovers("v")} == {first, second}
    for each in (found[first], found[first], found[other]):
        bucket.sweep(each)
    assert [each.id for each in bucket.leftovers("")] == [second]
    client = s3_server.client()
    assert [each["UploadId"] for each in _uploads(client, bucket)] == [second]
    with pytest.raises(client.exceptions.NoSuchUpload):
        client.list_parts(Bucket=bucket.bucket, Key=f"{bucket.prefix}v/model.ubj", UploadId=first)
    assert bucket.get("v/c/0") == b"0"


def _uploads(client: object, store: S3Store) -> list[dict[str, str]]:
    return list(client.list_multipart_uploads(Bucket=store.bucket, Prefix=store.prefix).get("Uploads", []))


@pytest.mark.s3
def test_uploads_on_later_pages_are_unseen(
    s3_server: S3Server, bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_ones = {begun(s3_server, bucket, f"v/{number % 3}", 0) for number in range(5)}
    call = Connection.call

    def small_pages(
        self: Connection, operation: str, where: str, parameters: dict[str, object], **more: object
    ) -> object:
        extra = {"MaxUploads": 2} if operation == "list_multipart_uploads" else {}
        return call(self, operation, where, parameters | extra, **more)

    monkeypatch.setattr(Connection, "call", small_pages)
    found = [each.id for each in bucket.leftovers("")]
    assert len(found) == 5
    assert set(found) == begun_ones


@pytest.mark.s3
def test_a_writer_at_work_loses_its_upload_to_a_sweep_by_age(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 * MIB)
    body = random.Random(1).randbytes(11 * MIB)
    call, looked = Connection.call, []

    def looking(self: Connection, operation: str, where: str, parameters: dict[str, object], **more: object) -> object:
        if parameters.get("PartNumber") == 2:
            looked.extend(bucket.leftovers(""))
            for each in looked:
                if each.age_seconds > DAY:
                    bucket.sweep(each)
        return call(self, operation, where, parameters, **more)

    monkeypatch.setattr(Connection, "call", looking)
    bucket.put("model.ubj", body)
    assert [(each.key, each.bytes) for each in looked] == [("model.ubj", 5 * MIB)]
    assert bucket.get("model.ubj") == body
    assert list(bucket.leftovers("")) == []


@pytest.mark.s3
def test_a_writer_whose_upload_was_ended_says_that_an_object_is_missing(
    bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 * MIB)
    call = Connection.call

    def ending(self: Connection, operation: str, where: str, parameters: dict[str, object], **more: object) -> object:
        if parameters.get("PartNumber") == 2:
            for each in bucket.leftovers(""):
                bucket.sweep(each)
        return call(self, operation, where, parameters, **more)

    monkeypatch.setattr(Connection, "call", ending)
    with pytest.raises(StoreError, match="ended before it was complete") as caught:
        bucket.put("model.ubj", bytes(11 * MIB))
    assert caught.value.problems[0].code == "store-unavailable"
    assert bucket.head("model.ubj") is None


@pytest.mark.s3
def test_a_probe_of_a_killed_writer_is_unseen(s3_server: S3Server, bucket: S3Store) -> None:
    name = f".tmp-probe-{secrets.token_hex(4)}"
    s3_server.client().put_object(Bucket=bucket.bucket, Key=f"{bucket.prefix}{name}", Body=b"123")
    assert list(bucket.walk("")) == []
    (each,) = bucket.leftovers("")
    assert (each.key, each.bytes, each.id) == (name, 3, "")
    assert 0 <= each.age_seconds < 60
    assert list(bucket.leftovers("inputs")) == []
    bucket.sweep(each)
    assert list(bucket.leftovers("")) == []


class Parts:
    """A server that keeps one upload, and forgets it when it is complete; `lose` answers are lost, the first ones."""

    def __init__(self, lose: int) -> None:
        self.lose, self.parts, self.body = lose, dict[str, bytes](), b""
        self.aborted = 0

    def __call__(self, asked: Asked) -> Reply:
        query = asked.path.partition("?")[2]
        if asked.method == "POST" and "uploads" in query:
            return Reply(body=b"<R><UploadId>one</UploadId></R>")
        if asked.method == "PUT":
            self.parts[query] = asked.body
            return Reply(headers={"ETag": '"x"'})
        if asked.method == "DELETE":
            self.aborted += 1
            return Reply(204)
        if asked.method == "POST":
            if self.body:
                return Reply(404, b"<Error><Code>NoSuchUpload</Code></Error>")
            self.body = b"".join(self.parts[name] for name in sorted(self.parts))
            if self.lose:
                self.lose -= 1
                return Reply(500)
            return Reply(body=b"<R><ETag>x</ETag></R>")
        start, _, stop = asked.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = self.body[int(start) : int(stop) + 1 if stop else None]
        whole = f"bytes {start}-{int(start) + len(part) - 1}/{len(self.body)}"
        return Reply(206 if "range" in asked.headers else 200, part, {"Content-Range": whole})


@pytest.mark.parametrize("damaged", [False, True])
def test_an_upload_whose_last_answer_was_lost_is_taken_for_gone(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 1000)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    faulty.respond = server = Parts(lose=1)
    store = S3Store(f"s3://{faulty.bucket}", Storage(endpoint_url=faulty.url, region="us-east-1"))
    body = random.Random(3).randbytes(2500)
    if damaged:
        respond = server.__call__
        server.parts["zzz"] = b"of somebody else"
        faulty.respond = respond
        with pytest.raises(StoreError, match="ended before it was complete"):
            store.put("model.ubj", body)
        assert server.aborted == 1
    else:
        store.put("model.ubj", body)
        assert server.body == body
        assert server.aborted == 0


@pytest.mark.parametrize("status", [400, 403, 405, 501])
def test_a_server_that_lists_no_uploads_stops_gc(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    listing = Reply(body=b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    faulty.respond = lambda asked: Reply(status) if "uploads" in asked.path else listing
    store = S3Store(f"s3://{faulty.bucket}", Storage(endpoint_url=faulty.url, region="us-east-1"))
    with caplog.at_level(logging.WARNING):
        assert list(store.leftovers("")) == []
    assert f"does not list unfinished uploads ({status}" in caplog.text


def test_a_server_that_lists_no_more_uploads_is_asked_for_ever(
    faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    endless = Reply(body=b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>")
    faulty.replies(endless)
    store = S3Store(f"s3://{faulty.bucket}/v", Storage(endpoint_url=faulty.url, region="us-east-1"))
    assert list(store.leftovers("x")) == []
    assert len(faulty.asked) == 1


def test_a_store_on_the_web_is_swept(faulty: FaultyServer) -> None:
    store = HttpStore(faulty.url)
    for call in (lambda: list(store.leftovers("")), lambda: store.sweep(Leftover(".tmp-1", 0, 1e9))):
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.problems[0].code == "store-read-only"
    assert faulty.asked == []


def test_a_store_without_leftovers_shows_some(store: Store) -> None:
    store.put("v/c/0", b"0")
    store.put_if_unchanged("lock", b"1", None)
    store.copy("v/c/0", "w/c/0")
    assert list(store.leftovers("")) == list(store.leftovers("v")) == list(store.leftovers("nothing")) == []
    assert retry.LAG_SECONDS == 1.0
    assert open_store(store.url, getattr(store, "storage", None)).get("w/c/0") == b"0"
