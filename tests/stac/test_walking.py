from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import h5netcdf
import numpy as np
import pystac
import pystac_client
import pystac_client.warnings
import pytest
import xarray as xr
from kerchunk.hdf import SingleHdf5ToZarr
from pystac.extensions.datacube import DatacubeExtension, VariableType
from pystac.extensions.scientific import ScientificExtension

from stac.serving import Server, serve

PRODUCTS = {"rain-hadgem2-es", "tamsat-monthly", "dry-days"}


@pytest.fixture
def server(cube_directory: Path) -> Iterator[Server]:
    with serve(cube_directory) as running:
        yield running


def rain_item(catalogue: pystac.Catalog) -> pystac.Item:
    return next(item for item in catalogue.get_items(recursive=True) if item.id == "rain-hadgem2-es")


def opened(item: pystac.Item) -> xr.Dataset:
    asset = item.assets["time"]
    href = asset.get_absolute_href()
    assert href is not None
    return xr.open_zarr(href, **asset.extra_fields["xarray:open_kwargs"])


def test_pystac_walks_from_the_catalogue_to_every_item(cube_directory: Path) -> None:
    catalogue = pystac.Catalog.from_file(str(cube_directory / "catalog.json"))
    assert {item.id for item in catalogue.get_items(recursive=True)} == PRODUCTS
    for item in catalogue.get_items(recursive=True):
        collection = item.get_collection()
        assert collection is not None
        assert collection.id == item.collection_id
        root = item.get_root()
        assert root is not None
        assert root.id == "a-cube"


def test_derived_from_resolves_to_the_input_item(cube_directory: Path) -> None:
    catalogue = pystac.Catalog.from_file(str(cube_directory / "catalog.json"))
    dry_days = next(item for item in catalogue.get_items(recursive=True) if item.id == "dry-days")
    assert [item.id for item in dry_days.get_derived_from()] == ["rain-hadgem2-es"]


def test_moved_cube_still_walks_and_opens(cube_directory: Path, tmp_path: Path, expected: xr.Dataset) -> None:
    moved = shutil.move(cube_directory, tmp_path / "elsewhere")
    catalogue = pystac.Catalog.from_file(f"{moved}/catalog.json")
    assert {item.id for item in catalogue.get_items(recursive=True)} == PRODUCTS
    xr.testing.assert_equal(opened(rain_item(catalogue)).load(), expected)


def test_pystac_client_opens_a_directory(cube_directory: Path) -> None:
    with pytest.warns(pystac_client.warnings.NoConformsTo):
        client = pystac_client.Client.open(str(cube_directory / "catalog.json"))
    with pytest.warns(pystac_client.warnings.FallbackToPystac):
        assert {item.id for item in client.get_items(recursive=True)} == PRODUCTS


def test_pystac_client_opens_a_served_catalogue_and_its_zarr(server: Server, expected: xr.Dataset) -> None:
    with pytest.warns(pystac_client.warnings.NoConformsTo):
        client = pystac_client.Client.open(f"{server.url}/catalog.json")
    assert {collection.id for collection in client.get_children()} == {"inputs", "metrics"}
    with pytest.warns(pystac_client.warnings.FallbackToPystac):
        item = rain_item(client)
    assert item.assets["time"].get_absolute_href() == f"{server.url}/inputs/rain-hadgem2-es/0123456789ab-1/time.zarr"
    xr.testing.assert_equal(opened(item).load(), expected)


def test_one_cell_is_read_by_ranges_of_its_shard(server: Server, expected: xr.Dataset) -> None:
    dataset = xr.open_zarr(f"{server.url}/inputs/rain-hadgem2-es/0123456789ab-1/time.zarr", consolidated=True)
    found = dataset["pr"].isel(lat=1, lon=0, time=slice(200, 300)).load()
    xr.testing.assert_equal(found, expected["pr"].isel(lat=1, lon=0, time=slice(200, 300)))


def test_calendar_survives_plain_reading(cube_directory: Path) -> None:
    catalogue = pystac.Catalog.from_file(str(cube_directory / "catalog.json"))
    dataset = opened(rain_item(catalogue))
    assert dataset.indexes["time"].calendar == "360_day"  # type: ignore[attr-defined]
    assert str(dataset["time"].values[89]) == "2006-02-30 00:00:00"


def test_pystac_extensions_read_the_item(cube_directory: Path) -> None:
    item = rain_item(pystac.Catalog.from_file(str(cube_directory / "catalog.json")))
    cube = DatacubeExtension.ext(item)
    assert cube.variables is not None
    assert cube.variables["pr"].var_type == VariableType.DATA
    assert cube.dimensions["lat"].to_dict()["extent"] == [-5.0, -3.0]
    assert ScientificExtension.ext(item).doi == "10.1038/sdata.2017.63"


def test_manifest_asset_proves_the_stored_manifest(cube_directory: Path) -> None:
    for item in pystac.Catalog.from_file(str(cube_directory / "catalog.json")).get_items(recursive=True):
        asset = item.assets["manifest"]
        raw = Path(asset.get_absolute_href() or "").read_bytes()
        assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(raw).hexdigest()
        assert asset.extra_fields["file:size"] == len(raw)


def test_references_open_by_the_fields_of_their_asset(
    server: Server, cube_directory: Path, manifests: dict[str, Any], compose: Callable[..., dict[str, Any]]
) -> None:
    version = cube_directory / "inputs" / "tamsat-monthly" / "0123456789ab-1"
    values = np.arange(12, dtype="float32").reshape(3, 4)
    with h5netcdf.File(version / "original.nc", "w") as file:
        file.dimensions = {"y": 3, "x": 4}
        file.create_variable("rfe", ("y", "x"), data=values, chunks=(3, 2), compression="gzip")
    base = f"{server.url}/inputs/tamsat-monthly/0123456789ab-1/"
    with fsspec.open(str(version / "original.nc"), "rb") as file:
        # Inlining is off, so that the bytes have to come from the original.
        references = SingleHdf5ToZarr(file, f"{base}original.nc", inline_threshold=0).translate()
    (version / "references.json").write_text(json.dumps(references))
    value = manifests["tamsat-monthly"]
    value["references"]["base_url"] = base
    asset = compose(value)["assets"]["references"]
    dataset = xr.open_dataset(
        f"{server.url}/inputs/tamsat-monthly/{asset['href']}",
        storage_options=asset["xarray:storage_options"],
        **asset["xarray:open_kwargs"],
    )
    np.testing.assert_array_equal(dataset["rfe"].values, values)
