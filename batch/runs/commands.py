"""Commands about scheduled runs: what became of them, and what starts them."""

from __future__ import annotations

from pathlib import Path

import click

from batch.commanding import EXIT_CODES, console, fails_with_code, json_option, open_spec, print_json, spec_option
from batch.runs import records, telling
from batch.runs.freshness import death, how, what
from batch.runs.notifying import notify
from batch.schedule.commands import installed, schedule_of
from batch.schedule.environment import load_environment
from batch.schedule.forms import FORMS, install, remove, render
from batch.schedule.options import ENTRIES
from batch.showing import table_of
from batch.spec import Spec
from cube.errors import Problem, SpecError
from cube.stores import open_store


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
        done = _result(record["exit_code"]) if record["ended"] else "died" if death(record, spec) else "not ended"
        table.add_row(record["id"], record["entry"], str(record.get("by")), record["started"], took, done, what(record))
    console().print(table)
    for record in found:
        if record["ended"] is None:
            click.echo(f"{record['id']}: {how(record, spec)}; process {record.get('process')} on {record.get('host')}")


def _result(code: int) -> str:
    return "done" if code == 0 else f"{code}: {telling.meaning(code)}"


@click.command("schedule", epilog=EXIT_CODES)
@spec_option
@click.option("--form", type=click.Choice(FORMS), default="crontab", show_default=True, help="who starts the runs")
@click.option(
    "--install", "installing", is_flag=True, help="put it where it takes effect: the crontab, systemd's folder"
)
@click.option("--remove", "removing", is_flag=True, help="take away what --install put there")
@click.option("--test-notify", "testing", is_flag=True, help="only send a test message every way that `notify` gives")
@click.option("--image", default=None, help="container image that holds the command, for Kubernetes")
@fails_with_code
def schedule_command(
    spec_path: Path, form: str, installing: bool, removing: bool, testing: bool, image: str | None
) -> None:
    """Print what starts the runs of the specification's `schedule:`, or install it."""
    if installing + removing + testing > 1:
        raise click.UsageError("give one of --install, --remove and --test-notify")
    spec, _ = open_spec(spec_path, ())
    if testing:
        _test_notify(spec)
        return
    if removing:
        told = remove(spec, form)
    elif installing:
        told = install(spec, form, image)
    else:
        click.echo(render(installed(spec), form, spec.cluster, image), nl=False)
        return
    for each in told:
        click.echo(each)


def _test_notify(spec: Spec) -> None:
    """Raises SpecError with every way that did not work."""
    notice = schedule_of(spec).notify
    load_environment(spec)
    sent = notify(notice, telling.tested(spec))
    if not sent:
        fix = "give `webhook`, `mail` or both"
        raise SpecError(Problem("schedule-notify", "nobody is told of anything", "schedule.notify", fix=fix))
    for each in sent:
        if each["sent"]:
            click.echo(f"sent by {each['way']}")
    wrong = [Problem("schedule-notify", each["why"], each["way"]) for each in sent if not each["sent"]]
    if wrong:
        raise SpecError(wrong)
