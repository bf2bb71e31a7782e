"""Is the archive there? Of each product: does every pattern match, and can a file be opened and read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import netCDF4

from cube.checks import Check
from cube.errors import InputError
from cube.stores.folder_checks import file_system, is_shared
from ingest.discovery import Found, discover, fixed_folder, nothing
from ingest.opening import NativeFile, check_length, is_remote, unreadable
from ingest.options import IngestOptions
from ingest.remote import place

_HEADS = (b"CDF", b"\x89HDF")


def check_archive(name: str, options: IngestOptions, folder: Path) -> Check:
    """Look at the archive of one product.

    folder  that relative patterns start at

    May raise InputError and StoreError.
    """
    patterns = [options.files] if isinstance(options.files, str) else list(options.files)
    for pattern in patterns:
        if "://" not in pattern and not (where := fixed_folder(pattern, folder)).is_dir():
            fix = "mount the archive, or correct `files`"
            return Check(name, "problem", f"there is no folder {where}", fix, InputError.exit_code)
    files = discover(patterns, folder, options.archive)
    if problems := [problem for each in files if (problem := nothing(each))]:
        raise InputError(problems)
    _read(files[0])
    return _locking(name, files)


def _locking(name: str, files: Sequence[Found]) -> Check:
    count = f"{len(files)} files; {files[0].name} can be read"
    if is_remote(files[0].location):
        return Check(name, "ok", count)
    kind = file_system(Path(files[0].location).parent)
    if not is_shared(kind):
        return Check(name, "ok", count)
    locking = os.environ.get("HDF5_USE_FILE_LOCKING", "")
    if locking.upper() in ("FALSE", "0"):
        return Check(name, "ok", f"{count}, over the network ({kind}), without locks of HDF5")
    fix = "set HDF5_USE_FILE_LOCKING=FALSE"
    return Check(name, "warning", f"{count}, but HDF5 takes locks on a network file system ({kind})", fix)


def _read(file: Found) -> None:
    """Read a little of a file. Raises InputError."""
    try:
        if is_remote(file.location):
            store, key = place(file.location, file.storage)
            if not store.get(key, 0, 4).startswith(_HEADS):
                raise OSError("it begins as no NetCDF or HDF5 file does")
            return
        with Path(file.location).open("rb") as raw:
            check_length(raw.fileno())
        with NativeFile(file.location) as native:
            variables = _variables(native.dataset)
            if variables:
                first = variables[0]
                first[tuple(slice(0, 1) for _ in first.shape)]
    except OSError as error:
        raise InputError(unreadable(file.name, error)) from error


def _variables(group: netCDF4.Dataset | netCDF4.Group) -> list[Any]:
    found = [each for each in group.variables.values() if each.dtype is not str]
    return found + [each for inner in group.groups.values() for each in _variables(inner)]
