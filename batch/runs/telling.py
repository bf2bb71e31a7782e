"""What people are told of a run that went wrong: what readers see now, whether it can wait, the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from batch.commanding import EXIT_CODES
from batch.runs.notifying import Message
from batch.runs.records import Record
from batch.showing import still_published
from batch.spec import Spec
from cube.errors import CubeError, RefusedError, StoreError
from cube.live import read_live
from cube.stores import Store
from cube.versions import ProductPath

PRODUCTS = 5
"""A message says of no more what readers see."""
PROBLEMS = 20
"""A message lists no more."""

MEANINGS = {
    int(code): meaning
    for code, _, meaning in (line.strip().partition("  ") for line in EXIT_CODES.splitlines())
    if code.isdigit()
}

_WAITS = {
    1: "It can wait, for what is published stays; report the fault with the log of the run.",
    2: "Nothing was touched. It can wait, but nothing runs until it is mended.",
    3: "It can wait: what is published stays.",
    4: "It can wait: what is published stays.",
    5: "It can wait unless readers cannot read the store either.",
    6: "It cannot wait: readers may see wrong numbers.",
    7: "It can wait.",
    8: "It can wait: finished blocks are kept.",
}
_ENDED = "It can wait: what is published stays, and finished blocks are kept."


def ended(spec: Spec, store: Store, record: Record) -> Message:
    """Of a run that ended with an exit code other than 0."""
    entry, code = record["entry"], record["exit_code"]
    problems = record["problems"]
    if skipped(record):
        head = f"{_named(spec, record)} did nothing, for an earlier run or another command is still at work."
        words = [head, f"{_first(problems)} What is published stays.", "It can wait: the next run makes up for it."]
        return _message(spec, record, "skipped", f"{entry} was skipped: the last one is still at work", words)
    head = f"{_named(spec, record)} ended with exit code {code} ({meaning(code)})."
    words = [head, *_readers(spec, store, record), _WAITS.get(code, _ENDED), _next(spec, record)]
    title = f"{entry} failed: {meaning(code)}"
    if code == RefusedError.exit_code:
        # So many reasons have this code that it says little.
        codes = list(dict.fromkeys(each["code"] for each in problems))
        title = f"{entry} failed: the plan or the cluster's request is refused ({', '.join(codes[:3])})"
    return _message(spec, record, "failed", title, words)


def overrun(spec: Spec, record: Record, limit: float) -> Message:
    """Of a run that takes longer than it should and goes on."""
    words = [
        f"{_named(spec, record)} has taken longer than its limit of {duration(limit)} and goes on.",
        "Readers see what was published before; products that it finished are published already.",
        "It can wait; if it hangs, end it: what is finished is kept.",
        f"Next: `{_command(spec, 'runs', record['entry'])}`.",
    ]
    return _message(spec, record, "overrun", f"{record['entry']} takes longer than {duration(limit)}", words)


def died(spec: Spec, record: Record, why: str) -> Message:
    """Of a run that began and never said how it ended."""
    entry = record["entry"]
    words = [
        f"{_named(spec, record)} ended without a word: {why}.",
        "Readers see what was published before; products that it finished are published already.",
        "It can wait: finished blocks are kept, and the next run goes on from them.",
        f"Next: `{_command(spec, 'run', entry)}`.",
    ]
    return _message(spec, record, "died", f"{entry} died", words)


def missed(spec: Spec, entry: str, due: str, last: str | None) -> Message:
    """Of a run that never began."""
    before = f"the last scheduled one began at {last}" if last else "no scheduled one ever began"
    words = [
        f"{entry} of {spec.title} should have begun at {due} and did not ({before}).",
        "Readers see what was published before; nothing is harmed, but it grows old.",
        "It can wait for a day or so. See whether cron, the timer or the queue works;",
        f"next: `{_command(spec, 'run', entry)}`.",
    ]
    title = f"[{spec.title}] {entry} did not begin at {due}"
    return Message(spec.id, entry, "missed", None, None, title, " ".join(words))


def tested(spec: Spec) -> Message:
    """Of nothing: whether messages arrive."""
    words = "Nothing is wrong. This is how you are told when a scheduled run fails, takes too long or is missed."
    return Message(spec.id, "watch", "test", None, None, f"[{spec.title}] a test", words)


def meaning(code: int) -> str:
    """What an exit code says."""
    return MEANINGS.get(code, "it was told to end" if code > 128 else "unknown")


def skipped(record: Record) -> bool:
    """Whether a run did nothing because another was at work."""
    return record["exit_code"] == 7 and any(each["code"] == "locked" for each in record["problems"])


def duration(seconds: float) -> str:
    """Seconds as text, in the greatest unit of which there are two."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _named(spec: Spec, record: Record) -> str:
    where = f"{record['host']}, " if record.get("host") else ""
    job = f", Slurm job {record['slurm_job']}" if record.get("slurm_job") else ""
    return f"{record['entry']} of {spec.title} ({where}begun {record['started']}{job})"


def _readers(spec: Spec, store: Store, record: Record) -> Iterable[str]:
    """What readers see of products that failed."""
    if damaged := record["outcome"].get("damaged"):
        yield f"What readers find of {', '.join(damaged)} is damaged."
        return
    if record["entry"] != "build" or record["exit_code"] == StoreError.exit_code:
        yield "Readers see what was published before."
        return
    failed: Mapping[str, Any] = record["outcome"].get("failed", {})
    if not failed:
        yield "Readers see what was published before."
    for name in list(failed)[:PRODUCTS]:
        if name in spec.products:
            try:
                live = read_live(store, ProductPath(spec.products[name].collection, name))
            except CubeError:
                yield f"What readers see of {name} could not be found out."
            else:
                yield f"{name}: {still_published(live, damaged=failed[name]['exit_code'] == 6)}."
    if len(failed) > PRODUCTS:
        yield f"{len(failed) - PRODUCTS} more products failed."
    if waiting := record["outcome"].get("waiting"):
        yield f"Not tried, for what they are made from failed: {', '.join(waiting)}."


def _next(spec: Spec, record: Record) -> str:
    code = record["exit_code"]
    if code == 6:
        return f"Next: `{_command(spec, 'build')} --repair`."
    codes = list(dict.fromkeys(each["code"] for each in record["problems"]))
    explain = f" `cube explain {codes[0]}` says more;" if codes else ""
    return f"Next:{explain} then `{_command(spec, 'run', record['entry'])}`."


def _command(spec: Spec, *words: str) -> str:
    return shlex.join(["cube", *words, "--spec", str(spec.path.absolute())])


def _first(problems: list[Mapping[str, str]]) -> str:
    return f"{problems[0]['what']}." if problems else ""


def _message(spec: Spec, record: Record, event: str, title: str, words: Iterable[str]) -> Message:
    text = " ".join(word for word in words if word)
    return Message(
        cube=spec.id,
        entry=record["entry"],
        event=event,
        run=record["id"],
        exit_code=record["exit_code"],
        title=f"[{spec.title}] {title}",
        text=text,
        problems=record["problems"][:PROBLEMS],
    )
