"""Cubes that tests build by the command, as their readers meet them: pystac, plain xarray, and the original files."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from batch.command import main

ROOT = Path(__file__).resolve().parents[2]
_RENAMES = {"latitude": "lat", "longitude": "lon", "valid_time": "time", "rlat": "lat", "rlon": "lon"}

type Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Published:
    """A folder with a `cube.yaml`, the store `cube` beside it, and a cache of file identities of its own."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "cube.yaml"

    @property
    def store(self) -> Path:
        return self.folder / "cube"

    def run(self, command: str, *arguments: str) -> Result:
        """The command `cube` with this specification."""
        places = {"CUBE_CACHE": str(self.folder / "identities"), "CUBE_SCRATCH": str(self.folder / "scratch")}
        return CliRunner(env=places).invoke(main, [command, "--spec", str(self.spec), *arguments])

    def items(self) -> dict[str, pystac.Item]:
        """All items that are found by walking from the root of the catalogue."""
        catalogue = pystac.Catalog.from_file(str(self.store / "catalog.json"))
        return {item.id: item for item in catalogue.get_items(recursive=True)}

    def item(self, name: str) -> pystac.Item:
        """The item of a product, read without a walk."""
        (path,) = self.store.glob(f"*/{name}/{name}.json")
        return pystac.Item.from_file(str(path))

    def manifest(self, name: str) -> dict[str, Any]:
        href = self.item(name).assets["manifest"].get_absolute_href()
        assert href is not None
        value: dict[str, Any] = json.loads(Path(href).read_bytes())
        return value

    def open(self, name: str, asset: str = "time", **options: Any) -> xr.Dataset:
        """A product as its item tells every reader to open it."""
        return opened(self.item(name), asset, **options)

    def stored(self) -> dict[str, tuple[int, int, str]]:
        """Inode, modification time and sha256 of every file of the store but records of runs."""
        records = self.store / "runs"
        files = sorted(path for path in self.store.rglob("*") if path.is_file() and records not in path.parents)
        return {
            str(path.relative_to(self.store)): (
                path.stat().st_ino,
                path.stat().st_mtime_ns,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in files
        }


def opened(item: pystac.Item, asset: str = "time", **options: Any) -> xr.Dataset:
    """A published layout, opened with nothing but what the item says."""
    found = item.assets[asset]
    href = found.get_absolute_href()
    assert href is not None
    return xr.open_zarr(href, **{**found.extra_fields["xarray:open_kwargs"], **options})


def built_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, prepare: Callable[[Path], None], build: bool = True
) -> Published:
    """A cube that all workers of a test session share: whoever comes first prepares its folder and builds it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made, done = Published(base / name), base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            made.folder.mkdir()
            prepare(made.folder)
            if build:
                result = made.run("build")
                assert result.exit_code == 0, result.output
            done.touch()
    return made


def files(folder: Path, pattern: str) -> list[Path]:
    """The original files, by name."""
    found = sorted(folder.glob(pattern))
    assert found, f"{pattern} matches nothing in {folder}"
    return found


def original(paths: Iterable[Path], name: str, **options: Any) -> xr.DataArray:
    """A variable as xarray decodes it file by file: joined in order of time, south to north, west to east from -180."""
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    parts = []
    for path in paths:
        with xr.open_dataset(path, **{"decode_times": coder, **options}) as dataset:
            part = dataset[name].load()
        parts.append(part.rename({old: new for old, new in _RENAMES.items() if old in part.dims}))
    joined = parts[0]
    if len(parts) > 1:
        joined = xr.concat(parts, "time", coords="minimal", compat="override", join="override")
    if "lon" in joined.dims:
        joined = joined.assign_coords(lon=(joined["lon"].values.astype("f8") + 180) % 360 - 180)
    return joined.sortby([dim for dim in ("time", "lat", "lon") if dim in joined.dims])


def dates(times: xr.DataArray) -> list[tuple[int, int, int]]:
    """Year, month and day in the array's own calendar."""
    parts = (times.dt.year.values, times.dt.month.values, times.dt.day.values)
    return list(zip(*(part.tolist() for part in parts), strict=True))


def as_rates(flux: xr.DataArray) -> Array:
    """kg m-2 s-1 as mm d-1, the noise below zero as none."""
    return np.asarray(np.maximum(flux.values.astype("f8"), 0) * 86400)


def assert_same(found: xr.DataArray, expected: Any) -> None:
    """The same cells missing, and numbers within the last place of single precision."""
    values, wanted = found.values, np.asarray(expected)
    assert values.shape == wanted.shape
    np.testing.assert_array_equal(np.isnan(values), np.isnan(wanted))
    here = ~np.isnan(values)
    if values.dtype == np.float64:
        np.testing.assert_allclose(values[here], wanted[here], rtol=1e-14)
    else:
        np.testing.assert_array_max_ulp(values[here], wanted[here].astype(values.dtype), maxulp=1)


def assert_same_place(found: xr.DataArray, expected: xr.DataArray) -> None:
    """Latitudes and longitudes ascend and are those of the originals, within a hundredth of a cell."""
    for name in ("lat", "lon"):
        values = found[name].values
        steps = np.diff(values)
        assert (steps > 0).all()
        cell = float(steps.min()) if len(steps) else 1.0
        np.testing.assert_allclose(values, expected[name].values, rtol=0, atol=0.01 * cell)


def assert_contiguous(dataset: xr.Dataset) -> None:
    """Every label is the start of its bounds, and every period ends where the next begins."""
    bounds = dataset["time_bnds"].values
    np.testing.assert_array_equal(bounds[:, 0], dataset["time"].values)
    np.testing.assert_array_equal(bounds[:-1, 1], bounds[1:, 0])
