"""Archive files on an object store and on a web server: the same archive as on disk, fetched once."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cube.errors import InputError
from cube.stores import Storage, open_store
from ingest import remote
from ingest.archive import Archive
from ingest.discovery import discover
from ingest.preflight import inspect
from ingest.selection import IngestSelection
from ingest.sources import SOURCES

from ..s3_server import S3Server
from .looking import codes, look, values
from .small_files import daily, field, write


def look_at(patterns: list[str], folder: Path, storage: Storage | None = None) -> Archive:
    found = discover(patterns, folder, storage)
    return inspect(found, SOURCES["cf"], IngestSelection.model_validate({}), folder)


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    real = remote.download

    def spy(location: str, *rest: Any) -> Any:
        seen.append(location.rsplit("/", 1)[-1])
        return real(location, *rest)

    monkeypatch.setattr(remote, "download", spy)
    return seen


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain server without byte ranges; as many are, it gives no ETag."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_of_a_web_server_are_as_on_disk(web: str, tmp_path: Path, fetches: list[str]) -> None:
    paths = daily(tmp_path / "web", range(3))
    archive = look_at([f"{web}/{path.name}" for path in paths], tmp_path)
    local = look(tmp_path / "web", "*.nc")
    assert [(file.name, file.sha256) for file in archive.files] == [(file.name, file.sha256) for file in local.files]
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 3))
    assert fetches == [path.name for path in paths]


def test_a_changed_file_without_etag_is_noticed(web: str, tmp_path: Path) -> None:
    paths = daily(tmp_path / "web", range(3))
    addresses = [f"{web}/{path.name}" for path in paths]
    look_at(addresses, tmp_path)
    write(paths[1], field(6, 1), times=[1.0])
    assert values(look_at(addresses, tmp_path).variables["tas"])[1, 0, 0] == 6000


def test_a_missing_page_is_a_missing_file(web: str, tmp_path: Path) -> None:
    paths = daily(tmp_path / "web", range(2))
    with pytest.raises(InputError) as caught:
        look_at([*(f"{web}/{path.name}" for path in paths), f"{web}/tas_002.nc"], tmp_path)
    assert [(each.code, each.where) for each in caught.value.problems] == [("file-missing", "tas_002.nc")]


def test_a_copy_that_was_removed_is_fetched_again(
    web: str, tmp_path: Path, own_cache: Path, fetches: list[str]
) -> None:
    (path,) = [write(tmp_path / "web" / "a.nc", field(0, 4), times=range(4))]
    archive = look_at([f"{web}/a.nc"], tmp_path)
    for copy in (own_cache / "scratch").iterdir():
        copy.unlink()
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 4))
    assert fetches == ["a.nc", "a.nc"]
    for copy in (own_cache / "scratch").iterdir():
        copy.unlink()
    write(path, field(5, 4), times=range(4))
    with pytest.raises(InputError) as caught:
        values(archive.variables["tas"])
    assert codes(caught.value.problems) == ["input-moved"]


def test_the_scratch_folder_does_not_grow_without_bounds(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = own_cache / "scratch"
    scratch.mkdir()
    for number in range(4):
        old = scratch / f"{number}"
        old.write_bytes(bytes(1000))
        os.utime(old, (1000 + number, 1000 + number))
    (scratch / "fresh").write_bytes(bytes(1000))
    monkeypatch.setattr(remote, "SCRATCH_BYTES", 3500)
    remote._make_room(scratch, 500)
    assert sorted(path.name for path in scratch.iterdir()) == ["2", "3", "fresh"]


@pytest.mark.s3
def test_objects_are_listed_fetched_once_and_remembered(
    s3_server: S3Server, s3_url: str, tmp_path: Path, fetches: list[str]
) -> None:
    storage = Storage.model_validate({"endpoint_url": s3_server.endpoint_url, "region": "us-east-1"})
    store = open_store(s3_url, storage)
    for path in daily(tmp_path, range(4)):
        store.put(f"archive/{path.name[4:5]}/{path.name}", path.read_bytes())
    store.put("archive/readme.txt", b"not a data file")
    archive = look_at([f"{s3_url}/archive/**/*.nc"], tmp_path, storage)
    assert [file.name for file in archive.files] == [f"0/tas_{day:03d}.nc" for day in range(4)]
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 4))
    assert len(fetches) == 4
    again = look_at([f"{s3_url}/archive/**/*.nc"], tmp_path, storage)
    np.testing.assert_array_equal(values(again.variables["tas"]), field(0, 4))
    assert len(fetches) == 4
    assert "secret" not in repr(archive.files).lower()


@pytest.mark.s3
def test_a_changed_object_is_noticed(s3_server: S3Server, s3_url: str, tmp_path: Path) -> None:
    storage = Storage.model_validate({"endpoint_url": s3_server.endpoint_url, "region": "us-east-1"})
    store = open_store(s3_url, storage)
    for path in daily(tmp_path, range(3)):
        store.put(path.name, path.read_bytes())
    look_at([f"{s3_url}/*.nc"], tmp_path, storage)
    store.put("tas_001.nc", write(tmp_path / "new.nc", field(4, 1), times=[1.0]).read_bytes(), immutable=False)
    assert values(look_at([f"{s3_url}/*.nc"], tmp_path, storage).variables["tas"])[1, 0, 0] == 4000


@pytest.mark.s3
def test_a_pattern_of_objects_that_matches_nothing(s3_server: S3Server, s3_url: str, tmp_path: Path) -> None:
    storage = Storage.model_validate({"endpoint_url": s3_server.endpoint_url, "region": "us-east-1"})
    with pytest.raises(InputError) as caught:
        look_at([f"{s3_url}/nothing/*.nc"], tmp_path, storage)
    assert codes(caught.value.problems) == ["files-none"]
