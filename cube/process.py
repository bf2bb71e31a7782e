"""Processes of this machine: which one wrote a record, and whether it still runs."""

from __future__ import annotations

import os
from pathlib import Path


def machine() -> str | None:
    """This boot of this machine and the processes that are visible in it; None where the system does not tell.

    Neither the host's name, which containers share, nor anything that a clock tells.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def find(number: int) -> tuple[str, int] | None:
    """State of a process as /proc gives it, and its start in clock ticks since boot; None where it is not shown."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def is_gone(number: int) -> bool:
    """Whether there is no such process; where others' processes are hidden, /proc alone does not tell."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False


def has_ended(number: int, started: int | None) -> bool | None:
    """Whether the process of this number and start has ended; None where the system does not tell.

    A process that ended and was not waited for, as in a container without init, still has its number.
    """
    found = find(number)
    if found is None:
        return True if is_gone(number) else None
    return found[1] != started or found[0] in "ZX"
