"""What a folder of a file system offers: room, locks, and whether it lies on a network."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cube.checks import Check
from cube.stores.directory import DirectoryStore

NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "orangefs"}
    | {"panfs", "pvfs2", "quobyte", "smb3", "wekafs"}
)
"""Kinds of file systems that several machines share."""

FEW_FILES = 100_000
"""Below so many free inodes a build of many products may not end."""


@dataclass(frozen=True)
class Room:
    """What this user may still write to a file system.

    bytes  free;  files  free inodes, None where the file system has no limit of them
    """

    bytes: int
    files: int | None


def room(folder: Path) -> Room:
    """Of the file system that the folder, or the nearest one above it that exists, lies on. Raises OSError."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on, as the system names it; "" where it is not told."""
    try:
        real = folder.resolve()
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    # The last of several mounts at one place is the one that is seen.
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        place = Path(fields[1].replace("\\040", " ").replace("\\011", "\t"))
        if real.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), fields[2]
    return kind


def is_shared(kind: str) -> bool:
    """Whether a kind of file system is shared by several machines."""
    return kind in NETWORK


def writable(name: str, folder: Path) -> Check:
    """Whether a file can be written to and deleted from a folder that exists or can be made. May raise StoreError."""
    existed = folder.is_dir()
    store, key = DirectoryStore(folder), f"doctor-{secrets.token_hex(6)}"
    try:
        store.put(key, b"doctor")
        same = store.get(key) == b"doctor"
    finally:
        store.delete(key)
        if not existed and folder.is_dir():
            folder.rmdir()
    if not same:
        return Check(name, "problem", "other bytes came back than were written")
    return Check(name, "ok", f"{folder} can be written, {room(folder).bytes / 2**30:.1f} GiB free")


def inodes(name: str, folder: Path) -> Check:
    """Whether a file system has room for many files. May raise OSError."""
    free = room(folder).files
    if free is None:
        return Check(name, "ok", "the file system has no limit of files")
    fix = "make room: each object of a version is a file"
    return Check(
        name, "warning" if free < FEW_FILES else "ok", f"{free:,} more can be made", fix if free < FEW_FILES else ""
    )


def locks(name: str, folder: Path) -> Check:
    """Whether the kernel keeps a lock on a file of the folder. May raise StoreError."""
    if DirectoryStore(folder).conditional:
        return Check(name, "ok", f"{folder} is there and keeps locks (flock)")
    fix = "choose a folder on a file system with locks that every machine sees on which this cube is built"
    return Check(name, "problem", "the file system keeps no locks (flock)", fix)
