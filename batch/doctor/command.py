"""`cube doctor`: what a build would stumble over, found before it does, each with its fix."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch.commanding import (
    EXIT_CODES,
    cluster_option,
    console,
    fails_with_code,
    json_option,
    open_spec,
    print_json,
    spec_option,
    with_cluster,
)
from batch.doctor.trials import trials
from batch.reporting import Reporter
from batch.spec import Spec
from cube.checks import Check, Trial, exit_code
from cube.stores import Store, open_store
from cube.stores.checks import StoreTrials

SLOW_SECONDS = 2.0
"""A check that lasts longer is named while it lasts."""

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "not tried": "dim"}


@click.command("doctor", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@spec_option
@json_option
@cluster_option
@click.option("--no-plan", is_flag=True, help="do not compare free space with the plan, which looks at every file")
@fails_with_code
def doctor_command(
    products: tuple[str, ...], spec_path: Path, as_json: bool, cluster_text: str | None, no_plan: bool
) -> None:
    """Try all that a build needs: store, archive, lock, scratch, space, cluster. Leaves nothing behind.

    Ends with 0 unless there is a problem, else with the code that a build would end with for the first one.
    """
    spec, names = open_spec(spec_path, products)
    spec = with_cluster(spec, cluster_text)
    store = open_store(spec.store_location, spec.storage)
    checks = list(examine(spec, names, store, Reporter(quiet=as_json), planning=not no_plan))
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "exit_code": exit_code(checks)})
    else:
        print_checks(console(), checks)
    sys.exit(exit_code(checks))


def examine(
    spec: Spec, names: list[str], store: Store, reporter: Reporter, *, planning: bool = True
) -> Iterator[Check]:
    """Make all checks, one after another, whatever becomes of each."""
    tried = StoreTrials(store, lock_elsewhere=spec.lock is not None)
    try:
        for trial in trials(spec, names, store, tried, reporter.facts if planning else None):
            yield _watched(trial, reporter)
    finally:
        left = tried.clear()
    if left:
        yield left


def _watched(trial: Trial, reporter: Reporter) -> Check:
    timer = threading.Timer(SLOW_SECONDS, reporter.say, [f"{trial.name}: still at it"])
    timer.daemon = True
    timer.start()
    try:
        return trial.run()
    finally:
        timer.cancel()


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    """The checks as a table, then their number."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "result", "found", "fix"):
        table.add_column(column, overflow="fold")
    for each in checks:
        table.add_row(each.name, Text(each.result, STYLES[each.result]), Text(each.found), Text(each.fix))
    console.print(table)
    counts: dict[str, int] = {}
    for each in checks:
        counts[each.result] = counts.get(each.result, 0) + 1
    console.print(", ".join(f"{counts[result]} {result}" for result in STYLES if result in counts), highlight=False)
