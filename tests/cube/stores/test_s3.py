"""The object store: what is sent, what is remembered, and servers that do less or answer late."""

import base64
import hashlib
import logging
import pickle
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cube.errors import MissingObjectError, SpecError, StoreError
from cube.stores import Storage, retry, s3
from cube.stores.s3 import S3Store
from cube.stores.s3_connection import Conditional, Connection

from ...s3_server import S3Server
from .conftest import Asked, FaultyServer, Reply

BODY = b"0123456789"
WRITTEN = Reply(headers={"ETag": '"x"'})


@pytest.fixture
def store(s3_url: str, s3_storage: Storage) -> S3Store:
    return S3Store(s3_url, s3_storage)


@pytest.fixture
def fake(faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    return S3Store(f"s3://{faulty.bucket}/cube", Storage(endpoint_url=faulty.url, region="us-east-1"))


def code_of(caught: pytest.ExceptionInfo[Any]) -> str:
    return str(caught.value.problems[0].code)


def xml_error(status: int, code: str) -> Reply:
    return Reply(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())


@pytest.mark.s3
def test_objects_carry_their_type_and_how_long_they_may_be_cached(s3_server: S3Server, store: S3Store) -> None:
    store.put("v/zarr.json", b"{}")
    store.put("v/c/0", b"")
    store.put("item.json", b"{}", immutable=False)
    store.put_if_unchanged("lock", b"{}", None)
    store.copy("v/zarr.json", "w/zarr.json")

    def told(key: str) -> tuple[str, str]:
        answer = s3_server.client().head_object(Bucket=store.bucket, Key=store.prefix + key)
        return answer["ContentType"], answer["CacheControl"]

    for_ever = "public, max-age=31536000, immutable"
    assert told("v/zarr.json") == told("w/zarr.json") == ("application/json", for_ever)
    assert told("v/c/0") == ("application/octet-stream", for_ever)
    assert told("item.json") == ("application/json", "no-cache")
    assert told("lock") == ("application/octet-stream", "no-cache")


def test_every_put_is_one_request_with_the_digest_of_its_body(fake: S3Store, faulty: FaultyServer) -> None:
    faulty.replies(WRITTEN)
    body = bytes(range(256)) * 8000
    fake.put("shard", memoryview(body))
    [asked] = faulty.asked
    assert (asked.method, asked.path) == ("PUT", f"/{fake.bucket}/cube/shard")
    assert asked.body == body
    assert asked.headers["content-md5"] == base64.b64encode(hashlib.md5(body).digest()).decode()
    # Neither of the newer checksums, which other servers than AWS's may not know.
    assert not [name for name in asked.headers if "checksum" in name or "trailer" in name]
    assert "aws-chunked" not in asked.headers.get("content-encoding", "")


def test_a_body_damaged_on_its_way_is_sent_again(fake: S3Store, faulty: FaultyServer) -> None:
    faulty.replies(xml_error(400, "BadDigest"), Reply(hang_up=True), WRITTEN)
    fake.put("shard", BODY)
    assert [asked.body for asked in faulty.asked] == [BODY] * 3


def test_a_page_of_a_proxy_is_no_proof_that_an_object_was_written(fake: S3Store, faulty: FaultyServer) -> None:
    page = Reply(body=b"<html>Welcome to the hotel's network</html>", headers={"Content-Type": "text/html"})
    faulty.replies(page, page, WRITTEN)
    fake.put("shard", BODY)
    assert len(faulty.asked) == 3


@pytest.mark.s3
@pytest.mark.parametrize("wrong", ["key", "secret"])
def test_wrong_credentials_are_refused_at_once(
    s3_server: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    store.put("a", BODY)
    name = {"key": "AWS_ACCESS_KEY_ID", "secret": "AWS_SECRET_ACCESS_KEY"}[wrong]
    monkeypatch.setenv(name, "nobody-knows-me")
    for call in (lambda: store.get("a"), lambda: store.put("a", b"")):
        with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID") as caught:
            call()
        assert code_of(caught) == "store-credentials"
        assert "attempts" not in str(caught.value)
    with pytest.raises(StoreError) as caught:
        store.head("a")
    assert code_of(caught) == "store-permission"
    monkeypatch.setenv(name, s3_server.environment[name])
    assert store.get("a") == BODY


@pytest.mark.s3
def test_without_credentials_nothing_is_read(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("a", BODY)
    anonymous = S3Store(store.url, Storage(endpoint_url=store.storage.endpoint_url, anonymous=True))
    with pytest.raises(StoreError) as caught:
        anonymous.get("a")
    assert code_of(caught) == "store-permission"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match=r"storage\.anonymous") as caught:
        store.get("a")
    assert code_of(caught) == "store-credentials"
    with pytest.raises(StoreError) as caught:
        S3Store(store.url, store.storage.model_copy(update={"profile": "absent"})).get("a")
    assert code_of(caught) == "store-credentials"


@pytest.mark.s3
def test_a_missing_bucket_is_not_a_missing_object(s3_storage: Storage) -> None:
    calls = {
        "get": lambda store: store.get("a"),
        "head": lambda store: store.head("a"),
        "put": lambda store: store.put("a", b""),
        "walk": lambda store: list(store.walk("")),
    }
    for call in calls.values():
        with pytest.raises(StoreError) as caught:
            call(S3Store(f"s3://absent-{secrets.token_hex(4)}", s3_storage))
        assert code_of(caught) == "store-missing"


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (403, "QuotaExceeded", "store-full"),
        (507, "InsufficientStorage", "store-full"),
        (403, "RequestTimeTooSkewed", "store-clock"),
        (400, "ExpiredToken", "store-credentials"),
    ],
)
def test_refusals_have_their_own_codes(fake: S3Store, faulty: FaultyServer, status: int, code: str, ours: str) -> None:
    faulty.replies(xml_error(status, code))
    with pytest.raises(StoreError, match=code) as caught:
        fake.put("a", BODY)
    assert code_of(caught) == ours
    assert [asked.method for asked in faulty.asked].count("PUT") == 1


def test_a_bucket_that_redirects_for_ever_is_refused(fake: S3Store, faulty: FaultyServer) -> None:
    faulty.replies(xml_error(301, "PermanentRedirect"))
    with pytest.raises(StoreError) as caught:
        fake.put("a", BODY)
    assert code_of(caught) == "store-refused"


@pytest.mark.s3
def test_a_large_object_is_sent_in_parts(s3_server: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 * 2**20)
    body = secrets.token_bytes(11 * 2**20)
    store.put("model.ubj", body)
    assert store.get("model.ubj") == body
    answer = s3_server.client().head_object(Bucket=store.bucket, Key=f"{store.prefix}model.ubj")
    assert answer["ETag"].endswith('-3"')
    assert "immutable" in answer["CacheControl"]


@pytest.mark.s3
def test_parts_of_a_failed_object_are_removed(
    s3_server: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 * 2**20)
    call = Connection.call

    def failing(self: Connection, operation: str, where: str, parameters: dict[str, Any], **more: Any) -> Any:
        if parameters.get("PartNumber") == 2:
            assert s3_server.client().list_multipart_uploads(Bucket=store.bucket).get("Uploads")
            raise KeyboardInterrupt
        return call(self, operation, where, parameters, **more)

    monkeypatch.setattr(Connection, "call", failing)
    with pytest.raises(KeyboardInterrupt):
        store.put("model.ubj", bytes(11 * 2**20))
    assert store.head("model.ubj") is None
    assert not s3_server.client().list_multipart_uploads(Bucket=store.bucket).get("Uploads")


@pytest.mark.s3
def test_walk_reads_every_page(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = sorted(f"p/{name}" for name in ("a", "b/c", "b/d", "b-1", "e", "f", "g"))
    for key in keys:
        store.put(key, b"")
    call = Connection.call

    def small_pages(self: Connection, operation: str, where: str, parameters: dict[str, Any], **more: Any) -> Any:
        extra = {"MaxKeys": 2} if operation == "list_objects_v2" else {}
        return call(self, operation, where, parameters | extra, **more)

    monkeypatch.setattr(Connection, "call", small_pages)
    assert list(store.walk("p")) == keys


@pytest.mark.s3
def test_the_server_is_asked_once_what_it_honours_and_nothing_is_left(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations: list[str] = []
    call = Connection.call

    def recorded(self: Connection, operation: str, *rest: Any, **more: Any) -> Any:
        operations.append(operation)
        return call(self, operation, *rest, **more)

    monkeypatch.setattr(Connection, "call", recorded)
    store.connection._conditional.clear()
    assert store.put_if_unchanged("lock", b"1", None)
    assert operations.count("put_object") == 6
    operations.clear()
    assert pickle.loads(pickle.dumps(store)).put_if_unchanged("lock", b"2", b"1")
    assert operations == ["get_object", "put_object"]
    assert list(store.walk("")) == ["lock"]
    assert store.connection._conditional == {store.bucket: Conditional(True, True)}


class Bucket:
    """A server that keeps objects; `honours` names the conditions that it does not simply ignore."""

    def __init__(self, honours: set[str]) -> None:
        self.objects: dict[str, bytes] = {}
        self.honours = honours
        self.lose_answers = 0

    def etag(self, path: str) -> str:
        return f'"{hashlib.md5(self.objects[path]).hexdigest()}"'

    def __call__(self, asked: Asked) -> Reply:
        path = asked.path.partition("?")[0]
        held = path in self.objects
        if asked.method == "PUT":
            if "if-none-match" in self.honours and asked.headers.get("if-none-match") == "*" and held:
                return xml_error(412, "PreconditionFailed")
            wanted = asked.headers.get("if-match")
            if "if-match" in self.honours and wanted and (not held or wanted != self.etag(path)):
                return xml_error(412, "PreconditionFailed")
            self.objects[path] = asked.body
            if self.lose_answers:
                self.lose_answers -= 1
                return Reply(hang_up=True)
            return Reply(headers={"ETag": self.etag(path)})
        if asked.method == "DELETE":
            self.objects.pop(path, None)
            return Reply(204)
        if not held:
            return xml_error(404, "NoSuchKey")
        return Reply(body=self.objects[path], headers={"ETag": self.etag(path)})


@pytest.mark.parametrize("honours", [set(), {"if-none-match"}, {"if-match"}, {"if-none-match", "if-match"}])
def test_a_server_that_ignores_conditions_is_found_out_and_compared_with(
    fake: S3Store, faulty: FaultyServer, honours: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    faulty.respond = Bucket(honours)
    with caplog.at_level(logging.WARNING):
        assert fake.conditional is (len(honours) == 2)
    assert fake.connection._conditional[fake.bucket] == Conditional("if-none-match" in honours, "if-match" in honours)
    assert ("conditional PUT" in caplog.text) is (len(honours) < 2)
    assert faulty.respond.objects == {}
    assert fake.put_if_unchanged("item", b"1", None)
    assert not fake.put_if_unchanged("item", b"2", None)
    assert not fake.put_if_unchanged("item", b"2", b"0")
    assert fake.put_if_unchanged("item", b"2", b"1")
    assert fake.get("item") == b"2"


@pytest.mark.parametrize("expected", [None, b"0"])
def test_a_put_whose_answer_was_lost_still_won(fake: S3Store, faulty: FaultyServer, expected: bytes | None) -> None:
    faulty.respond = server = Bucket({"if-none-match", "if-match"})
    assert fake.conditional
    if expected:
        fake.put("lock", expected)
    server.lose_answers = 1
    assert fake.put_if_unchanged("lock", b"mine", expected)
    assert server.objects[f"/{fake.bucket}/cube/lock"] == b"mine"


def test_an_object_just_written_is_waited_for(fake: S3Store, faulty: FaultyServer) -> None:
    faulty.replies(WRITTEN)
    fake.put("v/manifest.json", BODY)
    fake.copy("v/manifest.json", "w/manifest.json")
    for key in ("v/manifest.json", "w/manifest.json"):
        faulty.replies(xml_error(404, "NoSuchKey"), xml_error(404, "NoSuchKey"), Reply(body=BODY))
        assert pickle.loads(pickle.dumps(fake)).get(key) == BODY
        faulty.replies(Reply(404), Reply(headers={"x": "y"}, body=BODY))
        assert fake.head(key).bytes == len(BODY)


def test_an_object_written_long_ago_or_deleted_is_not_waited_for(
    fake: S3Store, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.replies(WRITTEN)
    fake.put("a", BODY)
    fake.put("b", BODY)
    fake.delete("a")
    faulty.replies(xml_error(404, "NoSuchKey"))
    faulty.asked.clear()
    with pytest.raises(MissingObjectError):
        fake.get("a")
    assert len(faulty.asked) == 1
    with pytest.raises(MissingObjectError):
        fake.get("b")
    assert len(faulty.asked) > 5


@pytest.mark.parametrize("url", ["s3://", "s3:///a", "s3://key:secret@bucket", "s3://bucket/a?versionId=1", "http://x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SpecError) as caught:
        S3Store(url)
    assert code_of(caught) == "store-url"


def test_the_href_is_what_a_reader_without_credentials_opens() -> None:
    def href(url: str, **options: Any) -> str:
        return S3Store(url, Storage(**options)).public_href("a b/zarr.json")

    server = "https://tenancy-o.s3-ext.jc.rl.ac.uk"
    assert href("s3://bucket/cube", endpoint_url=server, policy="swarm") == f"{server}/bucket/cube/a%20b/zarr.json"
    assert href("s3://bucket", endpoint_url=server, public_url="https://x.org/y/") == "https://x.org/y/a%20b/zarr.json"
    assert href("s3://bucket", region="eu-west-2", policy="aws").startswith(
        "https://s3.eu-west-2.amazonaws.com/bucket/"
    )
    assert href("s3://bucket/cube/", endpoint_url=server) == "s3://bucket/cube/a b/zarr.json"


@pytest.mark.s3
def test_a_server_that_crashes_and_comes_back_is_waited_for(
    s3_server: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 60.0)
    store.put("before", BODY)
    s3_server.kill()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(store.put, "during", BODY), pool.submit(store.get, "before")]
        s3_server.start()
        assert waiting[1].result() == BODY
        waiting[0].result()
    assert store.get("during") == BODY
