"""What a failed, killed or large export leaves behind, and cubes that are not a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.export.exporting import export
from compute.export.reading import Reader
from cube.axes import Step, TimeAxis
from cube.catalogue import Cube
from cube.errors import IntegrityError, RequestError, SpecError, StoreError, WriteError
from stac.serving import serve
from tests.compute.notebook.products import SPEC, Toy, built, grid
from tests.s3_server import S3Server

from .conftest import TOYS
from .test_netcdf import raw

SIZE, DAYS = 64, 6000
LIMIT = 40 * 2**20


@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_failed_export_leaves_a_file(cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    whole = tmp_path / f"kept{suffix}"
    export(cube, "daily", whole)
    before = whole.read_bytes()

    def broken(self: Reader, name: str, slices: Any) -> Any:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Reader, "read", broken)
    for path, overwrite in ((tmp_path / f"new{suffix}", False), (whole, True)):
        with pytest.raises(StoreError):
            export(cube, "daily", path, overwrite=overwrite)
    assert list(tmp_path.iterdir()) == [whole]
    assert whole.read_bytes() == before


def test_existing_file_is_replaced_without_being_asked(cube: Cube, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(SpecError) as refused:
        export(cube, "daily", path)
    assert path.read_text() == "mine"
    assert refused.value.problems[0].code == "export-target"
    export(cube, "daily", path, overwrite=True, end="2001-01-02")
    assert len(path.read_text().splitlines()) == 1 + 2 * 24


def test_threads_that_write_one_file_mix_it(cube: Cube, tmp_path: Path) -> None:
    def written(product: str) -> bytes:
        export(cube, product, tmp_path / f"{product}.csv")
        return (tmp_path / f"{product}.csv").read_bytes()

    whole = {written(product) for product in ("daily", "counts")}
    target = tmp_path / "one.csv"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda product: export(cube, product, target, overwrite=True), ("daily", "counts") * 4))
    assert target.read_bytes() in whole
    assert {each.name for each in tmp_path.iterdir()} == {"one.csv", "daily.csv", "counts.csv"}


@pytest.mark.parametrize("name", ["a.txt", "no/a.nc", "folder.nc"])
def test_unusable_target_is_written(cube: Cube, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(SpecError):
        export(cube, "daily", tmp_path / name)


@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_unwritable_folder_ends_in_a_traceback(cube: Cube, suffix: str) -> None:
    # Where not even root may write.
    with pytest.raises(WriteError) as refused:
        export(cube, "seasons", Path(f"/proc/a{suffix}"))
    assert [each.code for each in refused.value.problems] == ["store-io"]


def links(source: Any, target: Any) -> None:
    """Of a file system that has none."""
    raise OSError(95, "operation not supported")


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_file_that_appears_meanwhile_is_replaced(
    cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, linked: bool
) -> None:
    path = tmp_path / f"a{suffix}"
    if not linked:
        monkeypatch.setattr(os, "link", links)

    def others(done: int, total: int) -> None:
        path.write_text("mine")

    with pytest.raises(RequestError) as refused:
        export(cube, "seasons", path, progress=others)
    assert [each.code for each in refused.value.problems] == ["export-target"]
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]
    export(cube, "seasons", path, progress=others, overwrite=True)
    assert path.read_bytes() != b"mine"


def test_folder_without_links_gets_no_file(cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", links)
    export(cube, "seasons", tmp_path / "a.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_link_to_nothing_is_replaced_without_being_asked(cube: Cube, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.symlink_to(tmp_path / "none")
    with pytest.raises(RequestError):
        export(cube, "seasons", path)
    assert path.is_symlink()


def test_closed_folder_ends_in_a_traceback(cube: Cube, tmp_path: Path) -> None:
    closed, root = tmp_path / "closed", os.geteuid() == 0
    closed.mkdir()
    closed.chmod(0)
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(WriteError) as refused:
            export(cube, "seasons", closed / "a.nc")
    finally:
        if root:
            os.seteuid(0)
        closed.chmod(0o700)
    assert [each.code for each in refused.value.problems] == ["store-io"]


@pytest.mark.parametrize("name", ["a\0.nc", "\ud800.nc"])
def test_name_of_no_file_is_cut_or_ends_in_a_traceback(cube: Cube, tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError) as refused:
        export(cube, "seasons", tmp_path / name)
    assert [each.code for each in refused.value.problems] == ["export-target"]
    str(refused.value).encode()
    assert not list(tmp_path.iterdir())


def test_name_that_is_too_long_ends_in_a_traceback(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        export(cube, "seasons", tmp_path / f"{'a' * 300}.nc")


FULL = """
import resource, sys
from pathlib import Path
from compute.export.exporting import export
from cube.catalogue import Cube
from cube.errors import WriteError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    export(Cube(sys.argv[1]), "daily", Path(sys.argv[2]))
except WriteError as error:
    print(error.problems[0].code)
"""


@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_full_disk_ends_in_a_traceback(folder: Path, tmp_path: Path, suffix: str) -> None:
    command = [sys.executable, "-W", "error", "-c", FULL, str(folder / "cube"), str(tmp_path / f"a{suffix}")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=300)
    assert (ended.returncode, ended.stdout) == (0, "store-io\n"), ended.stderr
    assert not list(tmp_path.iterdir())


def test_missing_chunk_becomes_missing_values(tmp_path: Path) -> None:
    from .conftest import daily

    assert not built(tmp_path, {"daily": daily()}).failed
    for chunk in tmp_path.glob("cube/metrics/daily/*/time.zarr/pr/c/**/*"):
        if chunk.is_file():
            chunk.chmod(0o644)
            chunk.unlink()
    with pytest.raises(IntegrityError):
        export(Cube(tmp_path / "cube"), "daily", tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()


def test_cube_over_http_gives_another_file(folder: Path, cube: Cube, tmp_path: Path) -> None:
    with serve(folder / "cube", "127.0.0.1", 0) as server:
        export(Cube(server.url), "seasons", tmp_path / "a.nc", places=[(3.0, -3.0)])
    export(cube, "seasons", tmp_path / "b.nc", places=[(3.0, -3.0)])
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


@pytest.mark.s3
def test_cube_on_an_object_store_gives_another_file(
    cube: Cube, folder: Path, tmp_path: Path, s3_server: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = f"storage: {{endpoint_url: '{s3_server.endpoint_url}'}}"
    monkeypatch.setattr(
        "tests.compute.notebook.products.SPEC", SPEC.replace("store: ./cube", f"store: {s3_url}\n{escaped(storage)}")
    )
    assert not built(tmp_path, {"seasons": TOYS["seasons"]}).failed
    remote = Cube(s3_url, {"endpoint_url": s3_server.endpoint_url})
    for name, box in (("a.csv", None), ("b.csv", (2.0, -4.0, 6.0, 2.0))):
        export(remote, "seasons", tmp_path / name, box=box)
        export(cube, "seasons", tmp_path / f"here-{name}", box=box)
        assert (tmp_path / name).read_text() == (tmp_path / f"here-{name}").read_text()


def escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


SCRIPT = """
import resource, sys
from pathlib import Path
from compute.export import exporting, netcdf, rows
from cube.catalogue import Cube
cube, folder = Cube(sys.argv[1]), Path(sys.argv[2])
netcdf.BUDGET = rows.BUDGET = 2**21
asked = dict(start="1971-01-01", end="1971-01-02")
for suffix in (".nc", ".csv"):
    exporting.export(cube, "large", folder / f"small{suffix}", box=(0, 0, 3, 3), **asked)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
exporting.export(cube, "large", folder / "large.nc", progress=lambda done, total: print(done, total, flush=True))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
exporting.export(cube, "large", folder / "large.csv", box=(0, 0, 1, 64))
print("grown", (after - before) * 1024, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - after) * 1024)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product of 98 MB, in chunks that hold the whole period of a few cells."""
    values = np.zeros((DAYS, SIZE, SIZE), np.float32)
    values[:] = np.arange(SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)
    toy = Toy(
        {"pr": (("time", "lat", "lon"), values, {"units": "mm d-1"})},
        grid(np.arange(SIZE), np.arange(SIZE)),
        TimeAxis(0, DAYS, Step("day"), "standard"),
    )
    folder = tmp_path_factory.mktemp("large")
    assert not built(folder, {"large": toy}).failed
    return folder


def started(large: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(large / "cube"), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


def test_memory_grows_with_the_product(large: Path, tmp_path: Path) -> None:
    process = started(large, tmp_path)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    *_, netcdf, table = out.splitlines()[-1].split()
    assert int(netcdf) < LIMIT
    assert int(table) < LIMIT
    np.testing.assert_array_equal(
        raw(tmp_path / "large.nc")["pr"].isel(time=5000).values, np.arange(SIZE * SIZE).reshape(SIZE, SIZE)
    )


def test_killed_export_is_seen_as_whole(large: Path, tmp_path: Path) -> None:
    process = started(large, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "large.nc").exists()
