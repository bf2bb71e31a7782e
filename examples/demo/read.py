"""Reads what the demo published, with nothing of this project but the address in the catalogue."""

import json
import sys
from pathlib import Path

import xarray as xr

cube = Path(sys.argv[1])
item = cube / "metrics" / "dry-days-observed" / "dry-days-observed.json"
href = item.parent / json.loads(item.read_text())["assets"]["time"]["href"]

print("\nRead it with three lines, no package of this project needed:")
print("    import xarray")
print(f'    dry = xarray.open_zarr("{href}")')
print('    print(dry["dry_days"].sel(lat=10, lon=0, method="nearest").to_series())')

dry = xr.open_zarr(href)
print("\nDry days a year near 10 N, 0 E:")
print(dry["dry_days"].sel(lat=10, lon=0, method="nearest").to_series().to_string())

import climate_impact_cube as cic  # noqa: E402  the rest of the demo needs no package of this project

place = (9.06, 7.49)
now = cic.emulate(cic.open(cube), "emulated-rcp85", place)
drier = cic.emulate(cic.open(cube), "emulated-rcp85", place, rain=0.8, warming=2.0)
share = [float((each["fsmc"] < 0.5).mean()) for each in (now, drier)]
print(f"\nDays with beta below 0.5 near {place[0]} N, {place[1]} E, 2006 to 2030, emulated: {share[0]:.0%};")
print(f"with 20 % less rain and 2 K more: {share[1]:.0%}.")

picture = cube.parent / "demo.png"
cic.plot.map(cic.open(cube), "wet-season-observed", path=picture)
cic.plot.season(cic.open(cube), ["soil-season-historical", "soil-season-rcp85"], place, path=cube.parent / "place.png")
print(f"\nThe onset of the wet season as a map: {picture}; the soil's season at a place: {cube.parent / 'place.png'}")
print("\nWhere a number comes from:")
print("\n".join(str(cic.explain(cic.open(cube), "soil-season-rcp85", place, 2020)).splitlines()[:14]))
