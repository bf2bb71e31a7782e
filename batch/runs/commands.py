"""Commands of scheduled regeneration: what a scheduler starts, what starts it, and what became of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import click

from batch.commanding import (
    EXIT_CODES,
    console,
    fails_with_code,
    given_words,
    json_option,
    open_spec,
    print_json,
    spec_option,
)
from batch.runs import records, telling
from batch.runs.freshness import how, what
from batch.runs.notifying import notify
from batch.runs.overdue import watch
from batch.runs.records import Run
from batch.schedule.commands import installed
from batch.schedule.environment import load_environment
from batch.schedule.forms import FORMS, install, remove, render
from batch.schedule.options import ENTRIES, Notify, Schedule
from batch.showing import table_of
from batch.spec import Spec
from batch.upkeep import gc_command, verify_command
from cube.errors import OverdueError
from cube.stores import Store, open_store


@click.command("run", epilog=EXIT_CODES)
@click.argument("entry", type=click.Choice(ENTRIES))
@spec_option
@click.pass_context
@fails_with_code
def run_command(context: click.Context, entry: str, spec_path: Path) -> None:
    """Do what is scheduled, leave a record, and tell people if it fails. This is what every scheduler calls.

    Does what the plain command does and ends with its exit code. `verify` reads one part after the other, where the
    schedule gives `share`; `watch` looks for runs that were missed, hang, died, or failed and could tell nobody.
    """
    spec, _ = open_spec(spec_path, ())
    load_environment(spec)
    store = open_store(spec.store_location, spec.storage)
    notice = spec.schedule.notify if spec.schedule else Notify.model_validate({})
    given = given_words(context)
    run: Run | None = None
    try:
        recorded = records.recorded(store, entry, command=given, cluster=spec.cluster.kind, by="schedule")
        with recorded as run, _overrun(spec, run):
            _start(context, entry, spec, store, spec_path, run)
    finally:
        if run is not None and run.exit_code and run.exit_code != OverdueError.exit_code:
            _tell(spec, store, notice, run)


def _start(context: click.Context, entry: str, spec: Spec, store: Store, spec_path: Path, run: Run) -> None:
    if entry == "build":
        build = context.find_root().command.get_command(context, "build")  # type: ignore[attr-defined]
        context.invoke(build, spec_path=spec_path)
    elif entry == "verify":
        share = _share(spec.schedule, run)
        # Said before it is read: a run that dies over its part does not send the next one to the first.
        run.outcome["share"] = share
        run.save()
        context.invoke(verify_command, spec_path=spec_path, share=share)
    elif entry == "gc":
        context.invoke(gc_command, spec_path=spec_path)
    else:
        _watch(spec, store, run)


def _share(schedule: Schedule | None, run: Run) -> tuple[int, int] | None:
    """The part after the one that was last read."""
    parts = schedule.verify.share if schedule and schedule.verify else None
    if parts is None:
        return None
    last = run.previous or {}
    share = (last.get("outcome") or {}).get("share")
    # A run that did not end reads its part again.
    if not share or share[1] != parts:
        return 1, parts
    return (share[0] % parts + 1 if last.get("exit_code") in (0, 6) else share[0]), parts


def _watch(spec: Spec, store: Store, run: Run) -> None:
    found, sent = watch(spec, store)
    run.notified += sent
    for kind in ("missed", "overrun", "died", "failed"):
        run.outcome[kind] = [each.cause for each in found if each.cause.startswith(f"{kind} ")]
    if found:
        raise OverdueError(each.problem for each in found)
    click.echo("all scheduled runs began and ended as they should")


@contextlib.contextmanager
def _overrun(spec: Spec, run: Run) -> Iterator[None]:
    """Tell when the run takes longer than its limit; it goes on."""
    entry = spec.schedule.entries().get(run.entry) if spec.schedule else None
    if spec.schedule is None or entry is None or entry.limit is None:
        yield
        return
    limit, notice = entry.limit, spec.schedule.notify

    def tell() -> None:
        message = telling.overrun(spec, run.to_json(), limit)
        click.echo(message.title, err=True)
        run.notified += notify(notice, message)
        run.save()

    timer = threading.Timer(min(limit, threading.TIMEOUT_MAX), tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(spec: Spec, store: Store, notice: Notify, run: Run) -> None:
    try:
        sent = notify(notice, telling.ended(spec, store, run.to_json()))
    except Exception as error:  # noqa: BLE001  how a run ends must not depend on who is told
        click.echo(f"nobody was told: {type(error).__name__}", err=True)
        return
    if sent:
        run.notified += sent
        run.save()


@click.command("runs", epilog=EXIT_CODES)
@click.argument("entry", type=click.Choice(ENTRIES), required=False)
@spec_option
@json_option
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="so many of the newest")
@fails_with_code
def runs_command(entry: str | None, spec_path: Path, as_json: bool, last: int) -> None:
    """What ran, newest first: when, by whom, how long, and what became of it. Without ENTRY, all but the watch."""
    spec, _ = open_spec(spec_path, ())
    store = open_store(spec.store_location, spec.storage)
    found = records.history(store, entry, last, besides=() if entry else ("watch",))
    if as_json:
        print_json(found)
        return
    table = table_of("id", "entry", "by", "started", "took", "result", "what")
    for record in found:
        took = telling.duration(record["seconds"]) if record.get("seconds") is not None else ""
        done = "" if record["ended"] is None else _result(record["exit_code"])
        table.add_row(record["id"], record["entry"], str(record.get("by")), record["started"], took, done, what(record))
    console().print(table)
    for record in found:
        if record["ended"] is None:
            click.echo(f"{record['id']}: {how(record)}; process {record.get('process')} on {record.get('host')}")


def _result(code: int) -> str:
    return "done" if code == 0 else f"{code}: {telling.MEANINGS.get(code, 'was told to end')}"


@click.command("schedule", epilog=EXIT_CODES)
@spec_option
@click.option("--form", type=click.Choice(FORMS), default="crontab", show_default=True, help="who starts the runs")
@click.option(
    "--install", "installing", is_flag=True, help="put it where it takes effect: the crontab, systemd's folder"
)
@click.option("--remove", "removing", is_flag=True, help="take away what --install put there")
@click.option("--image", default=None, help="container image that holds the command, for Kubernetes")
@fails_with_code
def schedule_command(spec_path: Path, form: str, installing: bool, removing: bool, image: str | None) -> None:
    """Print what starts the runs of the specification's `schedule:`, or install it."""
    if installing and removing:
        raise click.UsageError("give --install or --remove, not both")
    spec, _ = open_spec(spec_path, ())
    if removing:
        told = remove(spec, form)
    elif installing:
        told = install(spec, form, image)
    else:
        click.echo(render(installed(spec), form, spec.cluster, image), nl=False)
        return
    for each in told:
        click.echo(each)
