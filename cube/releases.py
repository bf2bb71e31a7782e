"""Releases of the packages that may decide the bytes of a version."""

from __future__ import annotations

from importlib.metadata import version as package_version

PACKAGES = ("numpy", "numba", "numcodecs", "zarr", "xarray", "netCDF4", "rechunker", "xgboost-cpu")


def releases() -> dict[str, str]:
    """The releases that this process works with, by package."""
    return {name: package_version(name) for name in PACKAGES}
