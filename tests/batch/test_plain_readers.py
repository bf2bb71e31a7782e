"""What readers see of damaged objects: with xarray and pystac alone, with zarr's strict setting, and with our package.

docs/store-layout.md says it in a table, which is proven here cell by cell.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pystac
import pytest
import xarray as xr
import zarr

import climate_impact_cube as cic
from tests.batch.damage import DAMAGES, DAYS, Sound, damage, flipped, with_references
from tests.batch.series import MONTH, Series, series
from tests.conftest import ROOT
from tests.ingest.test_references_http import Web, web

__all__ = ["web"]

RAIN = series("pr", DAYS)
RIGHT, MISSING, WRONG = "right", "missing values", "wrong values"
NOT_FOUND, CHECKSUM, JSON = "ChunkNotFoundError", "ValueError", "JSONDecodeError"
SEEN = {
    ("shard", "deleted"): (MISSING, NOT_FOUND),
    ("shard", "truncated"): (CHECKSUM, CHECKSUM),
    ("shard", "emptied"): (CHECKSUM, CHECKSUM),
    ("shard", "flipped"): (CHECKSUM, CHECKSUM),
    ("shard", "swapped"): (WRONG, WRONG),
    ("group", "deleted"): ("GroupNotFoundError", "GroupNotFoundError"),
    ("group", "truncated"): (JSON, JSON),
    ("group", "emptied"): (JSON, JSON),
    ("group", "flipped"): ("TypeError", "TypeError"),
    ("group", "swapped"): (WRONG, NOT_FOUND),
    **{("array", how): (RIGHT, RIGHT) for how in DAMAGES},
}
SEEN |= {("shard of maps", how): SEEN["shard", how] for how in DAMAGES}
SEEN |= {("latitudes", how): SEEN["shard", how] for how in DAMAGES}
SEEN |= {("dates", how): SEEN["shard", how] for how in DAMAGES}
ROWS = {
    "shard of `time.zarr` or `map.zarr`": ("shard", "shard of maps"),
    "chunk of a coordinate": ("latitudes", "dates"),
    "`zarr.json` of the group": ("group",),
    "`zarr.json` of an array": ("array",),
    "`references.json`": ("references.json",),
    "part of `references.parquet`": ("references.parquet/pr/refs.0.parq",),
    "the item, `collection.json`, `catalog.json`": ("item", "collection", "catalogue"),
    "`manifest.json`, `state.json`, the ledger": ("manifest", "state", "mark"),
}
COLUMNS = ("deleted", "truncated", "flipped", "swapped")


def documented(kind: str, how: str) -> str:
    """The cell of the table in docs/store-layout.md."""
    text = (ROOT / "docs/store-layout.md").read_text().partition("## What plain readers see")[2]
    rows = [line.strip("| ").split(" | ") for line in text.partition("\n\nThe strict")[0].splitlines() if "|" in line]
    cells = {label: cells for label, *cells in rows[2:]}
    assert list(cells) == list(ROWS)
    row = next(cells[label] for label, kinds in ROWS.items() if kind in kinds)
    return row[COLUMNS.index("truncated" if how == "emptied" else how)]


def assert_documented(kind: str, how: str, seen: str) -> None:
    cell = documented(kind, how)
    if seen == RIGHT:
        assert cell == "nothing"
    elif seen == MISSING:
        assert "**missing" in cell
    elif seen == WRONG:
        assert "**" in cell
        assert "wrong" in cell or "other products" in cell
    else:
        assert f"`{seen}`" in cell or "an error" in cell


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return Sound.made(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def cube(sound, tmp_path):
    return sound.copied(tmp_path)


def seen(opened: Callable[[], xr.Dataset], period: range = DAYS) -> str:
    """What a reader gets who looks at all of the rain and where and when it fell."""
    rain = RAIN[: len(period)]
    try:
        found = opened()
        values, lat, days = found["pr"].values, found["lat"].values, found["time"].values
    except Exception as error:  # noqa: BLE001  whatever a reader would see
        return type(error).__name__
    if values.shape != rain.shape or (values != rain)[~np.isnan(values)].any():
        return WRONG
    if (np.isnan(values) > np.isnan(rain)).any() or np.isnan(lat).any() or len(set(days)) < len(days):
        return MISSING
    return RIGHT if lat[0] == 10.0 and str(days[0]) == "1970-01-01 00:00:00" else WRONG


def test_reader_of_a_sound_cube_sees_something_else(sound, cube):
    for layout in ("time", "map"):
        assert seen(lambda layout=layout: xr.open_zarr(cube / sound.root / f"{layout}.zarr")) == RIGHT
        assert seen(lambda layout=layout: cic.open(cube).open("rain", layout)) == RIGHT


@pytest.mark.parametrize(("kind", "how"), SEEN)
def test_reader_sees_something_else_than_is_documented(sound, cube, kind, how):
    sound.damage(cube, kind, how)
    layout = "map" if "maps" in kind else "time"
    folder = cube / sound.root / f"{layout}.zarr"
    plain, strict = SEEN[kind, how]
    assert_documented(kind, how, plain)
    assert seen(lambda: xr.open_zarr(folder)) == plain
    with zarr.config.set({"array.read_missing_chunks": False}):
        assert seen(lambda: xr.open_zarr(folder)) == strict
    assert seen(lambda: cic.open(cube).open("rain", layout)) == strict


def items(cube: Path) -> list[pystac.Item]:
    """All products, as a reader without our package finds them."""
    return list(pystac.Catalog.from_file(cube / "catalog.json").get_items(recursive=True))


def by_catalogue(cube: Path) -> xr.Dataset:
    rain = next(item for item in items(cube) if item.id == "rain")
    return xr.open_zarr(rain.assets["time"].get_absolute_href())


@pytest.mark.parametrize("kind", ["manifest", "mark", "state"])
def test_records_of_builders_are_in_a_readers_way(sound, cube, kind):
    path = cube / sound.kinds[kind].key
    for how in DAMAGES:
        sound.damage(cube, kind, how)
        assert_documented(kind, how, RIGHT)
        assert seen(lambda: by_catalogue(cube)) == RIGHT
        path.unlink(missing_ok=True)
        path.hardlink_to(sound.folder / "cube" / sound.kinds[kind].key)


@pytest.mark.parametrize("kind", ["shard", "dates"])
def test_flipped_bit_is_read_as_data(sound, cube, kind):
    path = cube / sound.kinds[kind].key
    data = path.read_bytes()
    path.unlink()
    array = zarr.open_group(cube / sound.root / "time.zarr", mode="r")["pr" if kind == "shard" else "time"]
    # An index is behind the chunks of a shard.
    for position in (*np.random.default_rng(1).integers(0, len(data), 20), *range(len(data) - 30, len(data), 5)):
        path.write_bytes(flipped(data, int(position)))
        with pytest.raises(ValueError, match="checksum"):
            array[:360]


def test_flipped_bit_of_an_attribute_is_an_error_to_readers(sound, cube):
    path = cube / sound.kinds["group"].key
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data.replace(b"mm d-1", b"mm d-3"))
    assert xr.open_zarr(cube / sound.root / "time.zarr")["pr"].attrs["units"] == "mm d-3"


@pytest.mark.parametrize("kind", ["item", "collection", "catalogue"])
@pytest.mark.parametrize("how", ["deleted", "truncated", "emptied", "swapped"])
def test_damaged_catalogue_leads_readers_somewhere_else(sound, cube, kind, how):
    assert seen(lambda: by_catalogue(cube)) == RIGHT
    sound.damage(cube, kind, how)
    by_us = seen(lambda: cic.open(cube)["rain"])
    if how == "swapped":
        assert documented(kind, how) == "an error, or **other products**"
        # Ours finds an item by its name; then there is no such version of that product.
        assert by_us == ("GroupNotFoundError" if kind == "item" else "MissingObjectError")
        if kind == "item":
            assert [item.id for item in items(cube)] == ["dry", "dry"]
        else:
            assert seen(lambda: by_catalogue(cube)).startswith("STAC")
    else:
        found = seen(lambda: by_catalogue(cube))
        assert_documented(kind, how, found)
        assert found not in (RIGHT, MISSING, WRONG)
        assert by_us == ("MissingObjectError" if how == "deleted" else JSON)


REFERENCES = {
    "references.json": {
        "deleted": ("FileNotFoundError", "FileNotFoundError"),
        "truncated": (JSON, JSON),
        "emptied": (JSON, JSON),
        "swapped": (WRONG, WRONG),
    },
    "references.parquet/pr/refs.0.parq": {
        "deleted": (MISSING, NOT_FOUND),
        "truncated": (MISSING, NOT_FOUND),
        "emptied": ("ParquetException", "ParquetException"),
        "swapped": (WRONG, WRONG),
    },
}


# fsspec reads kerchunk's Parquet by fastparquet through pandas, which tells every reader so.
@pytest.mark.filterwarnings("ignore:The 'fastparquet' engine is deprecated")
@pytest.mark.parametrize("name", REFERENCES)
def test_reader_of_damaged_references_sees_something_else_than_is_documented(tmp_path, monkeypatch, web: Web, name):
    form = name.split(".")[1].partition("/")[0]
    with_references(monkeypatch, parquet_above=0 if form == "parquet" else 10**9)
    project = Series(tmp_path, monkeypatch)
    project.maps = project.metric = False
    project.more = f'    references: {{base_url: "{web.url}/archive"}}'
    files = project.write(DAYS[: 2 * MONTH])
    assert not project.build().failed
    root = project.root()
    web.archive([project.archive / file for file in files])

    def read(folder: Path) -> xr.Dataset:
        options = {"remote_protocol": "http"}
        found = xr.open_dataset(str(folder / f"references.{form}"), engine="kerchunk", storage_options=options)
        return found.isel(lat=slice(None, None, -1))

    def both(folder: Path) -> tuple[str, str]:
        plain = seen(lambda: read(folder), DAYS[: 2 * MONTH])
        with zarr.config.set({"array.read_missing_chunks": False}):
            return plain, seen(lambda: read(folder), DAYS[: 2 * MONTH])

    # The same days from other files: what a swap puts in its place.
    project.write(DAYS[: 2 * MONTH], span=2 * MONTH, change=1)
    for file in files:
        (project.archive / file).unlink()
    web.archive(list(project.archive.glob("*.nc")))
    project.build()
    other = (project.root() / name).read_bytes()
    assert both(root) == (RIGHT, RIGHT)
    found = {}
    for how in REFERENCES[name]:
        shutil.copytree(root, tmp_path / how)
        damage(tmp_path / how / name, how, other)
        found[how] = both(tmp_path / how)
        assert_documented(name, how, found[how][0])
    assert found == REFERENCES[name]
