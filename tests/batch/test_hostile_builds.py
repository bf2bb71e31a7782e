"""Whole builds on an object store that fails: they end right, or stop with a clear error and go on later."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from batch import jobs
from batch.command import main
from cube.job import Work
from cube.stage import Executed, Stage, execute
from cube.stores import retry
from cube.stores.s3 import S3Store
from tests.batch.archive import rain, write_day
from tests.batch.toy import Toy, ToyOptions, expected
from tests.batch.writers import Starter
from tests.hostile_profile import Profile
from tests.hostile_store import HostileStore, hostile_store
from tests.s3_server import S3Server

pytestmark = [pytest.mark.service, pytest.mark.s3, pytest.mark.xdist_group("hostile-builds")]

SPEC = """
title: Hostile
store: {store}
{storage}
memory: 2 GiB
cluster: {{kind: local, workers: {workers}}}
products:
  rain: {{job: toy, collection: inputs, layout: {{segment: 1 years, maps: true}}, days: {days}}}
"""
OTHERS = """
  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 4 mm d-1}
  measured:
    job: ingest
    collection: inputs
    source: cf
    files: archive/*.nc
    layout: {segment: 1 years}
    provenance: {licence: CC0-1.0, redistribution: "yes"}
"""
PRODUCTS = {"rain": "inputs", "dry": "metrics", "measured": "inputs"}


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[HostileStore]:
    with hostile_store(s3_server) as made:
        yield made


@pytest.fixture
def hostile(proxy: HostileStore) -> Iterator[HostileStore]:
    proxy.play()
    yield proxy
    proxy.play()


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Retries without long pauses; the job that tests bring along."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "SHORTEST_PAUSE", 0.01)
        patch.setattr(retry, "LONGEST_PAUSE", 0.1)
        # Starting processes that look at a few files would take most of the time.
        patch.setattr("batch.build.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
        # No file fits into memory, so that there are first passes and what they leave.
        patch.setattr("cube.rechunk.slab_memory", lambda *_: 10**12)
        patch.setitem(jobs.JOBS, "toy", Toy)
        patch.setitem(jobs.OPTIONS, "toy", ToyOptions)
        yield


class Project:
    """A specification, and what it published on the server, seen without the proxy and without our code."""

    def __init__(self, folder: Path, hostile: HostileStore | None = None) -> None:
        self.folder, self.hostile = folder, hostile
        self.bucket = f"builds-{secrets.token_hex(5)}"
        self.client: Any = hostile.server.client() if hostile else None

    def spec(self, days: int = 800, files: int = 0, workers: int = 0) -> None:
        """The toy product; with files, a product made of them and a metric of the toy one too."""
        self.folder.mkdir(exist_ok=True)
        for day in range(files):
            if not list((self.folder / "archive").glob(f"*{day + 1:02}.nc")):
                write_day(self.folder / "archive", day)
        store, storage = "./cube", ""
        if self.hostile:
            store, storage = f"s3://{self.bucket}/cube", f'storage: {{endpoint_url: "{self.hostile.url}", policy: aws}}'
        text = SPEC.format(store=store, storage=storage, days=days, workers=workers) + (OTHERS if files else "")
        (self.folder / "cube.yaml").write_text(text)

    def run(self, command: str, *arguments: str) -> Result:
        """The command `cube`; it never tells a secret, whatever the server says."""
        Toy.computed.clear()
        places = {"CUBE_CACHE": str(self.folder / "identities"), "CUBE_SCRATCH": str(self.folder / "scratch")}
        result = CliRunner(env=places).invoke(main, [command, "--spec", str(self.folder / "cube.yaml"), *arguments])
        if self.hostile:
            server = self.hostile.server
            for hidden in (server.secret, server.access_key, "Signature", "Credential", "AWS4-HMAC"):
                assert hidden not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def build(self) -> dict[str, Any]:
        """The outcome of a build that must succeed."""
        result = self.run("build", "--json")
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    def end(self) -> None:
        """As if the process that held the lock had ended."""
        self.client.put_object(Bucket=self.bucket, Key="cube/lock", Body=b"{}")

    def objects(self) -> dict[str, bytes]:
        """Everything that is stored, by key."""
        if not self.hostile:
            root = self.folder / "cube"
            return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="cube/")
        names = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        found = {name: self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read() for name in names}
        return {name.removeprefix("cube/"): data for name, data in found.items()}

    def published(self) -> dict[str, dict[str, bytes]]:
        """The objects of each live version by product. Every version that has a manifest must be whole."""
        stored, live = self.objects(), {}
        for key, data in stored.items():
            if key.endswith("/manifest.json"):
                prefix = key.removesuffix("manifest.json")
                for name, entry in json.loads(data)["objects"].items():
                    proof = hashlib.sha256(stored[prefix + name]).hexdigest()
                    assert (len(stored[prefix + name]), proof) == (entry["bytes"], entry["sha256"]), prefix + name
        for product, collection in PRODUCTS.items():
            item = stored.get(f"{collection}/{product}/{product}.json")
            if item:
                prefix = f"{collection}/{product}/{json.loads(item)['properties']['version']}/"
                assert f"{prefix}manifest.json" in stored
                names = [key for key in stored if key.startswith(prefix) and not key.startswith(f"{prefix}ledger/")]
                live[product] = {key.removeprefix(prefix): stored[key] for key in names}
        return live

    def check(self, days: int, files: int = 0) -> None:
        """What readers see is what the job's formula and the files say."""
        live = self.published()
        assert set(live) == (set(PRODUCTS) if files else {"rain"})
        for layout in ("time", "map"):
            found = self.opened(live["rain"], layout)
            np.testing.assert_array_equal(found["pr"].values, expected(ToyOptions(days=days)))
        if not files:
            return
        found = self.opened(live["measured"], "time")
        np.testing.assert_array_equal(found["pr"].values, np.stack([rain(day) for day in range(files)]))
        counted = (expected(ToyOptions(days=days))[:365] < 4).sum(axis=0)
        np.testing.assert_array_equal(self.opened(live["dry"], "time")["dry_days"].values[0], counted)

    def opened(self, objects: dict[str, bytes], layout: str) -> xr.Dataset:
        root = self.folder / f"read-{secrets.token_hex(4)}"
        for name, data in objects.items():
            if name.startswith(f"{layout}.zarr/"):
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        return xr.open_zarr(root / f"{layout}.zarr").load()


def differing(found: dict[str, dict[str, bytes]], wanted: dict[str, dict[str, bytes]]) -> list[str]:
    """Objects of live versions that are not equal, without what a first pass has left for gc."""
    names = {f"{product}/{name}" for each in (found, wanted) for product in each for name in each[product]}
    pairs = (name.partition("/")[::2] for name in sorted(names) if "/tmp/" not in name)
    return [f"{product}/{name}" for product, name in pairs if found[product].get(name) != wanted[product].get(name)]


@pytest.fixture
def project(tmp_path: Path, hostile: HostileStore) -> Project:
    """Nothing built; the bucket is made and public."""
    made = Project(tmp_path, hostile)
    made.spec()
    assert made.run("init").exit_code == 0
    return made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What 800 and then 900 days, 6 and then 8 files give in a directory, with nothing in the way."""
    made = Project(tmp_path_factory.mktemp("undisturbed"))
    for days, files in ((800, 6), (900, 8)):
        made.spec(days, files)
        made.build()
    return made.published()


ROUNDS = 12
MIXED = Profile(
    errors=0.04, hangs=0.01, truncated=0.02, resets=0.02, lost=0.03, late=0.05, damaged=0.01, hang_seconds=0.05
)


def test_a_server_that_fails_now_and_then_changes_what_is_published(
    project: Project, hostile: HostileStore, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    hostile.play(MIXED)
    for days, files in ((800, 6), (900, 8)):
        project.spec(days, files)
        project.build()
    assert project.run("verify", "--deep").exit_code == 0
    assert hostile.faults > 20
    assert len(hostile.counts) > 4
    hostile.play()
    project.check(900, 8)
    assert differing(project.published(), undisturbed) == []
    assert project.build()["built"] == []


@pytest.mark.parametrize("conditions", ["ignored", pytest.param("raced", marks=pytest.mark.soak)])
def test_a_server_without_conditions_is_built_on_without_a_word(
    project: Project, hostile: HostileStore, conditions: str
) -> None:
    hostile.play(Profile(conditions=conditions, no_checksums=501, no_bulk=True, bucket_409=True))
    assert project.run("init").exit_code == 0
    result = project.run("build")
    assert result.exit_code == 0
    assert "[lock-not-atomic]" in result.output
    assert set(hostile.counts) == {conditions, "bucket_409"}
    project.check(800)
    assert project.build()["current"] == ["rain"]


PROCESSOR = """
from batch import jobs
from tests.batch.toy import Toy, ToyOptions
jobs.JOBS["toy"], jobs.OPTIONS["toy"] = Toy, ToyOptions
real = Toy.compute
Toy.compute = lambda *given: real(*given) + {number}
"""
"""Each process computes other numbers from the same inputs, as other types of processors may: a mixture shows."""


@pytest.mark.soak
@pytest.mark.parametrize("conditions", ["ignored", "raced"])
def test_two_writers_that_nothing_keeps_apart_publish_a_mixture(
    project: Project, hostile: HostileStore, conditions: str
) -> None:
    # Both find that nothing is published.
    hostile.play(Profile(conditions=conditions, meeting=("rain/rain.json",)))
    starter = Starter()
    try:
        writers = starter.run(
            project.folder, [{"locked": False, "patch": PROCESSOR.format(number=n)} for n in (100, 200)]
        )
    finally:
        starter.close()
    codes = {writer.code for writer in writers}
    assert 0 in codes
    assert codes <= {0, 7}, [writer.said for writer in writers]
    assert hostile.counts["meeting"] == 2
    assert hostile.counts[conditions] >= 8
    live = project.published()["rain"]
    assert len([key for key in project.objects() if key.endswith("/manifest.json")]) == 2
    series = project.opened(live, "time")["pr"].values
    assert np.unique(series - expected(ToyOptions(days=800))).tolist() in ([100], [200])
    np.testing.assert_array_equal(project.opened(live, "map")["pr"].values, series)


def test_a_build_rests_on_a_listing_or_on_seeing_at_once_what_was_written(
    project: Project, hostile: HostileStore
) -> None:
    project.spec(800, 6)
    hostile.play(Profile(list_lag=3600.0, read_lag=0.2))
    project.build()
    assert hostile.counts["list_lag"] > 0
    assert hostile.counts["read_lag"] > 0
    hostile.play()
    project.check(800, 6)
    assert [key for key in project.objects() if "/tmp/" in key], "a listing that lags was waited for"


def test_a_block_that_a_worker_has_just_written_is_taken_for_lost(
    project: Project, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(work: Work, stage: Stage) -> Executed:
        """As a worker does: what it knows of its writes stays with it."""
        assert isinstance(stage.store, S3Store)
        connection = stage.store.connection
        ours, connection._written = connection._written, {}
        try:
            return execute(work, stage)
        finally:
            connection._written = ours

    monkeypatch.setattr("batch.running.execute", elsewhere)
    hostile.play(Profile(read_lag=3.0))
    project.build()


def failing_from(monkeypatch: pytest.MonkeyPatch, hostile: HostileStore, block: int, profile: Profile) -> None:
    """Another profile from the moment on when so many blocks were computed."""
    real = Toy.compute

    def compute(self: Toy, *given: Any) -> xr.Dataset:
        if len(Toy.computed) == block:
            hostile.play(profile)
        return real(self, *given)

    monkeypatch.setattr(Toy, "compute", compute)


STOPS = {
    "full": (Profile(quota=0, quota_status=507), "store-full", "make room"),
    "refused": (Profile(forbidden=frozenset({"PUT"})), "store-permission", "check the credentials"),
    "down": (Profile(errors=0.5, hangs=0.5, hang_seconds=0.05), "store-unavailable", "run the same command again"),
}


@pytest.mark.parametrize("kind", ["full", "refused", pytest.param("down", marks=pytest.mark.soak)])
def test_a_build_that_is_stopped_publishes_or_loses_what_was_done(
    project: Project, hostile: HostileStore, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    profile, code, fix = STOPS[kind]
    project.spec(400)
    project.build()
    before = project.objects()
    project.spec(1500)
    with monkeypatch.context() as patch:
        patch.setattr(retry, "RETRY_SECONDS", 0.2)
        failing_from(patch, hostile, 2, profile)
        result = project.run("build")
    assert result.exit_code == 5
    assert f"[{code}]" in result.output
    assert fix in result.output
    assert "published" in result.output
    assert hostile.faults > 0
    assert Toy.computed == ["pr 366", "pr 732", "pr 1098"]
    writes = [(method, path) for method, path in hostile.asked if method == "PUT" and "/runs/" not in path]
    assert code == "store-unavailable" or len(writes) == len(set(writes)), "a refusal that will not pass was repeated"
    hostile.play()
    after = project.objects()
    changed = {key for key in before if before[key] != after.get(key)}
    assert changed <= {"lock", "inputs/rain/state.json", "runs/latest-build.json"}
    project.check(400)
    project.end()
    project.build()
    assert Toy.computed == ["pr 1098", "pr 1464"], "finished blocks are done"
    project.check(1500)


@pytest.mark.soak
def test_a_long_mixture_of_faults_changes_what_is_published(
    tmp_path: Path,
    hostile: HostileStore,
    undisturbed: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(retry, "LONGEST_PAUSE", 1.0)
    first, total, calls = secrets.randbelow(10**6), Counter[str](), 0
    with capsys.disabled():
        sys.stdout.write(f"\nseeds {first} to {first + ROUNDS - 1}\n")
    for seed in range(first, first + ROUNDS):
        profile = replace(
            MIXED,
            errors=0.08,
            truncated=0.05,
            resets=0.05,
            lost=0.08,
            conditions=("kept", "ignored", "raced")[seed % 3],
            list_lag=180.0,
            read_lag=2.0 * (seed % 2),
        )
        project = Project(tmp_path / str(seed), hostile)
        for number, (days, files) in enumerate(((800, 6), (900, 8))):
            project.spec(days, files)
            hostile.play(replace(profile, seed=seed + 10**6 * number))
            assert number or project.run("init").exit_code == 0
            project.build()
            assert project.run("verify", "--deep").exit_code == 0
            total += hostile.counts
            calls += len(hostile.asked)
        hostile.play()
        project.check(900, 8)
        assert differing(project.published(), undisturbed) == [], f"seed {seed}"
    with capsys.disabled():
        sys.stdout.write(f"survived {total.total()} hostile calls of {calls} in {2 * ROUNDS} builds: {dict(total)}\n")
