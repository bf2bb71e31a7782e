"""Ways to read one scenario, each a process of its own: `python -m benchmarks.readers ROUTE '{"href": ..., ...}'`.

What is read is reported with the HTTP requests and the bytes that came over the wire, counted in the client libraries,
while the dataset was opened and while its values were loaded.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import xarray as xr

from benchmarks.measure import peak_resident, ready, report


@dataclass
class Wire:
    """HTTP requests sent, and bytes of the answers' bodies as their headers tell."""

    requests: int = 0
    bytes: int = 0

    def since(self, requests: int = 0, size: int = 0) -> list[int]:
        return [self.requests - requests, self.bytes - size]

    def add(self, headers: Mapping[str, str]) -> None:
        self.requests += 1
        self.bytes += int(headers.get("Content-Length", 0))


@contextmanager
def counted() -> Iterator[Wire]:
    """Counts what this process asks through aiohttp (fsspec, s3fs) and urllib3 (our stores, botocore)."""
    import aiohttp
    import urllib3

    wire = Wire()
    asynchronous, plain = aiohttp.ClientSession._request, urllib3.HTTPConnectionPool._make_request

    async def asked(self: Any, *arguments: Any, **options: Any) -> Any:
        answer = await asynchronous(self, *arguments, **options)
        wire.add(answer.headers)
        return answer

    def asked_plainly(self: Any, *arguments: Any, **options: Any) -> Any:
        answer = plain(self, *arguments, **options)
        wire.add(answer.headers)
        return answer

    # mypy: both are methods that are put back below.
    aiohttp.ClientSession._request = asked  # type: ignore[method-assign]
    urllib3.HTTPConnectionPool._make_request = asked_plainly  # type: ignore[method-assign]
    try:
        yield wire
    finally:
        aiohttp.ClientSession._request = asynchronous  # type: ignore[method-assign]
        urllib3.HTTPConnectionPool._make_request = plain  # type: ignore[method-assign]


def plain_zarr(href: str, **options: Any) -> xr.Dataset:
    """As every item says."""
    opened: xr.Dataset = xr.open_zarr(href, consolidated=True, zarr_format=3, **options)
    return opened


def cic(href: str, product: str, layout: str = "time") -> xr.Dataset:
    """By our package, from the catalogue."""
    import climate_impact_cube

    return climate_impact_cube.open(href).open(product, layout)


def kerchunk(href: str, protocol: str = "file") -> xr.Dataset:
    """The original files, which are there by this protocol, through references to their chunks."""
    storage: dict[str, Any] = {"fo": href, "remote_protocol": protocol}
    if protocol == "http":
        # aiohttp ends requests after five minutes, those too that wait for thousands before them.
        unlimited = {"timeout": aiohttp.ClientTimeout(total=None)}
        storage["remote_options"] = {"asynchronous": True, "client_kwargs": unlimited}
    options: dict[str, Any] = {"consolidated": False, "storage_options": storage}
    return xr.open_dataset("reference://", engine="zarr", chunks={}, **options)


def files(hrefs: list[str]) -> xr.Dataset:
    """The original files as xarray's documentation opens them."""
    if hrefs[0].startswith("http"):
        import fsspec

        opened = [each.open() for each in fsspec.open_files(hrefs)]
        return xr.open_mfdataset(opened, engine="h5netcdf")
    return xr.open_mfdataset(hrefs, engine="netcdf4")


ROUTES: dict[str, Callable[..., xr.Dataset]] = {"zarr": plain_zarr, "cic": cic, "kerchunk": kerchunk, "files": files}


def read(route: str, arguments: Mapping[str, Any], what: Mapping[str, Any]) -> dict[str, Any]:
    """Open by a route and load the series of a place, `{"lat": ..., "lon": ...}`, or the map of a day, `{"day": n}`."""
    disk, begun, used = _disk_bytes(), time.perf_counter(), time.process_time()
    with counted() as wire:
        rain = ROUTES[route](**arguments)["pr"]
        opened = wire.since()
        between = time.perf_counter()
        if "day" in what:
            values = rain.isel(time=what["day"]).values
        else:
            values = rain.sel(lat=what["lat"], lon=what["lon"], method="nearest").values
        loaded = wire.since(*opened)
    ended = time.perf_counter()
    # The archive is in kg m-2 s-1, the cube in mm d-1.
    rates = values.astype("f8") * (86400 if route in ("kerchunk", "files") else 1)
    return {
        "seconds": ended - begun,
        "cpu": time.process_time() - used,
        "open_seconds": between - begun,
        "opened": opened,
        "loaded": loaded,
        "disk": _disk_bytes() - disk,
        "shape": list(values.shape),
        "sum": float(np.nansum(rates)),
    }


def _disk_bytes() -> int:
    """Bytes that this process made the system read from disks so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("read_bytes")))


IMPORTS = {
    "zarr": ("zarr", "fsspec.implementations.http"),
    "cic": ("climate_impact_cube", "cube.stores.http"),
    "kerchunk": ("zarr", "fsspec.implementations.http", "fsspec.implementations.reference"),
    "files": ("netCDF4", "h5netcdf", "fsspec.implementations.http"),
}
"""What each route would else import while it is measured."""


def _candidate(route: str, arguments: str, what: str) -> None:
    # Once there are values, xarray and dask import what they may meet.
    for name in (*IMPORTS[route], "dask.array", "distributed", "pint"):
        importlib.import_module(name)
    warnings.simplefilter("ignore")
    ready()
    found = read(route, json.loads(arguments), json.loads(what))
    report(**found, peak=peak_resident())


if __name__ == "__main__":
    _candidate(*sys.argv[1:])
