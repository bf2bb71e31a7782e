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
