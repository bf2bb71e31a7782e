"""What must hold of a cube after its builder was killed, and after the command was given again."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import numpy as np

from cube.verify import verify
from tests.faults.harness import KILLED, Cube, Run
from tests.faults.products import COLLECTIONS, Wanted


@dataclass(frozen=True)
class Expected:
    """What one state of the archive makes: values for readers, and what an undisturbed run has written.

    objects   of each product's version, as `Cube.objects` gives them
    versions  of the products
    keys      of their blocks, by product and block
    """

    wanted: Wanted
    objects: Mapping[str, Mapping[str, str]]
    versions: Mapping[str, str]
    keys: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, cube: Cube, wanted: Wanted) -> Expected:
        """Of a cube that was built undisturbed."""
        keys = {}
        for name, version in cube.versions().items():
            manifest = json.loads(cube.store.get(cube.path(name).manifest(version)))
            keys[name] = {block: entry["key"] for block, entry in manifest["blocks"].items()}
        return cls(wanted, cube.published(), cube.versions(), keys)


def fingerprint(version: str) -> str:
    """Of a version's name; the attempt may be another one after a kill."""
    return version.partition("-")[0]


class Ordeal:
    """One command that is killed again and again, and in the end left alone.

    before   what may be published when it begins
    after    what it makes
    damaged  versions that are known not to be whole
    threads  that write blocks at a time
    faults   of all its runs
    """

    def __init__(
        self,
        cube: Cube,
        before: Sequence[Expected],
        after: Expected,
        command: Sequence[str] = ("build",),
        *,
        damaged: Sequence[str] = (),
        threads: int = 1,
        **faults: Any,
    ) -> None:
        self.cube = cube
        self.after = after
        self.command = tuple(command)
        self.damaged = tuple(damaged)
        self.threads = threads
        self.faults = faults
        self.candidates = [after, *before]
        self.kills: list[Run] = []
        self._done = done_blocks(cube, self.damaged)

    def suffer(self, **faults: Any) -> Run:
        """Run it with these `Faults` and look at what is left; it may come to its end before they strike."""
        return self.endured(self.cube.run(*self.command, **self.faults, **faults))

    def endured(self, run: Run) -> Run:
        """Look at what a run has left."""
        assert run.code in (0, KILLED), run.said
        self._assert_not_redone(run)
        assert_readable(self.cube, self.candidates, self.damaged)
        assert_catalogue(self.cube)
        if run.code == KILLED:
            self.kills.append(run)
        self._done = done_blocks(self.cube, self.damaged)
        return run

    def kill(self, step: str, moment: str = "before", nth: int = 0, **more: Any) -> None:
        """Kill it just there."""
        run = self.suffer(step=step, moment=moment, nth=nth, **more)
        assert run.code == KILLED, f"it never came to {step}, {moment} ({nth}):\n{run.said}"
        # Other threads may have come a step further while the signal was sent.
        assert (step, moment) in {(each.step, each.moment) for each in run.trace}

    def finish(self) -> Run:
        """Leave it alone; all that was promised must be there, and a third run has nothing to do."""
        run = self.suffer()
        assert run.code == 0, run.said
        self.assert_finished()
        return run

    def assert_finished(self) -> None:
        cube = self.cube
        assert_identical(cube, self.after)
        assert_known(cube)
        idle = cube.run(*self.command, **self.faults)
        assert idle.code == 0, idle.said
        assert {each.step for each in idle.trace} <= {"probe", "lock acquire", "lock free", "record"}, (
            "a third run has work to do"
        )

    def _assert_not_redone(self, run: Run) -> None:
        """No block that was done when the former run was killed is computed again, and of others few."""
        written = {_in_version(key) for key in run.keys("block")}
        for (product, block, key), names in self._done.items():
            if self.after.keys[product].get(block) == key:
                again = {name for name in names if (product, name) in written}
                assert not again, f"{block} of {product} was done and is computed again"
        if self.kills:
            again = _places(self.kills[-1].keys("block")) & _places(run.keys("block"))
            assert len(again) <= self.threads, f"{again} were in flight"
            marked = self.kills[-1].keys("pass mark", "after")
            again = {key for key in run.keys("first pass") if any(_leaves(mark, key) for mark in marked)}
            assert not again, f"{again} were left by first passes that were done"


def _in_version(key: str) -> tuple[str, str]:
    """Product, and name relative to the version."""
    _, product, _, name = key.split("/", 3)
    return product, name


def _leaves(mark: str, key: str) -> bool:
    """Whether a first pass, by the key of its mark, leaves this intermediate array: part of the window that it read."""
    version, passed = mark.split("/ledger/passes/spill/")
    if not key.startswith(f"{version}/tmp/{posixpath.dirname(posixpath.dirname(passed))}/"):
        return False
    read, left = (
        [[int(edge) for edge in part.split("-")] for part in name.split("_")]
        for name in (posixpath.basename(posixpath.dirname(passed)), posixpath.splitext(posixpath.basename(key))[0])
    )
    return all(a <= start and stop <= b for (a, b), (start, stop) in zip(read, left, strict=True))


def _places(keys: set[str]) -> set[tuple[str, str]]:
    """Blocks that shards are of: those of the variables that are computed together have one place."""
    named = map(_in_version, keys)
    return {(product, re.sub(r"zarr/(dry|valid)_days/", "zarr/", name)) for product, name in named}


def done_blocks(cube: Cube, damaged: Sequence[str] = ()) -> dict[tuple[str, str, str], set[str]]:
    """Marks of the ledgers: (product, block, key), each with the names of its objects relative to the version."""
    found: dict[tuple[str, str, str], set[str]] = {}
    store = cube.store
    for key in store.walk(""):
        _, product, version, ledger, *rest = [*key.split("/"), "", "", "", ""]
        if ledger == "ledger" and rest[0] in ("time", "map") and version not in damaged:
            mark = json.loads(store.get(key))
            found.setdefault((product, mark["block"], mark["key"]), set()).update(mark["objects"])
    return found


def assert_readable(cube: Cube, candidates: Sequence[Expected], damaged: Sequence[str] = ()) -> None:
    """Every published product is one of `candidates`, whole: plain xarray reads its values, and verify proves it.

    damaged  versions that are known not to be whole
    """
    for name, version in cube.versions().items():
        expected = next(each for each in candidates if fingerprint(each.versions[name]) == fingerprint(version))
        for (product, asset, variable), values in expected.wanted.values.items():
            if product == name:
                found = cube.open(name, asset)[variable]
                assert found.shape == values.shape
                if version not in damaged:
                    np.testing.assert_array_equal(found.values, values)
        if version not in damaged:
            proven = verify(cube.store, cube.path(name), deep=True)
            assert proven is not None
            assert not proven.problems, (name, proven.problems)


def assert_catalogue(cube: Cube) -> None:
    """What the catalogue has is JSON, and its links lead to what is there."""
    store = cube.store
    left = ["catalog.json"] if store.head("catalog.json") else []
    while left:
        key = left.pop()
        for link in json.loads(store.get(key))["links"]:
            if link["rel"] in ("child", "item"):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(key), link["href"]))
                assert store.head(target), f"{key} links to {target}, which is not there"
                left.append(target)


def assert_identical(cube: Cube, expected: Expected) -> None:
    """What is published equals what an undisturbed run has written, byte for byte; the catalogue has all of it."""
    found = cube.published()
    assert found.keys() == set(cube.products)
    for name, objects in found.items():
        wanted = expected.objects[name]
        differing = sorted(each for each in {*objects, *wanted} if objects.get(each) != wanted.get(each))
        assert not differing, f"{name}: {differing}"
    listed = {key for each in ("inputs", "metrics") for key in _items_of(cube, f"{each}/collection.json")}
    assert listed == {cube.path(name).item for name in cube.products}


def _items_of(cube: Cube, collection: str) -> set[str]:
    if cube.store.head(collection) is None:
        return set()
    links = json.loads(cube.store.get(collection))["links"]
    folder = posixpath.dirname(collection)
    return {posixpath.normpath(posixpath.join(folder, link["href"])) for link in links if link["rel"] == "item"}


def assert_known(cube: Cube) -> None:
    """Nothing is left below a product that builders do not know.

    Known are the records; of the live version just what its manifest and ledger name; versions that state.json names; a
    claim that was killed before it could be written down, which `cube gc` finds by listing; and what the store itself
    counts as left over.
    """
    store = cube.store
    left_over = {each.key for each in store.leftovers("")}
    assert unfinished_uploads(cube) <= left_over
    for name in cube.products:
        path = cube.path(name)
        state = json.loads(store.get(path.state))
        live = cube.versions()[name]
        assert state["kept"][0] == live
        assert state["staged"] is None
        manifest = json.loads(store.get(path.manifest(live)))
        for key in cube.names():
            if not key.startswith(f"{path.prefix}/") or key in (path.item, path.state, *left_over):
                continue
            version, _, rest = key.removeprefix(f"{path.prefix}/").partition("/")
            if version == live:
                assert rest in manifest["objects"] or rest == "manifest.json" or rest.startswith("ledger/"), key
            elif version not in (*state["kept"], *state["abandoned"]):
                assert rest == "ledger/claim.json", key


def unfinished_uploads(cube: Cube) -> set[str]:
    """Keys of uploads that a client which is not ours lists."""
    if cube.storage is None:
        return set()
    bucket, _, prefix = cube.location.removeprefix("s3://").partition("/")
    client = boto3.client("s3", endpoint_url=cube.storage.endpoint_url, region_name="us-east-1")
    try:
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    finally:
        client.close()
    return {each["Key"].removeprefix(f"{prefix}/") for each in uploads if each["Key"].startswith(f"{prefix}/")}


def only_live(cube: Cube) -> set[str]:
    """The keys of a cube without history: records, and what manifests and ledgers of live versions name."""
    wanted = {"catalog.json", "lock", *(f"{COLLECTIONS[each]}/collection.json" for each in cube.products)}
    for name, version in cube.versions().items():
        path = cube.path(name)
        manifest = json.loads(cube.store.get(path.manifest(version)))
        wanted |= {path.item, path.state, path.manifest(version)}
        wanted |= {f"{path.version(version)}/{each}" for each in manifest["objects"]}
        wanted |= set(cube.store.walk(f"{path.version(version)}/ledger"))
    return wanted
