"""A build that finds nothing to do over the files of forty years, and the plan of a scenario set.

The files declare their real shapes, but of their values only what the file format itself fills in: neither an
unchanged build nor a plan reads data.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.maps import days_of, write_maps
from benchmarks.measure import Measured, Table, interleaved, median, peak_resident, ready, report, run_candidate

BUILD_SECONDS, PLAN_SECONDS, PLAN_BYTES = 5.0, 10.0, 2**30

_DAYS = {"small": 60, "full": 15_000}
_MAP = {"small": (18, 36), "full": (180, 360)}
_REGION = {"small": (24, 25), "full": (240, 250)}
_YEARS = {"small": (2006, 2030), "full": (2006, 2099)}
_GCMS, _SCENARIOS, _THRESHOLDS = ("HadGEM2-ES", "MIROC5"), ("rcp26", "rcp60"), (1, 10)


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Measure; what is made in `folder` is used again."""
    daily, scenarios = folder / f"daily-{scale}", folder / f"scenarios-{scale}"
    _write_daily(daily, scale)
    _write_scenarios(scenarios, scale)
    cases = {
        "`cube build`, nothing changed": lambda: _measured("build", daily),
        "`cube plan` of the scenario set": lambda: _measured("plan", scenarios),
        "`cube --version` (imports alone)": lambda: run_candidate(["-c", _COMMAND, "--version"]),
    }
    # What comes first builds, and fills the cache of file identities.
    first = _measured("build", daily, changed=True)
    if scale == "full":
        _measured("plan", scenarios)
    found = {name: median(runs) for name, runs in interleaved(repeats, cases).items()}
    build, plan, _ = found.values()
    targets = (
        (f"< {BUILD_SECONDS:.0f} s", build.wall < BUILD_SECONDS),
        (f"< {PLAN_SECONDS:.0f} s and < 1 GiB", plan.wall < PLAN_SECONDS and plan.peak < PLAN_BYTES),
        ("", True),
    )
    rows = [
        (name, *_cells(each), target, ("met" if met else "MISSED") if target else "")
        for (name, each), (target, met) in zip(found.items(), targets, strict=True)
    ]
    built = f"the build before took {first.wall:.1f} s" if first.report["built"] else "it was built by an earlier run"
    steps = days_of(*_YEARS[scale])
    return Table(
        "Unchanged build and plan",
        ("command", "wall s", "CPU s", "peak MB", "target", ""),
        rows,
        (
            f"build: {_DAYS[scale]} daily NetCDF-4 files of {'x'.join(map(str, _MAP[scale]))} float32, "
            f"{build.report['blocks']} blocks in segments of ten years; {built}",
            f"plan: {plan.report['products']} products ({len(_GCMS) * len(_SCENARIOS)} ingested from ten-year daily "
            f"files, the others metrics of them), {np.prod(_REGION[scale])} cells x {steps} days, "
            f"{plan.report['blocks']} blocks; nothing is built yet, the identities of the files are in the cache",
        ),
    )


def _cells(each: Measured) -> tuple[str, str, str]:
    return f"{each.wall:.2f}", f"{each.cpu:.2f}", f"{each.peak / 1e6:.0f}"


def _measured(command: str, folder: Path, *, changed: bool = False) -> Measured:
    found = run_candidate(
        ["-m", "benchmarks.unchanged", command, str(folder / "cube.yaml")],
        environment={"CUBE_CACHE": str(folder / "identities")},
    )
    if found.report["built"] and not changed:
        raise RuntimeError(f"{command} of unchanged files in {folder} built something")
    return found


# ------------------------------------------------------------------------------------------------------ the archives


def _write_daily(folder: Path, scale: str) -> None:
    """One file a day of the whole map in one chunk, as archives of observations are."""
    if (folder / "cube.yaml").exists():
        return
    ny, nx = _MAP[scale]
    first = datetime.date(1980, 1, 1)
    for day in range(_DAYS[scale]):
        date = first + datetime.timedelta(days=day)
        path = folder / f"archive/{date:%Y/%m}/rain_{date:%Y%m%d}.nc"
        lat, lon = 90 - (np.arange(ny) + 0.5) * 180 / ny, -180 + (np.arange(nx) + 0.5) * 360 / nx
        write_maps(path, date, 1, lat, lon, units="mm d-1")
    (folder / "cube.yaml").write_text(
        "title: Unchanged\nstore: ./cube\nmemory: 3 GiB\ncluster: {kind: local, workers: 0}\nproducts:\n"
        "  rain:\n    job: ingest\n    collection: inputs\n    source: cf\n    files: archive/**/*.nc\n"
        "    layout: {segment: 10 years}\n"
    )


def _write_scenarios(folder: Path, scale: str) -> None:
    """Ten-year files of daily maps as ISIMIP has them, and metrics of each scenario."""
    if (folder / "cube.yaml").exists():
        return
    ny, nx = _REGION[scale]
    lat, lon = 60 - (np.arange(ny) + 0.5) / 2, -60 + (np.arange(nx) + 0.5) / 2
    begin, end = _YEARS[scale]
    # The first file ends with its decade's 0, as all after it.
    years = [(begin, 2010), *((year, min(year + 9, end)) for year in range(2011, end + 1, 10))]
    products = []
    for gcm in _GCMS:
        for scenario in _SCENARIOS:
            for low, high in years:
                name = f"pr_day_{gcm}_{scenario}_r1i1p1_EWEMBI_{low}0101-{high}1231.nc4"
                first, steps = datetime.date(low, 1, 1), days_of(low, high)
                write_maps(folder / gcm / scenario / name, first, steps, lat, lon, units="kg m-2 s-1")
            product = f"rain-{gcm.lower()}-{scenario}"
            products.append(
                f"  {product}: {{job: ingest, collection: rain, source: isimip, files: '{gcm}/{scenario}/*.nc4'}}"
            )
            products += [
                f"  dry-{limit}mm-{product}: {{job: metric, collection: metrics, metric: dry_days, input: {product}, "
                f"threshold: {limit} mm d-1}}"
                for limit in _THRESHOLDS
            ]
    head = ["title: Scenarios", "store: ./cube", "memory: 4 GiB", "products:"]
    (folder / "cube.yaml").write_text("\n".join([*head, *products, ""]))


# --------------------------------------------------------------------------------------------------- inside a candidate

_COMMAND = "from batch.command import main; main()"


def _candidate(command: str, spec: str) -> None:
    """The command as a user runs it, and what it says."""
    from batch.command import main

    ready()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main([command, "--json", "--spec", spec])
    report(**_summary(command, json.loads(said.getvalue()), Path(spec)), peak=peak_resident())


def _summary(command: str, outcome: Mapping[str, Any], spec: Path) -> dict[str, Any]:
    if outcome["failed"]:
        raise RuntimeError(json.dumps(outcome["failed"]))
    if command == "plan":
        products = outcome["products"].values()
        return {"built": 0, "products": len(products), "blocks": sum(each["blocks"] for each in products)}
    item = json.loads((spec.parent / "cube/inputs/rain/rain.json").read_text())
    manifest = spec.parent / "cube/inputs/rain" / item["properties"]["version"] / "manifest.json"
    return {"built": len(outcome["built"]), "blocks": len(json.loads(manifest.read_text())["blocks"])}


if __name__ == "__main__":
    _candidate(*sys.argv[1:])
