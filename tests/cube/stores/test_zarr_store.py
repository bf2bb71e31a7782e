"""Arrays of a store through zarr-python, compared with what zarr-python itself wrote."""

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
import zarr.errors
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer.core import default_buffer_prototype

from cube.errors import StoreError
from cube.stores import Store, open_store
from cube.stores.zarr_store import ZarrReader

from .conftest import FaultyServer, Reply

VALUES = np.random.default_rng(1).normal(size=(20, 12, 10)).astype("float32")
PREFIX = "inputs/rain/0123-1/time.zarr"


@pytest.fixture
def filled(store: Store, tmp_path: Path) -> Store:
    """A store that holds a group written by zarr-python in shards, with consolidated metadata."""
    local = tmp_path / "original.zarr"
    root = zarr.create_group(local, zarr_format=3)
    array = root.create_array(
        "pr", shape=VALUES.shape, chunks=(20, 4, 5), shards=(20, 8, 10), dtype="f4", dimension_names=("t", "y", "x")
    )
    array[:] = VALUES
    root.create_array("y", data=np.arange(12.0), dimension_names=("y",))
    with pytest.warns(UserWarning, match=r"[Cc]onsolidated"):
        zarr.consolidate_metadata(local, zarr_format=3)
    for path in local.rglob("*"):
        if path.is_file():
            store.put(f"{PREFIX}/{path.relative_to(local)}", path.read_bytes())
    return store


@pytest.fixture(params=["BatchedCodecPipeline", "FusedCodecPipeline"])
def pipeline(request: pytest.FixtureRequest) -> Iterator[None]:
    with zarr.config.set({"codec_pipeline.path": f"zarr.core.codec_pipeline.{request.param}"}):
        yield


@pytest.mark.usefixtures("pipeline")
def test_arrays_are_what_was_written(filled: Store) -> None:
    group = zarr.open_group(ZarrReader(filled, PREFIX), mode="r", zarr_format=3, use_consolidated=True)
    assert sorted(group.array_keys()) == ["pr", "y"]
    np.testing.assert_array_equal(group["pr"][:], VALUES)
    np.testing.assert_array_equal(group["pr"][3:9, 5, 2:7], VALUES[3:9, 5, 2:7])


def test_xarray_opens_it(filled: Store) -> None:
    with xr.open_zarr(ZarrReader(filled, PREFIX), zarr_format=3, chunks=None) as opened:
        np.testing.assert_array_equal(opened["pr"].values, VALUES)


@pytest.mark.usefixtures("pipeline")
def test_a_missing_shard_is_an_error_where_asked_for(filled: Store) -> None:
    filled.delete(f"{PREFIX}/pr/c/0/1/0")
    # The setting counts when an array is opened, not when it is read.
    with zarr.config.set({"array.read_missing_chunks": False}):
        array = zarr.open_group(ZarrReader(filled, PREFIX), mode="r")["pr"]
    np.testing.assert_array_equal(array[:, :8], VALUES[:, :8])
    with pytest.raises(zarr.errors.ChunkNotFoundError):
        array[:, 8:]


def test_byte_requests_are_answered_as_zarr_defines_them(store: Store) -> None:
    body = bytes(range(100))
    store.put("p/object", body)
    reader, prototype = ZarrReader(store, "p"), default_buffer_prototype()

    async def get(key: str, wanted: object = None) -> bytes | None:
        found = await reader.get(key, prototype, wanted)
        return None if found is None else found.to_bytes()

    async def check() -> None:
        assert await get("object") == body
        assert await get("object", RangeByteRequest(10, 20)) == body[10:20]
        assert await get("object", RangeByteRequest(90, 200)) == body[90:]
        assert await get("object", OffsetByteRequest(95)) == body[95:]
        assert await get("object", SuffixByteRequest(5)) == body[-5:]
        assert await get("object", SuffixByteRequest(500)) == body
        assert await get("object", SuffixByteRequest(0)) == b""
        assert await get("absent", SuffixByteRequest(5)) is None
        assert await reader.exists("object")
        assert not await reader.exists("absent")
        assert await reader.getsize("object") == 100
        with pytest.raises(FileNotFoundError):
            await reader.getsize("absent")
        parts = await reader.get_partial_values(prototype, [("object", RangeByteRequest(0, 2)), ("absent", None)])
        assert [None if part is None else part.to_bytes() for part in parts] == [body[:2], None]

    asyncio.run(check())


def test_listing_is_relative_to_the_prefix(store: Store) -> None:
    for key in ("p/zarr.json", "p/a/zarr.json", "p/a/c/0", "p/ab/zarr.json", "p2/zarr.json"):
        store.put(key, b"")
    reader = ZarrReader(store, "p")

    async def check() -> None:
        assert [key async for key in reader.list()] == ["a/c/0", "a/zarr.json", "ab/zarr.json", "zarr.json"]
        assert [key async for key in reader.list_prefix("a")] == ["a/c/0", "a/zarr.json", "ab/zarr.json"]
        assert [key async for key in reader.list_prefix("a/")] == ["a/c/0", "a/zarr.json"]
        assert [key async for key in reader.list_dir("")] == ["a", "ab", "zarr.json"]
        assert [key async for key in reader.list_dir("a")] == ["c", "zarr.json"]

    asyncio.run(check())


def test_nothing_can_be_written(filled: Store) -> None:
    reader = ZarrReader(filled, PREFIX)
    before = sorted(filled.walk(""))
    array = zarr.open_array(reader, path="pr", mode="r")
    with pytest.raises(ValueError, match="read"):
        array[:] = 0
    for mode in ("w", "a", "r+"):
        with pytest.raises(ValueError):
            zarr.open_group(reader, mode=mode)["pr"][:] = 0
    with pytest.raises(ValueError):
        reader.with_read_only(False)
    assert reader.with_read_only(True) == reader
    assert sorted(filled.walk("")) == before


def test_an_array_is_sent_to_another_process(filled: Store) -> None:
    array = zarr.open_group(ZarrReader(filled, PREFIX), mode="r")["pr"]
    assert pickle.loads(pickle.dumps(array.store)) == array.store
    program = "import pickle, sys; sys.stdout.buffer.write(pickle.load(sys.stdin.buffer)[:].tobytes())"
    child = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(array), capture_output=True, check=True)
    assert child.stdout == VALUES.tobytes()


def test_a_failing_server_is_not_taken_for_a_missing_chunk(faulty: FaultyServer) -> None:
    faulty.replies(Reply(403))
    reader = ZarrReader(open_store(faulty.url), "a.zarr")
    assert not reader.supports_listing
    with pytest.raises(StoreError):
        zarr.open_group(reader, mode="r", zarr_format=3)
