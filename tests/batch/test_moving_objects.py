"""Files on an object store or on the web that move while they are fetched."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest import remote
from tests.batch.moving import (
    FILES,
    Back,
    Cube,
    Mover,
    Way,
    _nothing,
    assert_identities,
    begun,
    built_first,
    cases,
    check,
    grown,
    in_this_process,
    overwritten,
    removed,
    replaced,
    truncated,
)
from tests.batch.remote_cube import Wire, wire
from tests.s3_server import S3Server

type Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


@pytest.fixture
def cube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cube:
    return begun(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_first(tmp_path_factory.mktemp("first"))


OBJECTS = [replaced, grown, truncated, removed]


class Far:
    """The archive of a `Cube` on an object store, behind a proxy that acts when an object was read."""

    def __init__(self, cube: Cube, server: S3Server, url: str, passing: Wire, scheme: str) -> None:
        self.cube, self.wire, self._client = cube, passing, server.client()
        self.bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self.prefix = prefix
        names = [cube.file(number).name for number in range(FILES)]
        if scheme == "s3":
            place = f"files: '{url}/*.nc', archive: {{endpoint_url: '{passing.url}'}}"
        else:
            place = "files: [" + ", ".join(f"'{passing.url}/{self.bucket}/{prefix}/{name}'" for name in names) + "]"
        cube.options = place

    def path(self, number: int) -> str:
        return f"/{self.bucket}/{self.prefix}/{self.cube.file(number).name}"

    def upload(self, *numbers: int) -> None:
        for number in numbers:
            file = self.cube.file(number)
            self._client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{file.name}", Body=file.read_bytes())

    def remove(self, number: int) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=f"{self.prefix}/{self.cube.file(number).name}")


@pytest.fixture(scope="module")
def passing(s3_server: S3Server) -> Iterator[Wire]:
    with wire(s3_server.endpoint_url) as made:
        readable = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{s3_server.bucket}/*"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [readable]})
        s3_server.client().put_bucket_policy(Bucket=s3_server.bucket, Policy=policy)
        yield made
        s3_server.client().delete_bucket_policy(Bucket=s3_server.bucket)


@pytest.fixture(params=["s3", pytest.param("http", marks=pytest.mark.soak)])
def far(
    request: pytest.FixtureRequest, cube: Cube, s3_server: S3Server, s3_url: str, passing: Wire, first_version: Path
) -> Far:
    """A published cube whose archive, now elsewhere, was replaced as a whole."""
    shutil.copytree(first_version / "cube", cube.folder / "cube")
    cube.write(range(FILES), 0.5)
    passing.after.clear()
    made = Far(cube, s3_server, s3_url, passing, request.param)
    made.upload(*range(FILES))
    return made


@pytest.mark.s3
@pytest.mark.parametrize(
    ("way", "moment"),
    cases(
        ("before", [replaced, removed]), ("between", [replaced]), moments=("before", "between", "after"), ways=OBJECTS
    ),
)
def test_object_that_moves_while_it_is_fetched_is_staged(
    far: Far, monkeypatch: pytest.MonkeyPatch, way: Way, moment: str
) -> None:
    """before: when its size is known; between: when a part of it was fetched; after: when all of it was."""
    cube, number, back = far.cube, FILES - 1, []
    if moment == "between":
        monkeypatch.setattr(remote, "PART_BYTES", cube.last.stat().st_size // 2 + 1)

    def act() -> None:
        back.append(way(cube.last))
        if way is removed:
            far.remove(number)
        else:
            far.upload(number)

    far.wire.after[far.path(number - 1 if moment == "before" else number)] = act
    before = cube.stored()
    error = cube.refused()
    assert error.exit_code == 3
    (problem,) = error.problems
    assert problem.where == cube.last.name
    assert problem.code == ("file-missing" if way is removed and moment != "after" else "input-moved")
    assert cube.stored() == before
    back[0]()
    far.upload(number)
    cube.made()
    np.testing.assert_array_equal(cube.values(), cube.originals())
    assert_identities(cube)


@pytest.mark.s3
def test_object_that_is_replaced_when_it_was_fetched_mixes_two_files(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    cube, first = far.cube, far.cube.originals()

    def replace(path: Path) -> Back:
        overwritten(path)
        far.upload(FILES - 1)
        return _nothing

    mover = Mover(cube.last, "listed", replace, monkeypatch)
    names = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in cube.archive.glob("*.nc")}
    cube.made()
    mover.rest()
    np.testing.assert_array_equal(cube.values(), first)
    assert {each["name"]: each["sha256"] for each in cube.manifest["inputs"]["files"]} == names
    cube.made()
    np.testing.assert_array_equal(cube.values(), cube.originals())
    assert_identities(cube)


@pytest.mark.s3
@pytest.mark.parametrize(
    "damage", ["zeros", *(pytest.param(each, marks=pytest.mark.soak) for each in ("shorter", "gone"))]
)
def test_copy_of_an_object_that_was_damaged_here_is_read(
    far: Far, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    cube = far.cube

    def harm(_: Path) -> Back:
        for copy in (cube.folder / "scratch").iterdir():
            size = copy.stat().st_size
            copy.unlink()
            if damage != "gone":
                copy.write_bytes(bytes(size - (40 if damage == "shorter" else 0)))
        return _nothing

    Mover(cube.file(0), "listed", harm, monkeypatch)
    cube.made()
    np.testing.assert_array_equal(cube.values(), cube.originals())


@pytest.mark.s3
def test_object_that_is_gone_when_it_must_be_fetched_again_is_a_failure_of_the_store(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = far.cube

    def lose(_: Path) -> Back:
        shutil.rmtree(cube.folder / "scratch")
        far.remove(FILES - 1)
        return lambda: far.upload(FILES - 1)

    check(cube, Mover(cube.last, "listed", lose, monkeypatch), {"file-missing"})
