"""`cube run watch`: scheduled runs that were missed, hang, died without a word, or failed and could tell nobody."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from batch.runs import records, telling
from batch.runs.notifying import Message, notify
from batch.runs.records import Record
from batch.schedule.commands import schedule_of
from batch.schedule.options import Entry, Schedule, WatchEntry
from batch.schedule.times import previous_time
from batch.spec import Spec
from compute.clusters.slurm_facts import job_state
from cube.errors import MissingObjectError, Problem
from cube.hashing import readable
from cube.process import has_ended, machine
from cube.stores import Store

KEY = f"{records.FOLDER}/watch.json"
RECORDS = 10
"""So many of the newest records of an entry are looked at."""
SETTLED = datetime.timedelta(minutes=10)
"""After this time nobody is being told any more by the run itself."""
EARLY = datetime.timedelta(minutes=2)
"""Clocks of machines differ: a run that begins this much before its time is that run."""


ENDED_JOBS = frozenset(
    {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "PREEMPTED"}
)
"""States of Slurm jobs that have ended."""


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong with scheduled runs.

    cause  names it, so that it is told once
    told   whether it was told before
    """

    cause: str
    problem: Problem
    message: Message
    told: bool = False


def watch(spec: Spec, store: Store, now: datetime.datetime | None = None) -> tuple[list[Trouble], list[dict[str, Any]]]:
    """What is wrong now, and what was sent of what is new; `runs/watch.json` remembers both. Raises StoreError."""
    now = now or datetime.datetime.now(datetime.UTC)
    schedule = schedule_of(spec)
    known = _memory(store)
    since = {}
    for name, entry in schedule.entries().items():
        seen = known["since"].get(name, {})
        since[name] = seen if seen.get("cron") == entry.cron else {"cron": entry.cron, "time": records.text(now)}
    troubles = _troubles(spec, store, schedule, since, now)
    found = [replace(each, told=each.cause in known["told"]) for each in troubles]
    told: dict[str, str] = {}
    sent: list[dict[str, Any]] = []
    for trouble in found:
        if trouble.told:
            told[trouble.cause] = known["told"][trouble.cause]
            continue
        results = notify(schedule.notify, trouble.message)
        sent += results
        # What reached nobody is tried again next time.
        if not results or any(each["sent"] for each in results):
            told[trouble.cause] = records.text(now)
    memory = {"schema": records.SCHEMA, "since": since, "told": told}
    if memory != known:
        store.put(KEY, readable(memory), immutable=False)
    return found, sent


def standing(spec: Spec, store: Store) -> str:
    """What the watch says where it found nothing: last runs that failed, which were told already. Raises StoreError."""
    schedule = schedule_of(spec)
    failed = []
    for name in schedule.entries():
        last = records.latest(store, name) if name != "watch" else None
        if last is not None and last["exit_code"]:
            codes = sorted({each["code"] for each in last.get("problems", ())})
            why = f" [{', '.join(codes)}]" if codes else ""
            meaning = telling.meaning(last["exit_code"])
            failed.append(f"the last {name} ({last['id']}) ended with exit code {last['exit_code']}: {meaning}{why}")
    if not failed:
        return "all scheduled runs began and ended as they should"
    untold = "no failure is untold" if _tells(schedule) else "nobody is told of failures (`schedule.notify`)"
    return f"no run is missed, hangs or died, and {untold}, but {'; '.join(failed)}"


def _tells(schedule: Schedule) -> bool:
    return schedule.notify.webhook is not None or schedule.notify.mail is not None


def _memory(store: Store) -> dict[str, Any]:
    with contextlib.suppress(MissingObjectError, ValueError):
        known = json.loads(store.get(KEY))
        if isinstance(known, dict) and isinstance(known.get("since"), dict) and isinstance(known.get("told"), dict):
            return known
    return {"since": {}, "told": {}}


def _troubles(
    spec: Spec, store: Store, schedule: Schedule, since: dict[str, dict[str, str]], now: datetime.datetime
) -> Iterator[Trouble]:
    watching = schedule.watch or WatchEntry.model_validate({"cron": "0 * * * *"})
    for name, entry in schedule.entries().items():
        if name == "watch":
            continue
        latest = records.latest(store, name)
        last = latest.get("scheduled") if latest else None
        if last is not None and records.moment(last) > now + records.FUTURE:
            last = None  # a clock that was wrong must not silence the watch until then
        due = previous_time(entry.cron, now - datetime.timedelta(seconds=watching.tolerance))
        # What was due before anybody looked says nothing: the schedule may be younger.
        if due >= records.moment(since[name]["time"]) and (last is None or records.moment(last) < due - EARLY):
            yield _missed(spec, name, records.text(due), last)
        for record in _not_made_good(store, name, latest):
            if record["ended"] is None:
                yield from _unended(spec, record, entry, now)
            elif _reached_nobody(schedule, record, now):
                what = f"it ended with exit code {record['exit_code']} and nobody could be told"
                problem = Problem("run-untold", what, record["id"], fix="see the record: `cube runs --json`")
                yield Trouble(f"failed {record['id']}", problem, telling.ended(spec, store, record))


def _missed(spec: Spec, name: str, due: str, last: str | None) -> Trouble:
    problem = Problem(
        "run-missed",
        f"it should have begun at {due}; the last scheduled one began {'at ' + last if last else 'never'}",
        name,
        "what is published grows old",
        "see whether cron, the timer or the queue works",
    )
    return Trouble(f"missed {name} {due}", problem, telling.missed(spec, name, due, last))


def _not_made_good(store: Store, name: str, latest: Record | None) -> Iterator[Record]:
    """Scheduled runs, newest first, that did not end well and that no later run of any kind has made good."""
    found = {record["id"]: record for record in records.history(store, name, RECORDS)}
    if latest is not None:
        found[latest["id"]] = latest
    for _, record in sorted(found.items(), reverse=True):
        if record["exit_code"] == 0:
            return
        if record.get("by") == "schedule":
            yield record


def _unended(spec: Spec, record: Record, entry: Entry, now: datetime.datetime) -> Iterator[Trouble]:
    age = (now - records.moment(record["started"])).total_seconds()
    if why := death(record, entry.limit, now):
        what = f"it ended without a word: {why}"
        problem = Problem("run-died", what, record["id"], fix="the next run goes on where it stopped")
        yield Trouble(f"died {record['id']}", problem, telling.died(spec, record, why))
    elif entry.limit is not None and age > entry.limit and not _told(record, "overrun"):
        what = f"it has taken {telling.duration(age)}; its limit is {telling.duration(entry.limit)}"
        problem = Problem("run-overrun", what, record["id"], fix="it goes on; end it if it hangs")
        yield Trouble(f"overrun {record['id']}", problem, telling.overrun(spec, record, entry.limit))


def _reached_nobody(schedule: Schedule, record: Record, now: datetime.datetime) -> bool:
    """Whether a run that failed told nobody, as from a node that has no way out."""
    if not _tells(schedule):
        return False
    told = _told(record, "failed") or _told(record, "skipped")
    return not told and now - records.moment(record["ended"]) > SETTLED


def death(record: Record, limit: float | None, now: datetime.datetime) -> str:
    """Why a run without an end is taken for dead, "" if it is not.

    limit  of its entry, seconds
    """
    age = (now - records.moment(record["started"])).total_seconds()
    number, started = record.get("process"), record.get("process_started")
    if record.get("host") == socket.gethostname() and record.get("machine") and number != os.getpid():
        boot = str(record["machine"]).partition(" ")[0]
        here = machine()
        if here == record["machine"] and has_ended(int(number or 0), started):
            return f"its process {number} on {record['host']} is gone"
        if here and boot != here.partition(" ")[0]:
            return f"{record['host']} was started anew since"
    # Any machine of the site sees how a driver's job ended, if it was not started again.
    state = job_state(str(record["slurm_job"])) if record.get("slurm_job") else None
    if state in ENDED_JOBS:
        return f"its Slurm job {record['slurm_job']} has ended ({state})"
    if limit is not None and age > 2 * limit:
        return f"nothing was heard of it for more than twice its limit of {telling.duration(limit)}"
    return ""


def _told(record: Record, event: str) -> bool:
    return any(each.get("event") == event and each.get("sent") for each in record.get("notified", ()))
