"""Schedules as timers of systemd, for the user that runs the command."""

from __future__ import annotations

import os
from pathlib import Path

from batch.schedule.commands import Installed
from batch.schedule.times import Fields

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def on_calendar(cron: str) -> str:
    """The calendar expression that elapses at the same times."""
    fields = Fields.of(cron)
    days = f"{','.join(_DAYS[day] for day in fields.weekdays)} " if fields.weekdays else ""
    months, dates = _values(fields.months), _values(fields.days)
    return f"{days}*-{months}-{dates} {_values(fields.hours)}:{_values(fields.minutes)}:00 UTC"


def _values(values: tuple[int, ...] | None) -> str:
    return "*" if values is None else ",".join(f"{value:02}" for value in values)


def units(given: Installed) -> dict[str, str]:
    """Files by name: a service and its timer for each entry."""
    found = {}
    for name, entry in given.schedule.entries().items():
        unit = unit_name(given.id, name)
        found[f"{unit}.service"] = (
            f"[Unit]\nDescription=cube run {name} of {given.id}\n\n"
            f"[Service]\nType=oneshot\nExecStart={' '.join(_word(each) for each in given.run(name))}\n"
        )
        found[f"{unit}.timer"] = (
            f"[Unit]\nDescription=when cube run {name} of {given.id} runs\n\n"
            f"[Timer]\nOnCalendar={on_calendar(entry.cron)}\nPersistent=true\n\n"
            "[Install]\nWantedBy=timers.target\n"
        )
    return found


def unit_name(id: str, entry: str) -> str:
    return f"cube-{id}-{entry}"


def _word(text: str) -> str:
    """One word of a command line of systemd, which knows specifiers and variables besides quotes."""
    for plain, quoted in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        text = text.replace(plain, quoted)
    return f'"{text}"' if any(each in text for each in " '\"\\;") else text


def folder() -> Path:
    """Where a user's units are."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "systemd/user"


def present(id: str) -> list[Path]:
    """Units of a cube that were installed."""
    from batch.schedule.options import ENTRIES

    names = [f"{unit_name(id, entry)}.{kind}" for entry in ENTRIES for kind in ("service", "timer")]
    return [path for path in (folder() / name for name in names) if path.exists()]
