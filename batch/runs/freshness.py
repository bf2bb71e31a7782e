"""How fresh what readers see is: the age of each product's last step, the last build and the next."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from batch.runs import overdue, records
from batch.runs.records import Record
from batch.runs.telling import duration, skipped
from batch.schedule.times import next_time
from batch.spec import Spec
from cube.stores import Store


def with_runs(rows: Sequence[Mapping[str, Any]], spec: Spec, store: Store) -> list[dict[str, Any]]:
    """Rows of `showing.status_rows` with `age_days`, `last_run` and `next_run`. Raises StoreError.

    age_days  days from the last day that is covered until today, None where it lies ahead or the calendar has no such
              days
    last_run  id, started, ended, exit_code and result of the last build: built, current, failed, waiting, held, or
              None where it was not concerned or does not tell
    """
    last, today = records.latest(store, "build"), datetime.datetime.now(datetime.UTC)
    due = _next_build(spec, today)
    return [
        {
            **row,
            "age_days": _age(row, today.date()),
            "last_run": _run(last, row["product"]) if last else None,
            "next_run": due,
        }
        for row in rows
    ]


def _next_build(spec: Spec, now: datetime.datetime) -> str | None:
    build = spec.schedule.build if spec.schedule else None
    return records.text(next_time(build.cron, now)) if build else None


def _age(row: Mapping[str, Any], today: datetime.date) -> int | None:
    bound = row.get("end_bound")
    if bound is None or row["calendar"] not in ("standard", "gregorian", "proleptic_gregorian"):
        return None
    end = datetime.datetime.fromisoformat(bound)
    covered = (end - datetime.timedelta(microseconds=1)).date()
    age = (today - covered).days
    return age if age >= 0 else None


def _run(last: Record, product: str) -> dict[str, Any]:
    return {
        **{name: last[name] for name in ("id", "started", "ended", "exit_code")},
        "result": result(last.get("outcome") or {}, product),
    }


def result(outcome: Mapping[str, Any], product: str) -> str | None:
    """What a build came to for a product."""
    if any(each["name"] == product for each in outcome.get("built", ())):
        return "built"
    return next((kind for kind in ("failed", "waiting", "held", "current") if product in outcome.get(kind, ())), None)


def line(spec: Spec, store: Store) -> str:
    """One line of the last build and the next. Raises StoreError."""
    last, due = records.latest(store, "build"), _next_build(spec, datetime.datetime.now(datetime.UTC))
    words = [f"last run {last['started']} by {last.get('by')}: {how(last, spec)}"] if last else []
    words += [f"next run {due}"] if due else ["the specification schedules no build"] if last else []
    return "; ".join(words)


def death(record: Record, spec: Spec) -> str:
    """Why a run is taken for dead, "" for one that ended or may be at work."""
    if record["ended"] is not None:
        return ""
    entry = spec.schedule.entries().get(record["entry"]) if spec.schedule else None
    return overdue.death(record, entry.limit if entry else None, datetime.datetime.now(datetime.UTC))


def how(record: Record, spec: Spec) -> str:
    """How a run went, in a few words."""
    if record["ended"] is None:
        why = death(record, spec)
        return f"died: {why}" if why else "has not ended"
    took = f"in {duration(record.get('seconds') or 0)}"
    if record["exit_code"] == 0:
        return f"done {took}"
    return "skipped, another was at work" if skipped(record) else f"exit code {record['exit_code']} {took}"


def what(record: Record) -> str:
    """What a run did, in a few words."""
    outcome = record.get("outcome") or {}
    counted = {
        "build": ("built", "current", "failed", "waiting", "held"),
        "gc": ("deleted", "left"),
        "verify": ("proven", "damaged"),
        "watch": ("missed", "overrun", "died", "failed"),
    }
    words = []
    for kind in counted.get(record["entry"], ()):
        value = outcome.get(kind)
        count = value if isinstance(value, int) else len(value or ())
        if kind == "failed" and value:
            words.append(f"failed: {', '.join(value)}")
        elif count:
            words.append(f"{count} {kind}")
    if record["entry"] == "verify" and outcome.get("share"):
        words.append("part {} of {}".format(*outcome["share"]))
    return ", ".join(words)
