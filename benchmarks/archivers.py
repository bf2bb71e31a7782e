"""The archive of one file a day, and the ways to make a time-optimised cube of it, each in a process of its own."""

from __future__ import annotations

import datetime
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import peak_resident, ready, report
from benchmarks.weather import Weather, soil_moisture

WORKERS = 2
FIRST = datetime.date(1980, 1, 1)
BATCH = 5000
"""Files of one folder of the archive."""
VARIABLE = "sm"
MISSING = np.float32(-9999)
DIMS = ("time", "lat", "lon")


@dataclass(frozen=True)
class History:
    """What is to be made: the first `days` files of an archive.

    chunk, shard  cells of the cube's chunks and shards, which all candidates write
    """

    archive: str
    target: str
    days: int
    shape: tuple[int, int]
    chunk: tuple[int, int]
    shard: tuple[int, int]

    @classmethod
    def parse(cls, text: str) -> History:
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(text).items()})

    def files(self) -> list[str]:
        return [str(file_of(Path(self.archive), day)) for day in range(self.days)]


def file_of(archive: Path, day: int) -> Path:
    return archive / f"{day // BATCH:02d}" / f"sm_{FIRST + datetime.timedelta(days=day):%Y%m%d}.nc"


def write_archive(archive: Path, days: int, shape: tuple[int, int]) -> None:
    """Write what is not there yet, in two processes: NetCDF-4, one chunk, zlib 4 and shuffle."""
    done = archive / f"written-{days}"
    if done.exists():
        return
    size = max(1, min(250, -(-days // WORKERS)))
    batches = [(archive, start, min(start + size, days), days, shape) for start in range(0, days, size)]
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_write, batches))
    done.touch()


def _write(batch: tuple[Path, int, int, int, tuple[int, int]]) -> None:
    import netCDF4

    archive, start, stop, days, (ny, nx) = batch
    lat, lon = (np.arange(ny) + 0.5) * 180 / ny - 90, (np.arange(nx) + 0.5) * 360 / nx - 180
    weather = Weather(lat, lon, days, memory=0.98, seed=2)
    sea = weather.sea(slice(0, ny), slice(0, nx))
    values = soil_moisture(weather, slice(start, stop), slice(0, ny), slice(0, nx))
    for day, moisture in zip(range(start, stop), values, strict=True):
        path = file_of(archive, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        with netCDF4.Dataset(path, "w", format="NETCDF4_CLASSIC") as nc:
            for name, length in (("time", None), ("lat", ny), ("lon", nx)):
                nc.createDimension(name, length)
            time = nc.createVariable("time", "f8", ("time",), chunksizes=(1,))
            time.units, time.calendar = "days since 1970-01-01", "standard"
            time[:] = [(FIRST - datetime.date(1970, 1, 1)).days + day]
            for name, axis, unit in (("lat", lat, "degrees_north"), ("lon", lon, "degrees_east")):
                coordinate = nc.createVariable(name, "f8", (name,))
                coordinate.units = unit
                coordinate[:] = axis
            options: dict[str, Any] = {"compression": "zlib", "complevel": 4, "shuffle": True}
            variable = nc.createVariable(VARIABLE, "f4", DIMS, chunksizes=(1, ny, nx), fill_value=MISSING, **options)
            variable.units, variable.long_name = "kg m-2", "soil moisture"
            variable[0] = np.where(sea, MISSING, moisture)


SPEC = """\
title: Benchmark
store: ./cube
memory: {memory} MiB
cluster: {{kind: local, workers: {workers}}}
products:
  moisture:
    job: ingest
    collection: inputs
    source: cf
    files: [{files}]
    step: day
    provenance: {{licence: CC0-1.0, redistribution: "yes"}}
"""


def write_spec(history: History, memory: int) -> None:
    """The specification that `cube build` is run with, in the folder of the target. `memory` in MiB."""
    files = history.files()
    if history.days % BATCH == 0:
        files = [f"{folder}/*.nc" for folder in sorted({Path(name).parent for name in files})]
    listed = ", ".join(f'"{name}"' for name in files)
    Path(history.target, "cube.yaml").write_text(SPEC.format(memory=memory, workers=WORKERS, files=listed))


def _opened(history: History, **options: Any) -> Any:
    import xarray as xr

    # As kind as open_mfdataset can be told to be.
    return xr.open_mfdataset(
        history.files(),
        engine="netcdf4",
        combine="nested",
        concat_dim="time",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        chunks={},
        **options,
    )


def _written(history: History, data: Any) -> None:
    from zarr.codecs import BloscCodec, Crc32cCodec

    from cube.shards import CODEC

    shard = (history.days, *history.shard)
    encoding = {
        "chunks": (history.days, *history.chunk),
        "shards": shard,
        "compressors": [BloscCodec(typesize=4, **CODEC), Crc32cCodec()],
    }
    cut = data[[VARIABLE]].drop_vars(["lat", "lon"]).chunk(dict(zip(DIMS, shard, strict=True)))
    for variable in cut.variables.values():
        variable.encoding.clear()
    cut.to_zarr(f"{history.target}/out", mode="w", encoding={VARIABLE: encoding}, consolidated=False, zarr_format=3)


def threads(history: History) -> None:
    """What the project's first cube was made by: open_mfdataset, chunk, to_zarr, with dask's threads."""
    import dask
    import xarray  # noqa: F401  before it is ready

    with dask.config.set(scheduler="threads", num_workers=WORKERS):
        ready()
        _written(history, _opened(history))


def p2p(history: History) -> None:
    """The same by distributed's p2p rechunk on two worker processes, files opened there."""
    import dask
    import distributed
    import xarray  # noqa: F401

    with (
        dask.config.set({"array.rechunk.method": "p2p", "temporary-directory": history.target}),
        distributed.LocalCluster(
            WORKERS, threads_per_worker=1, memory_limit="8 GiB", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(WORKERS)
        ready()
        _written(history, _opened(history, parallel=True))
        report(peak=max(client.run(peak_resident).values()))


CANDIDATES = {"open_mfdataset, threads": threads, "open_mfdataset, p2p": p2p}


def arguments(name: str, history: History, **changes: Any) -> list[str]:
    """For `measure.run_candidate`."""
    # Not by -m: what a worker process unpickles must not belong to `__main__`.
    code = (
        "import sys; from benchmarks.archivers import CANDIDATES, History; "
        f"CANDIDATES[{name!r}](History.parse(sys.argv[1]))"
    )
    return ["-c", code, json.dumps(asdict(replace(history, **changes)))]
