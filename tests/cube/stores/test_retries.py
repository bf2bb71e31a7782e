"""Answers that are cut off, slow, wrong or refused, through both stores that read over a network."""

import pytest
import urllib3

from cube.errors import CubeError, MissingObjectError, StoreError
from cube.stores import ObjectInfo, Store, retry, s3_connection
from cube.stores import http as http_store
from cube.stores.http import HttpStore

from .conftest import FaultyServer, Reply, reading

BODY = b"0123456789"
BOTH = pytest.mark.parametrize("reader", ["http", "s3"], indirect=True)


def code_of(caught: pytest.ExceptionInfo[CubeError]) -> str:
    return caught.value.problems[0].code


@BOTH
def test_a_body_cut_short_is_asked_for_again(reader: Store, faulty: FaultyServer) -> None:
    cut = Reply(body=BODY[:4], promised=len(BODY))
    faulty.replies(cut, cut, Reply(body=BODY))
    assert reader.get("a/shard") == BODY
    assert [asked.path for asked in faulty.asked] == [f"/{faulty.bucket}/a/shard"] * 3


@BOTH
def test_a_body_always_cut_short_is_never_returned(
    reader: Store, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.8)
    faulty.replies(Reply(body=BODY[:4], promised=len(BODY)))
    with pytest.raises(StoreError, match=r"attempts in \d+ s") as caught:
        reader.get("a/shard")
    assert code_of(caught) == "store-unavailable"
    assert len(faulty.asked) > 1


@BOTH
@pytest.mark.parametrize(
    "range_of_answer",
    ["bytes 0-3/10", "bytes 2-6/10", "bytes 3-6/9", "bytes 3-7/10", "nonsense"],
    ids=["start ignored", "start wrong", "suffix of another size", "more than came", "garbled"],
)
def test_another_range_than_asked_for_is_not_returned(
    reader: Store, faulty: FaultyServer, range_of_answer: str
) -> None:
    wrong = Reply(206, b"wxyz", {"Content-Range": range_of_answer})
    faulty.replies(wrong, Reply(206, BODY[-4:], {"Content-Range": "bytes 6-9/10"}))
    assert reader.get("shard", -4) == BODY[-4:]
    assert [asked.headers["range"] for asked in faulty.asked] == ["bytes=-4"] * 2


@BOTH
def test_a_server_without_ranges_sends_all_and_the_slice_is_cut_here(reader: Store, faulty: FaultyServer) -> None:
    faulty.replies(Reply(body=BODY))
    assert [reader.get("a", 2, 5), reader.get("a", -3), reader.get("a", 8)] == [BODY[2:5], BODY[-3:], BODY[8:]]


@BOTH
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_asked_again(reader: Store, faulty: FaultyServer, status: int) -> None:
    faulty.replies(Reply(status), Reply(status), Reply(body=BODY))
    assert reader.get("a") == BODY
    faulty.replies(Reply(status), Reply(body=BODY, headers={"ETag": '"x"'}))
    assert reader.head("a") == ObjectInfo(len(BODY), '"x"')
    assert len(faulty.asked) == 5


@BOTH
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "store-permission"),
        (403, "store-permission"),
        (507, "store-full"),
        *((status, "store-refused") for status in (400, 405, 418, 501)),
    ],
)
def test_a_refusal_is_not_asked_again(reader: Store, faulty: FaultyServer, status: int, code: str) -> None:
    faulty.replies(Reply(status))
    for call in (lambda: reader.get("a"), lambda: reader.head("a")):
        faulty.asked.clear()
        with pytest.raises(StoreError) as caught:
            call()
        assert code_of(caught) == code
        # The S3 client looks for the bucket's region when HEAD is answered 400.
        assert [asked.path for asked in faulty.asked].count(f"/{faulty.bucket}/a") == 1


@BOTH
def test_a_missing_object_is_not_asked_for_again(reader: Store, faulty: FaultyServer) -> None:
    faulty.replies(Reply(404))
    with pytest.raises(MissingObjectError):
        reader.get("a")
    assert len(faulty.asked) == 1


@BOTH
def test_a_connection_that_drops_is_made_again(reader: Store, faulty: FaultyServer) -> None:
    faulty.replies(Reply(hang_up=True), Reply(hang_up=True), Reply(body=BODY))
    assert reader.get("a") == BODY


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_a_server_that_does_not_answer_in_time_is_asked_again(
    kind: str, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_store, "_TIMEOUT", urllib3.Timeout(0.2))
    monkeypatch.setattr(http_store, "_pools", {})
    monkeypatch.setitem(s3_connection.CONFIG, "read_timeout", 0.2)
    faulty.replies(Reply(body=BODY, delay=30), Reply(body=BODY))
    assert reading(kind, faulty, region="slow").get("a") == BODY
    assert len(faulty.asked) == 2


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_an_address_where_nobody_answers_is_given_up_soon(
    kind: str, mortal: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 600.0)
    mortal.close()
    with pytest.raises(StoreError, match="endpoint_url") as caught:
        reading(kind, mortal).get("a")
    assert code_of(caught) == "store-unreachable"


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_a_server_that_has_answered_is_waited_for(
    kind: str, mortal: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "CONTACT_SECONDS", 0.0)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.5)
    mortal.replies(Reply(body=BODY))
    reader = reading(kind, mortal)
    assert reader.get("a") == BODY
    mortal.close()
    with pytest.raises(StoreError, match="attempts") as caught:
        reader.get("a")
    assert "(1 attempts" not in str(caught.value)


def test_a_store_on_the_web_cannot_be_written_or_listed(faulty: FaultyServer) -> None:
    store = HttpStore(faulty.url)
    for call in (
        lambda: store.put("a", b""),
        lambda: store.put_if_unchanged("a", b"", None),
        lambda: store.copy("a", "b"),
        lambda: store.delete("a"),
        lambda: store.walk(""),
    ):
        with pytest.raises(StoreError) as caught:
            call()
        assert code_of(caught) == "store-read-only"
    assert not store.conditional
    assert faulty.asked == []


def test_a_moved_object_is_found_and_a_head_without_length_is_read(faulty: FaultyServer) -> None:
    store = HttpStore(faulty.url)
    faulty.respond = lambda asked: (
        Reply(body=BODY) if asked.path == "/new" else Reply(302, headers={"Location": f"{faulty.url}/new"})
    )
    assert store.get("old") == BODY
    assert store.head("old") == ObjectInfo(len(BODY), None)
