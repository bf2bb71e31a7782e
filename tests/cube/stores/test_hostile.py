"""The object store behind a proxy that fails as real ones do: every operation survives, or stops with a clear error."""

from __future__ import annotations

import itertools
import logging
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import boto3
import botocore.config
import botocore.exceptions
import pytest

from cube.errors import CubeError, MissingObjectError, StoreError
from cube.stores import Storage, open_store, retry, s3_connection
from cube.stores.s3 import S3Store
from cube.stores.s3_connection import Conditional
from cube.stores.s3_public import create_bucket, make_public

from ...hostile_profile import DRAWN, Profile
from ...hostile_store import HostileStore, hostile_store
from ...s3_server import S3Server
from .operations import BODY, OPERATIONS, SUFFERING, mixture, put_in_parts
from .test_secrets import texts

pytestmark = [pytest.mark.s3, pytest.mark.xdist_group("hostile")]


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[HostileStore]:
    # One address, because a new S3 client for each test would take most of the time.
    with hostile_store(s3_server) as made:
        yield made


@pytest.fixture(autouse=True)
def patient(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough time for a machine that is busy with other things."""
    monkeypatch.setattr(retry, "RETRY_SECONDS", 60.0)
    monkeypatch.setattr(retry, "LAG_SECONDS", 30.0)


@pytest.fixture
def hostile(proxy: HostileStore) -> Iterator[HostileStore]:
    """The proxy, without faults until the test names some."""
    proxy.play()
    yield proxy
    proxy.play()


@pytest.fixture
def store(hostile: HostileStore) -> S3Store:
    """A store in a bucket of its own, so that nothing is known of what the server keeps."""
    made = S3Store(f"s3://hostile-{secrets.token_hex(5)}/cube", Storage(endpoint_url=hostile.url, policy="aws"))
    create_bucket(made)
    return made


def code_of(caught: pytest.ExceptionInfo[CubeError]) -> str:
    return caught.value.problems[0].code


def fails(call: Callable[[], object]) -> CubeError:
    with pytest.raises(CubeError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("fault", DRAWN)
def test_an_operation_fails_because_its_first_requests_did(store: S3Store, hostile: HostileStore, fault: str) -> None:
    assert store.conditional
    for name in sorted(SUFFERING[fault]):
        each = S3Store(f"{store.url}/{name.replace(' ', '-')}", store.storage)
        hostile.play()
        each.put("there", BODY)
        each.put("lock", b"0", immutable=False)
        hostile.play(Profile(**{fault: 1.0}, most=2, hang_seconds=0.05))
        assert OPERATIONS[name](each), name
        assert hostile.counts[fault] in (1, 2), name


@pytest.mark.parametrize("fault", ["lost", "resets", "hangs", "errors"])
@pytest.mark.parametrize("expected", [None, b"before"], ids=["create", "replace"])
def test_a_write_that_took_effect_and_was_answered_by_an_error_is_taken_for_anothers(
    store: S3Store, hostile: HostileStore, expected: bytes | None, fault: str
) -> None:
    assert store.conditional
    if expected:
        store.put("lock", expected, immutable=False)
    hostile.play(Profile(**{fault: 1.0}, most=2, methods=frozenset({"PUT"}), hang_seconds=0.05))
    assert store.put_if_unchanged("lock", b"mine", expected)
    assert hostile.counts == {fault: 2}
    assert store.get("lock") == b"mine"
    hostile.play(Profile(**{fault: 1.0}, most=2, methods=frozenset({"PUT"}), hang_seconds=0.05))
    assert not store.put_if_unchanged("lock", b"theirs", expected)
    assert store.get("lock") == b"mine"


def test_a_write_that_is_ours_is_not_waited_for_where_reads_lag(store: S3Store, hostile: HostileStore) -> None:
    assert store.conditional
    hostile.play(Profile(lost=1.0, most=1, read_lag=0.4))
    assert store.put_if_unchanged("lock", b"mine", None)
    assert hostile.counts["lost"] == 1
    assert hostile.counts["read_lag"] > 0


@pytest.mark.parametrize("conditions", ["kept", "ignored", "raced"])
def test_a_server_that_lets_two_writers_win_is_trusted(
    store: S3Store, hostile: HostileStore, conditions: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept = conditions == "kept"
    hostile.play(Profile(conditions=conditions))
    with caplog.at_level(logging.WARNING, logger="cube"):
        assert store.conditional is kept
    assert store.connection._conditional[store.bucket] == Conditional(kept, kept)
    assert hostile.counts[conditions] == (0 if kept else 4)
    assert ("conditional PUT" in caplog.text) is not kept
    assert OPERATIONS["create"](store)
    for expected, new in itertools.pairwise([b"mine", b"1", b"2"]):
        assert not store.put_if_unchanged("new", b"x", None)
        assert not store.put_if_unchanged("new", b"x", b"other")
        assert store.put_if_unchanged("new", new, expected)
    assert store.get("new") == b"2"
    assert list(store.walk("")) == ["new"]


def test_what_is_known_of_a_server_comes_from_its_worse_moments(store: S3Store, hostile: HostileStore) -> None:
    faults = 0
    for seed in range(4):
        store.connection._conditional.clear()
        hostile.play(Profile(seed=seed, errors=0.1, truncated=0.1, resets=0.1, lost=0.2, hangs=0.1, hang_seconds=0.02))
        assert store.conditional, f"seed {seed}"
        faults += hostile.faults
    # A few requests may all pass.
    assert faults
    assert list(store.leftovers("")) == []


def test_a_bucket_that_is_there_cannot_be_made_again(store: S3Store, hostile: HostileStore) -> None:
    hostile.play(Profile(bucket_409=True))
    create_bucket(store)
    create_bucket(store)
    assert hostile.counts == {"bucket_409": 2}
    store.put("a", BODY)


@pytest.mark.parametrize("status", [400, 501])
def test_a_request_needs_what_only_some_servers_know(store: S3Store, hostile: HostileStore, status: int) -> None:
    hostile.play(Profile(no_checksums=status, no_bulk=True))
    client = boto3.client(
        "s3", endpoint_url=hostile.url, config=botocore.config.Config(s3={"addressing_style": "path"})
    )
    with pytest.raises(botocore.exceptions.ClientError):
        client.put_object(Bucket=store.bucket, Key="a", Body=b"with a checksum")
    with pytest.raises(botocore.exceptions.ClientError):
        client.delete_objects(Bucket=store.bucket, Delete={"Objects": [{"Key": "a"}]})
    assert hostile.faults == 2
    make_public(store)
    make_public(store)
    store.put("there", BODY)
    store.put("lock", b"0", immutable=False)
    for name, operation in OPERATIONS.items():
        if name not in ("walk", "replace"):
            assert operation(store), name
    assert list(store.leftovers("")) == []
    assert hostile.faults == 2
    assert open_store(store.public_href("x").removesuffix("/x")).get("lock") == b"0"


def test_a_listing_that_lags_is_believed(
    store: S3Store, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(hostile, "clock", lambda: now)
    store.put("old", BODY)
    now += 60
    hostile.play(Profile(list_lag=60.0))
    store.put("new", BODY)
    store.delete("old")
    assert list(store.walk("")) == ["old"]
    assert hostile.counts == {"list_lag": 1}
    assert store.get("new") == BODY
    assert store.head("old") is None
    now += 60
    assert list(store.walk("")) == ["new"]


def test_a_new_object_that_is_not_there_yet_is_missing(store: S3Store, hostile: HostileStore) -> None:
    waited = 0
    for name in ("put", "put in parts", "create", "copy"):
        hostile.play()
        store.put("there", BODY)
        hostile.play(Profile(read_lag=0.3))
        assert OPERATIONS[name](store), name
        waited += hostile.counts["read_lag"]
    assert waited > 0
    store.put("late", BODY)
    assert store.head("late").bytes == len(BODY)
    store.put("source", BODY)
    store.copy("source", "target")
    assert store.get("target", -3) == BODY[-3:]


def test_what_another_process_wrote_is_taken_for_lost(
    store: S3Store, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile.play(Profile(read_lag=1e9))
    store.put("theirs", BODY)
    store.connection._written.clear()  # as if another process had written it
    hostile.counts.clear()
    with pytest.raises(MissingObjectError):
        store.get("theirs")
    assert hostile.counts == {"read_lag": 1}
    monkeypatch.setattr(retry, "LAG_SECONDS", 0.2)
    store.expect(["theirs", "others"])
    with pytest.raises(MissingObjectError):
        store.get("theirs")
    assert hostile.counts["read_lag"] > 2
    hostile.play()
    assert store.get("theirs") == BODY


@pytest.mark.parametrize("status", [403, 507])
def test_a_full_store_is_waited_for_or_keeps_what_is_deleted(
    store: S3Store, hostile: HostileStore, status: int
) -> None:
    assert store.conditional
    hostile.play(Profile(quota=3 * len(BODY), quota_status=status, no_bulk=True))
    for number in range(3):
        store.put(f"s/{number}", BODY)
    calls = (
        lambda: store.put("s/3", BODY),
        lambda: store.put_if_unchanged("lock", b"mine", None),
        lambda: store.copy("s/0", "s/4"),
        lambda: put_in_parts(store),
    )
    for call in calls:
        error = fails(call)
        assert isinstance(error, StoreError)
        assert error.problems[0].code == "store-full"
        assert "QuotaExceeded" in str(error)
    assert hostile.counts == {"quota": len(calls)}, "a refusal that will not pass was tried again"
    store.delete("s/0")
    store.put("s/3", BODY)
    assert list(store.walk("")) == ["s/1", "s/2", "s/3"]


def test_a_refusal_is_repeated(store: S3Store, hostile: HostileStore) -> None:
    store.put("there", BODY)
    hostile.play(Profile(forbidden=frozenset({"PUT", "DELETE", "POST"})))
    for call in (
        lambda: store.put("a", BODY),
        lambda: store.copy("there", "b"),
        lambda: store.delete("there"),
    ):
        hostile.asked.clear()
        error = fails(call)
        assert error.problems[0].code == "store-permission"
        assert "attempts" not in str(error)
        assert len(hostile.asked) == 1
    assert store.get("there") == BODY


@pytest.mark.parametrize("fault", ["errors", "hangs", "resets"])
def test_a_server_that_fails_for_longer_than_we_wait_ends_in_an_unclear_error(
    store: S3Store, hostile: HostileStore, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("there", BODY)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.1)
    hostile.play(Profile(**{fault: 1.0}, hang_seconds=0.02))
    for name in ("put", "get", "head", "copy", "walk", "replace", "delete"):
        error = fails(lambda name=name: OPERATIONS[name](store))
        assert isinstance(error, StoreError)
        assert error.problems[0].code == "store-unavailable", (name, str(error))
        assert "attempts in" in error.problems[0].what
        assert "run the same command again" in error.problems[0].fix
    hostile.play()
    assert (store.head("there") is None) is (fault == "resets"), "what is reset in the answer has been done"


def test_a_server_that_never_answers_is_waited_for_without_end(
    store: S3Store, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(s3_connection.CONFIG, "read_timeout", 0.1)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.3)
    # Another region makes another connection, with the shorter time-out.
    slow = S3Store(store.url, store.storage.model_copy(update={"region": "slow"}))
    hostile.play(Profile(hangs=1.0, hang_seconds=20))
    started = time.monotonic()
    assert fails(lambda: slow.get("there")).problems[0].code == "store-unavailable"
    assert time.monotonic() - started < 10
    hostile.closing.set()
    hostile.play()
    hostile.closing.clear()


@pytest.mark.parametrize("fault", ["errors", "hangs", "truncated", "resets"])
def test_a_reader_by_the_web_address_gets_something_else(store: S3Store, hostile: HostileStore, fault: str) -> None:
    store.put("there", BODY)
    make_public(store)
    web = open_store(store.public_href("x").removesuffix("/x"))
    for name in ("get", "get a slice", "get a suffix", "head"):
        hostile.play(Profile(**{fault: 1.0}, most=2, hang_seconds=0.05))
        assert OPERATIONS[name](web), name
        assert hostile.counts[fault] == 2 or (fault, name) == ("truncated", "head")


def test_an_error_of_a_failing_server_tells_a_secret_or_a_signature(
    store: S3Store, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.02)
    store.put("there", BODY)
    profiles = [Profile(**{fault: 1.0}, hang_seconds=0.02) for fault in DRAWN]
    profiles += [Profile(quota=0), Profile(forbidden=frozenset({"GET", "PUT", "POST", "DELETE"}))]
    told = []
    with caplog.at_level(logging.DEBUG, logger="cube"):
        for profile in profiles:
            hostile.play(profile)
            for name in ("put", "put in parts", "get", "copy", "walk", "create", "replace", "delete"):
                try:
                    OPERATIONS[name](store)
                except CubeError as error:
                    told.append(texts(error))
                except AttributeError:
                    pass  # the object is not there
    assert len(told) > 30
    told += [record.getMessage() for record in caplog.records if record.name.startswith("cube")]
    for text in told:
        for hidden in (hostile.server.secret, hostile.server.access_key, "Signature", "Credential", "AWS4-HMAC"):
            assert hidden not in text


MIXED = Profile(
    errors=0.05, hangs=0.01, truncated=0.03, resets=0.03, lost=0.03, late=0.05, damaged=0.02, hang_seconds=0.05
)


def test_a_mixture_of_faults_changes_what_is_stored(store: S3Store, hostile: HostileStore) -> None:
    done = mixture(store, hostile, 2026, 40, MIXED)
    assert sum(done.values()) == 160
    assert hostile.faults > 20
    assert {"errors", "truncated", "resets", "lost"} <= set(hostile.counts)


@pytest.mark.soak
def test_a_long_mixture_of_faults_changes_what_is_stored(
    store: S3Store, hostile: HostileStore, capsys: pytest.CaptureFixture[str]
) -> None:
    total, calls, operations = Counter[str](), 0, 0
    first = secrets.randbelow(10**6)
    with capsys.disabled():
        sys.stdout.write(f"\nseeds {first} to {first + 19}\n")
    for seed in range(first, first + 20):
        profile = replace(MIXED, seed=seed, read_lag=0.5 * (seed % 2), list_lag=60.0)
        operations += sum(mixture(store, hostile, seed, 200, profile).values())
        total += hostile.counts
        calls += len(hostile.asked)
        hostile.play()
        for key in list(store.walk("")):
            store.delete(key)
        assert list(store.leftovers("")) == []
    with capsys.disabled():
        sys.stdout.write(f"survived {total.total()} hostile calls of {calls} in {operations} operations: {total}\n")
