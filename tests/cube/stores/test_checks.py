"""`cube doctor` on a store: every fault is named, the other checks are still made, and nothing of it remains."""

from __future__ import annotations

import datetime
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cube.checks import Check, Trial, exit_code
from cube.errors import InputError, Problem
from cube.stores import Storage, Store, checks, folder_checks, open_store, s3_checks
from cube.stores.checks import StoreTrials
from cube.stores.public_checks import public_trials
from cube.stores.s3 import S3Store
from cube.stores.s3_checks import s3_trials
from cube.stores.s3_public import make_public
from stac.serving import serve
from tests.cube.stores.conftest import Asked, FaultyServer, Reply
from tests.hostile_profile import Call, Profile
from tests.hostile_profile import Reply as Answer
from tests.hostile_store import HostileStore, hostile_store
from tests.s3_server import S3Server


def examined(store: Store, *, lock_elsewhere: bool = False, public: bool = False) -> dict[str, Check]:
    """All checks of a store by name, without "store: "."""
    tried = StoreTrials(store, lock_elsewhere=lock_elsewhere)
    trials = list(tried.trials())
    if isinstance(store, S3Store):
        trials += s3_trials(tried, store)
    if public:
        trials += public_trials(tried)
    found = [trial.run() for trial in trials]
    found += [left] if (left := tried.clear()) else []
    return {check.name.removeprefix("store: "): check for check in found}


def results(found: dict[str, Check]) -> dict[str, str]:
    return {name: check.result for name, check in found.items() if check.result != "ok"}


def everything(server: S3Server, bucket: str) -> list[str]:
    """All that lies in a bucket, as a client says that is not ours."""
    client = server.client()
    uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [each["Key"] for each in [*client.list_objects_v2(Bucket=bucket).get("Contents", []), *uploads]]


@pytest.fixture
def own(s3_server: S3Server) -> str:
    """An empty bucket of this test."""
    bucket = f"doctor-{time.monotonic_ns()}"
    s3_server.client().create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def hostile(s3_server: S3Server) -> Iterator[HostileStore]:
    with hostile_store(s3_server) as proxy:
        yield proxy


def through(hostile: HostileStore, bucket: str) -> Store:
    return open_store(f"s3://{bucket}/cube", Storage(endpoint_url=hostile.url, policy="aws"))


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that not even root can write: a read-only mount or, where mounting is not allowed, a file in the way."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", folder], capture_output=True)
    if mounted.returncode == 0:
        yield folder
        subprocess.run(["umount", folder], check=True)
    else:
        (folder / "runs").write_text("a file in the way")
        yield folder


def test_sound_folder_is_blamed_or_not_left_as_it_was(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put("runs/2026-11-22T02-30-00Z-build-1a2b.json", b"{}")
    assert results(examined(store)) == {}
    assert list(store.walk("")) == ["runs/2026-11-22T02-30-00Z-build-1a2b.json"]
    assert list(store.leftovers("")) == []


@pytest.mark.s3
def test_sound_object_store_is_blamed_or_not_left_as_it_was(s3_server: S3Server, own: str) -> None:
    store = open_store(f"s3://{own}/cube", Storage(endpoint_url=s3_server.endpoint_url, policy="aws"))
    assert isinstance(store, S3Store)
    make_public(store)
    found = examined(store, public=True)
    assert results(found) == {"quota": "not tried"}
    assert {"upload in parts", "unfinished uploads", "public read", "public write", "CORS"} < set(found)
    assert everything(s3_server, own) == []


def test_folder_that_is_not_there_is_made_by_looking(tmp_path: Path) -> None:
    found = examined(open_store(tmp_path / "cube"))
    assert found["write"].result == "problem"
    assert "cube init" in found["write"].fix
    assert {check.result for name, check in found.items() if name != "write"} == {"not tried"}
    assert not (tmp_path / "cube").exists()


def test_read_only_folder_passes_or_stops_the_other_checks(read_only: Path) -> None:
    found = examined(open_store(read_only))
    assert found["write"].result == "problem"
    assert "[store-" in found["write"].found
    assert found["write"].fix
    assert found["read back"].result == "not tried"
    assert exit_code(found.values()) == 5


@pytest.mark.s3
def test_wrong_key_passes_or_is_told(s3_server: S3Server, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "thewrongsecret")
    found = examined(open_store(f"s3://{own}", Storage(endpoint_url=s3_server.endpoint_url)))
    assert "[store-credentials]" in found["write"].found
    assert "thewrongsecret" not in str(found)
    assert found["upload in parts"].result == "not tried"
    assert found["clock"].result == "ok"


@pytest.mark.s3
def test_missing_bucket_is_not_named(s3_server: S3Server) -> None:
    found = examined(open_store("s3://no-such-bucket-here", Storage(endpoint_url=s3_server.endpoint_url)))
    assert "[store-missing]" in found["write"].found


@pytest.mark.s3
def test_server_without_conditional_put_keeps_builds_apart(hostile: HostileStore, own: str) -> None:
    hostile.play(Profile(conditions="ignored"))
    check = examined(through(hostile, own))["conditional write"]
    assert check.result == "warning"
    assert "lock:" in check.fix
    check = examined(through(hostile, own), lock_elsewhere=True)["conditional write"]
    assert check.result == "ok"


@pytest.mark.s3
def test_lag_of_listings_is_hidden_or_a_problem(hostile: HostileStore, own: str, s3_server: S3Server) -> None:
    hostile.play(Profile(list_lag=0.6))
    check = examined(through(hostile, own))["listing"]
    assert check.result == "warning"
    assert "lags behind by" in check.found
    hostile.play(Profile(list_lag=600))
    check = examined(through(hostile, own))["listing"]
    assert (check.result, "is not listed" in check.found) == ("warning", True)
    assert everything(s3_server, own) == [], "what no listing shows is deleted by name"


@pytest.mark.s3
def test_objects_remain_after_failures(hostile: HostileStore, own: str, s3_server: S3Server) -> None:
    hostile.play(Profile(forbidden=frozenset({"GET"})))
    found = examined(through(hostile, own))
    assert found["write"].result == "ok"
    assert found["read back"].result == found["ranged read"].result == found["upload in parts"].result == "problem"
    assert everything(s3_server, own) == []


@pytest.mark.s3
def test_objects_that_cannot_be_deleted_are_not_named(hostile: HostileStore, own: str, s3_server: S3Server) -> None:
    hostile.play(Profile(forbidden=frozenset({"DELETE"})))
    found = examined(through(hostile, own))
    assert found["delete"].result == found["tidy"].result == "problem"
    left = everything(s3_server, own)
    assert left
    assert [key for key in left if "doctor-" in key and key.removeprefix("cube/") not in found["tidy"].found] == []


def test_objects_of_a_killed_doctor_stay_or_those_of_another_go(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    old, young = f"{int(time.time()) - 90000:x}", f"{int(time.time()) - 60:x}"
    kept = [f"runs/doctor-{young}-ab/object", "runs/doctor-notes/object", "runs/latest-build.json"]
    for key in (f"runs/doctor-{old}-ab/object", *kept):
        store.put(key, b"left")
    examined(store)
    assert sorted(store.walk("")) == sorted(kept)


@pytest.mark.s3
def test_private_store_passes_for_a_public_one(s3_server: S3Server, own: str) -> None:
    found = examined(
        open_store(f"s3://{own}/cube", Storage(endpoint_url=s3_server.endpoint_url, policy="aws")), public=True
    )
    assert (found["public read"].result, found["public read"].fix) == (
        "problem",
        "run `cube init`: it sets policy and CORS",
    )
    assert found["CORS"].result == "warning"
    assert found["public write"].result == "ok"


@pytest.mark.s3
def test_missing_cors_rules_are_not_noticed(s3_server: S3Server, own: str) -> None:
    store = open_store(f"s3://{own}/cube", Storage(endpoint_url=s3_server.endpoint_url, policy="aws"))
    assert isinstance(store, S3Store)
    make_public(store)
    s3_server.client().delete_bucket_cors(Bucket=own)
    assert results(examined(store, public=True)) == {"quota": "not tried", "CORS": "warning"}


def test_web_server_before_a_folder_is_not_looked_at(tmp_path: Path, faulty: FaultyServer) -> None:
    """A server that knows no ranges, then one that knows them and allows other pages, then one of other files."""

    def plain(asked: Asked) -> Reply:
        path = tmp_path / asked.path.lstrip("/")
        return Reply(200, path.read_bytes()) if asked.method == "GET" and path.is_file() else Reply(404)

    def ranged(asked: Asked) -> Reply:
        reply, allowed = plain(asked), {"Access-Control-Allow-Origin": "*"}
        if asked.headers.get("range", "").startswith("bytes=-"):
            return Reply(206, reply.body[int(asked.headers["range"][6:]) :], allowed)
        return Reply(reply.status, reply.body, allowed)

    store = open_store(tmp_path, Storage(public_url=faulty.url))
    faulty.respond = plain
    assert examined(store, public=True)["public read"].result == "not tried", "nothing is published"
    store.put("catalog.json", b"{}" * 50)
    found = examined(store, public=True)
    assert "suffix ranges are not kept" in found["public read"].found
    assert (found["CORS"].result, found["CORS"].fix) == ("warning", "set it on the web server")
    faulty.respond = ranged
    found = examined(store, public=True)
    assert found["public read"].result == "ok"
    assert "public write" not in found
    assert "ranges (OPTIONS was answered" in found["CORS"].found
    faulty.respond = lambda asked: Reply(200, b"another page")
    assert "other bytes" in examined(store, public=True)["public read"].found
    assert list(store.walk("")) == ["catalog.json"]


def test_own_web_server_is_blamed(tmp_path: Path) -> None:
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "a", "links": []}))
    with serve(tmp_path, "127.0.0.1", 0) as server:
        found = examined(open_store(tmp_path, Storage(public_url=server.url.rstrip("/"))), public=True)
    assert results(found) == {}
    assert {"public read", "CORS"} < set(found)


@pytest.mark.s3
def test_store_that_anybody_can_write_passes(
    hostile: HostileStore, own: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = hostile.answer

    def answer(call: Call) -> Answer | None:
        unsigned = call.method == "PUT" and "authorization" not in call.headers
        return hostile._forward(call, signed=True) if unsigned else kept(call)

    monkeypatch.setattr(hostile, "answer", answer)
    found = examined(through(hostile, own), public=True)
    assert (found["public write"].result, found["public write"].found) == ("problem", "anybody can write")
    assert everything(s3_server, own) == []


@pytest.mark.s3
def test_unfinished_upload_is_not_counted(s3_server: S3Server, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"s3://{own}/cube", Storage(endpoint_url=s3_server.endpoint_url))
    client = s3_server.client()
    begun = client.create_multipart_upload(Bucket=own, Key="cube/inputs/rain/object")
    upload = {"Bucket": own, "Key": "cube/inputs/rain/object", "UploadId": begun["UploadId"]}
    client.upload_part(**upload, PartNumber=1, Body=bytes(3 * 2**20))
    assert examined(store)["unfinished uploads"].result == "ok", "it may be at work"
    monkeypatch.setattr(checks, "FORGOTTEN_SECONDS", -1.0)
    check = examined(store)["unfinished uploads"]
    assert (check.result, check.found) == ("warning", "1 older than a day, 3.0 MiB")
    assert check.fix == "run `cube gc`"


@pytest.mark.s3
@pytest.mark.parametrize(
    ("hours", "result", "words"),
    [(-1, "problem", "they expired at"), (2, "warning", "they expire at"), (100, "ok", "they expire at")],
)
def test_keys_that_end_are_taken_for_lasting_ones(
    s3_server: S3Server, own: str, monkeypatch: pytest.MonkeyPatch, hours: int, result: str, words: str
) -> None:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", ends.isoformat())
    check = keys(s3_server, own)
    assert (check.result, words in check.found) == (result, True)
    assert "a-session" not in str(check)


@pytest.mark.s3
def test_keys_of_unknown_end_are_taken_for_lasting_ones(
    s3_server: S3Server, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys(s3_server, own).result == "ok"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    assert keys(s3_server, own).result == "warning"
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert keys(s3_server, own).result == "problem"


def keys(server: S3Server, bucket: str) -> Check:
    store = open_store(f"s3://{bucket}", Storage(endpoint_url=server.endpoint_url))
    assert isinstance(store, S3Store)
    return next(trial.run() for trial in s3_trials(StoreTrials(store), store) if trial.name == "store: keys")


@pytest.mark.s3
@pytest.mark.parametrize(("ahead", "result"), [(1000, "problem"), (-1000, "problem"), (400, "warning"), (10, "ok")])
def test_wrong_clock_is_not_noticed(
    s3_server: S3Server, own: str, monkeypatch: pytest.MonkeyPatch, ahead: int, result: str
) -> None:
    store = open_store(f"s3://{own}", Storage(endpoint_url=s3_server.endpoint_url))
    assert isinstance(store, S3Store)
    monkeypatch.setattr(s3_checks, "time", SimpleNamespace(time=lambda: time.time() + ahead))
    check = next(trial.run() for trial in s3_trials(StoreTrials(store), store) if trial.name == "store: clock")
    assert check.result == result
    assert ("ahead of" if ahead > 0 else "behind") in check.found or result == "ok"


def test_server_that_is_away_raises_or_takes_minutes() -> None:
    found = examined(open_store("s3://bucket", Storage(endpoint_url="http://127.0.0.1:9")))
    assert "[store-unreachable]" in found["write"].found
    assert found["clock"].result == "not tried"


def test_kind_of_a_file_system_differs_from_df(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("/"), Path("/dev/shm"), Path("/proc")):
        told = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True, check=True).stdout
        assert folder_checks.file_system(folder) == told.split()[-1]


def test_room_differs_from_df(tmp_path: Path) -> None:
    told = subprocess.run(
        ["df", "--output=avail,iavail", "-B1", "/dev/shm"], capture_output=True, text=True, check=True
    )
    found = folder_checks.room(Path("/dev/shm/no/such/folder"))
    assert [str(found.bytes), str(found.files)] == told.stdout.split()[-2:]


def test_few_inodes_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_checks.inodes("files", tmp_path).result == "ok"
    monkeypatch.setattr(folder_checks, "room", lambda _: folder_checks.Room(2**40, 50))
    assert folder_checks.inodes("files", tmp_path).result == "warning"


def test_trying_a_folder_leaves_a_file_or_a_folder(tmp_path: Path) -> None:
    assert folder_checks.writable("scratch", tmp_path / "new").result == "ok"
    assert list(tmp_path.iterdir()) == []


def test_one_failing_check_stops_the_others() -> None:
    def broken(_name: str) -> Check:
        raise KeyError("secret")

    def refused(_name: str) -> Check:
        raise InputError([Problem("files-none", "no file matches", "files", fix="mount it"), Problem("b", "c")])

    def full(_name: str) -> Check:
        raise OSError(28, "No space left on device")

    found = [Trial("one", broken).run(), Trial("two", refused).run(), Trial("three", full, 4).run()]
    assert [check.exit_code for check in found] == [1, 3, 4]
    assert found[0].found == "the check failed: KeyError"
    assert found[1] == Check("two", "problem", "files: no file matches (and 1 more) [files-none]", "mount it", 3)
    assert found[2].found == "No space left on device"
    assert exit_code([Check("zero", "warning", ""), *found[1:]]) == 3
    assert exit_code([Check("zero", "warning", "")]) == 0
