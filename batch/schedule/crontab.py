"""Schedules as lines of a crontab: plain cron, and cron that submits to Slurm, at JASMIN in its own way."""

from __future__ import annotations

import datetime
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from batch.schedule.commands import Installed
from batch.schedule.driver import submission
from batch.schedule.options import Entry
from batch.schedule.times import Fields
from cube.errors import Problem, StoreError

SUBMITTING = "10m"
"""How long crontamer lets a submission, or a look at the records, take."""

FIRST = "# cube of {spec}: written by `cube schedule --install`, replaced by it as a whole"
LAST = "# cube of {spec}: end"


def lines(given: Installed) -> list[str]:
    """A line for each entry; `cube run` works in the process that cron starts."""
    return ["CRON_TZ=UTC", *(_line(each, _logged(given, name, given.run(name))) for name, each in _entries(given))]


def jasmin_lines(given: Installed, cluster: object) -> list[str]:
    """The same for JASMIN's cron server, which asks for crontamer and whose work is done in jobs of Slurm.

    cluster  of the specification

    The watch runs on the server itself: it should speak up just when Slurm does not start anything.
    """
    told = given.schedule.notify.mail
    tamed = ["crontamer", "-t", SUBMITTING, "-l", *(["-e", told.to[0]] if told else [])]
    found = ["CRON_TZ=UTC"]
    for name, entry, command in _submitted(given, cluster, ["sbatch"]):
        found.append(_line(entry, shlex.join([*tamed, _logged(given, name, command)])))
    return found


def slurm_lines(given: Installed, cluster: object) -> list[str]:
    """The same for cron of a machine from which jobs are submitted; the watch runs on it, as at JASMIN.

    sbatch is named as it is found now, with the configuration that it has now: cron knows nothing of modules.
    """
    words = [shutil.which("sbatch") or "sbatch"]
    if configuration := os.environ.get("SLURM_CONF"):
        words = ["env", f"SLURM_CONF={configuration}", *words]
    submitted = _submitted(given, cluster, words)
    return ["CRON_TZ=UTC", *(_line(entry, _logged(given, name, command)) for name, entry, command in submitted)]


def _submitted(given: Installed, cluster: object, sbatch: Sequence[str]) -> Iterator[tuple[str, Entry, list[str]]]:
    for name, entry in _entries(given):
        watching = name == "watch"
        yield name, entry, given.run(name) if watching else [*sbatch, *submission(given, name, entry, cluster)]


def _entries(given: Installed) -> Iterator[tuple[str, Entry]]:
    yield from given.schedule.entries().items()


def _line(entry: Entry, command: str) -> str:
    # cron turns a plain % into the end of a line.
    return f"{Fields.of(entry.cron).cron()} {command.replace('%', r'\%')}"


def _logged(given: Installed, name: str, command: list[str]) -> str:
    """A line of shell. cron tells nobody of a folder that is not there: nothing would ever run.

    What the watch writes to standard error is left to cron, which mails it: nobody watches the watch.
    """
    log = shlex.quote(str(given.logs / f"{name}.log"))
    errors = "" if name == "watch" else " 2>&1"
    return f"mkdir -p {shlex.quote(str(given.logs))} && {shlex.join(command)} >>{log}{errors}"


def replaced(crontab: str, spec: Path, wanted: list[str]) -> str:
    """A crontab with the block of a specification's file replaced, or added at the end; without `wanted`, taken away.

    All other lines stay byte for byte.

    Raises StoreError for a block whose end is missing: what follows may not be ours.
    """
    first, last = FIRST.format(spec=spec), LAST.format(spec=spec)
    block = "".join(f"{line}\n" for line in [first, *wanted, last]) if wanted else ""
    begin = _found(crontab, first)
    if begin is None:
        return crontab + ("\n" if crontab and block and not crontab.endswith("\n") else "") + block
    end = _found(crontab, last, begin)
    if end is None:
        raise StoreError(
            Problem(
                "crontab-block",
                f"the line {last!r} is missing, so that nobody can tell where the cube's lines end",
                "crontab",
                fix="delete the cube's lines with `crontab -e`, then run this command again",
            )
        )
    after = end + len(last)
    return crontab[:begin] + block + crontab[after + (crontab[after : after + 1] == "\n") :]


def _found(text: str, line: str, start: int = 0) -> int | None:
    """Where a whole line begins."""
    while (start := text.find(line, start)) >= 0:
        stop = start + len(line)
        if (start == 0 or text[start - 1] == "\n") and (stop == len(text) or text[stop] == "\n"):
            return start
        start = stop
    return None


def read() -> str:
    """The user's crontab, "" where there is none. Raises StoreError."""
    done = _crontab("-l")
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "surrogateescape")
    told = done.stderr.decode(errors="replace").strip()
    if "no crontab for" in told:
        return ""
    raise _refused(told)


def write(text: str) -> None:
    """Replace the user's crontab. Raises StoreError."""
    done = _crontab("-", given=text.encode("utf-8", "surrogateescape"))
    if done.returncode:
        raise _refused(done.stderr.decode(errors="replace").strip())


def _crontab(*arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    if shutil.which("crontab") is None:
        raise _refused("there is no command `crontab` on this machine")
    return subprocess.run(["crontab", *arguments], input=given, capture_output=True, check=False)


def _refused(told: str) -> StoreError:
    fix = "see that cron is installed and that you may use it here"
    return StoreError(Problem("crontab-refused", told or "the crontab was refused", "crontab", fix=fix))


def heeds_time_zone() -> bool:
    """Whether this machine's cron heeds CRON_TZ: cronie does, Debian's cron does not, and cronie alone tells a name."""
    return b"cronie" in _crontab("-V").stdout + _crontab("-V").stderr


def zone_is_utc() -> bool:
    """Whether clocks of this machine show UTC, in winter and in summer."""
    year = datetime.datetime.now(datetime.UTC).year
    moments = [datetime.datetime(year, month, 1, 12, tzinfo=datetime.UTC) for month in (1, 7)]
    return all(not moment.astimezone().utcoffset() for moment in moments)
