from __future__ import annotations

import datetime
import hashlib
import shutil
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr

from cube.hashing import readable
from stac.catalogue import compose_catalog
from stac.collections import compose_collection
from stac.items import compose_item

from .manifests import MAKERS, VERSION, derived, monthly, rain_360_day, time_extent

CREATED = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.UTC)
PUBLISHED = datetime.datetime(2026, 11, 22, 8, 30, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def loopback_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a test reached for the network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", loopback_only)


@pytest.fixture
def manifests() -> dict[str, dict[str, Any]]:
    made = [maker() for maker in MAKERS]
    return {each["product"]: each for each in made}


@pytest.fixture
def rain() -> dict[str, Any]:
    return rain_360_day()


@pytest.fixture
def compose() -> Callable[..., dict[str, Any]]:
    def composed(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
        given = {"version": VERSION, "published": PUBLISHED, "created": CREATED, "base_href": None}
        # The manifest's bytes are given, because some here hold what JSON does not allow.
        return compose_item(value, **{"manifest_bytes": b"{}", **given, **changes})

    return composed


@pytest.fixture
def extent_of() -> Callable[..., dict[str, Any]]:
    return time_extent


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def dataset() -> xr.Dataset:
    """What the zarr of the 360-day product holds."""
    shape = (720, 2, 2)
    values = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    values[3:5] = np.nan
    times = np.array([cftime.datetime(2005, 12, 1, calendar="360_day")])
    times = times[0] + np.arange(720) * datetime.timedelta(days=1)
    return xr.Dataset(
        {"pr": (("time", "lat", "lon"), values, {"units": "mm d-1"})},
        {"time": times, "lat": [-5.0, -3.0], "lon": [31.0, 33.0]},
    )


@pytest.fixture
def expected() -> xr.Dataset:
    return dataset()


@pytest.fixture(scope="session")
def cube_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cube: three products' items, two collections, and the 360-day product's real, sharded Zarr."""
    root = tmp_path_factory.mktemp("template") / "cube"
    items: dict[str, list[dict[str, Any]]] = {}
    for maker in (rain_360_day, monthly, derived):
        value = maker()
        product, collection = value["product"], value["collection"]
        version = root / collection / product / VERSION
        if product == "rain-hadgem2-es":
            encoding = {
                "pr": {"chunks": (180, 1, 1), "shards": (720, 2, 2)},
                "time": {"units": "days since 1970-01-01 00:00:00", "dtype": "int64"},
            }
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Consolidated metadata")
                dataset().to_zarr(version / "time.zarr", zarr_format=3, consolidated=True, encoding=encoding)
            value["objects"] = {
                path.relative_to(version).as_posix(): {
                    "bytes": path.stat().st_size,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
                for path in sorted(version.rglob("*"))
                if path.is_file()
            }
        for each in value["variables"].values():
            each["attrs"].pop("_FillValue", None)
        put(version / "manifest.json", readable(value))
        put(version / "ledger" / "claim.json", b"{}")
        item = compose_item(value, version=VERSION, published=PUBLISHED, created=CREATED, base_href=None)
        put(root / collection / product / f"{product}.json", readable(item))
        put(root / collection / product / "state.json", b"{}")
        items.setdefault(collection, []).append(item)
    collections = [
        compose_collection(name, members, title=name.capitalize(), description=f"The {name}.", root_title="A cube")
        for name, members in items.items()
    ]
    for each in collections:
        put(root / each["id"] / "collection.json", readable(each))
    catalogue = compose_catalog(collections, title="A cube", description="For tests.", id="a-cube")
    put(root / "catalog.json", readable(catalogue))
    put(root / "lock", b"{}")
    put(root / "runs" / "1.json", b"{}")
    return root


@pytest.fixture
def cube_directory(cube_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(cube_template, tmp_path / "cube"))
