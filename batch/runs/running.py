"""`cube run`: what every scheduler calls. Does what is scheduled, leaves a record, and tells people if it fails."""

from __future__ import annotations

import contextlib
import datetime
import inspect
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import click

from batch.commanding import EXIT_CODES, fails_with_code, given_words, open_spec, spec_option
from batch.runs import records, telling
from batch.runs.notifying import notify
from batch.runs.overdue import standing, watch
from batch.runs.records import Run
from batch.schedule.environment import load_environment
from batch.schedule.options import ENTRIES, Notify, Schedule
from batch.spec import Spec
from batch.upkeep import gc_command, verify_command
from cube.errors import OverdueError, SpecError
from cube.stores import Store, open_store


@click.command("run", epilog=EXIT_CODES)
@click.argument("entry", type=click.Choice(ENTRIES))
@spec_option
@click.option("--log-json", is_flag=True, help="of a build: one JSON object an event on standard error")
@click.pass_context
def run_command(context: click.Context, entry: str, spec_path: Path, log_json: bool) -> None:
    """Do what is scheduled, leave a record, and tell people if it fails. This is what every scheduler calls.

    Does what the plain command does and ends with its exit code. `verify` reads one part after the other, where the
    schedule gives `share`; `watch` looks for runs that were missed, hang, died, or failed and could tell nobody.
    """
    if log_json and entry != "build":
        raise click.UsageError("--log-json is for build")
    begun: list[Run] = []
    try:
        _run(context, entry, spec_path, log_json=log_json, begun=begun)
    finally:
        for run in begun:
            _say(run, log_json, f"ended with exit code {run.exit_code}")


@fails_with_code
def _run(context: click.Context, entry: str, spec_path: Path, *, log_json: bool, begun: list[Run]) -> None:
    spec, _ = open_spec(spec_path, ())
    refused: SpecError | None = None
    try:
        load_environment(spec)
    except SpecError as error:
        refused = error
    store = open_store(spec.store_location, spec.storage)
    notice = spec.schedule.notify if spec.schedule else Notify.model_validate({})
    given = given_words(context)
    try:
        recorded = records.recorded(store, entry, command=given, cluster=spec.cluster.kind, by="schedule")
        with recorded as run, _overrun(spec, run):
            begun.append(run)
            _say(run, log_json, "begins")
            # Only now: without its secrets a run can do nothing, but a mail needs none, and a record may need none.
            if refused is not None:
                raise refused
            _start(context, entry, spec, store, spec_path, log_json, run)
    finally:
        for run in begun:
            if run.exit_code and run.exit_code != OverdueError.exit_code:
                _tell(spec, store, notice, run)


def _say(run: Run, log_json: bool, what: str) -> None:
    """Tell nights apart in a log. What the watch writes to standard error is trouble, which cron is to mail."""
    if not log_json:
        now = records.text(datetime.datetime.now(datetime.UTC))
        click.echo(f"{now} {run.entry} {what}: run {run.id}", err=run.entry != "watch")


def _start(
    context: click.Context, entry: str, spec: Spec, store: Store, spec_path: Path, log_json: bool, run: Run
) -> None:
    if entry == "build":
        build = context.find_root().command.get_command(context, "build")  # type: ignore[attr-defined]
        context.invoke(build, spec_path=spec_path, log_json=log_json)
    elif entry == "verify":
        share = _share(spec.schedule, run)
        # Said before it is read: a run that dies over its part does not send the next one to the first.
        run.outcome["share"] = share
        run.save()
        # Without what turns errors into exit codes: the record holds what was wrong.
        verify = inspect.unwrap(cast(Callable[..., Any], verify_command.callback))
        verify(products=(), spec_path=spec_path, as_json=False, deep=False, share=share)
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
    if not found:
        click.echo(standing(spec, store))
        return
    error = OverdueError(each.problem for each in found)
    if not all(each.told for each in found):
        raise error
    # cron mails what is on standard error, and people know this already.
    run.failed(error.problems)
    click.echo(str(error))
    raise SystemExit(error.exit_code)


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
