"""Results of commands as tables for people and JSON for machines."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from batch.build import Outcome
from batch.collecting import Collected
from batch.plan import Plan, ProductPlan
from batch.spec import Spec
from cube.axes import parse_date
from cube.errors import CubeError, IntegrityError
from cube.live import Live, read_live
from cube.stores import Store
from cube.verify import Verified
from cube.versions import ProductPath, read_state

NUMBERS = {"files", "blocks", "objects", "compute", "take", "bytes", "copied", "twice", "memory", "read", "archive"}
"""Columns of tables that are set to the right."""


def size(value: float) -> str:
    """Bytes as text."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def table_of(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in NUMBERS else "left", overflow="fold")
    return table


def _limiting(plan: ProductPlan) -> str | None:
    times = {name: view.template.time for name, view in plan.job.inputs.items()}
    bounds = {name: replace(time, first=time.stop, count=1).text(0) for name, time in times.items() if time}
    return limiting(plan.core["extent"]["time"], bounds)


def limiting(time: Mapping[str, Any] | None, bounds: Mapping[str, str]) -> str | None:
    """The input that a product cannot go beyond: of those that reach its end the one that ends first.

    time    of the product's extent, None for one without time
    bounds  end of each input's last period; an input that ends before the product only gives a reference
    """
    # Days are enough, and hours are not in every text.
    days = {name: bound[:10] for name, bound in bounds.items() if time and bound[:10] >= time["end_bound"][:10]}
    return min(days, key=lambda name: days[name]) if days else None


def period(time: Mapping[str, Any]) -> str:
    """First and last date that are covered, both included."""
    last = parse_date(time["end_bound"], time["calendar"])
    if "T" in time["end_bound"]:
        return f"{time['start']} to before {time['end_bound']}"
    return f"{time['start']} to {(last - datetime.timedelta(days=1)).strftime('%Y-%m-%d')}"


def plan_json(plan: Plan) -> dict[str, Any]:
    products = {}
    for name, each in plan.products.items():
        products[name] = {
            "stale": not each.current,
            "reasons": dict(each.reasons),
            "blocks": len(each.blocks),
            "compute": len(each.compute),
            "take": len(each.take),
            "works": each.works,
            "bytes_computed": each.bytes_computed,
            "bytes_taken": each.bytes_taken,
            "bytes_twice": each.bytes_twice,
            "memory": each.memory,
            "extent": each.core["extent"],
            "limiting_input": _limiting(each),
            "refused": [problem.to_json() for problem in each.refused],
        }
    return {
        "products": products,
        "failed": {name: _error_json(error) for name, error in plan.failed.items()},
        "waiting": dict(plan.waiting),
        "held": {name: each.pin for name, each in plan.held.items()},
    }


def _pinned(name: str, pin: str, published: str | None) -> str:
    if pin == published:
        return f"pinned to {pin}; `cube rollback {name} --release` ends it"
    return f"pinned to {pin}, but {published} is still published; `cube rollback {name}` finishes it"


def _error_json(error: CubeError) -> dict[str, Any]:
    return {"exit_code": error.exit_code, "problems": [problem.to_json() for problem in error.problems]}


def print_plan(console: Console, plan: Plan, spec: Spec) -> None:
    table = table_of("product", "to do", "compute", "bytes", "take", "copied", "twice", "memory", "why")
    for name, each in plan.products.items():
        if each.current:
            table.add_row(name, "nothing", "", "", "", "", "", "", "")
            continue
        why = "; ".join(f"{reason} ({count})" for reason, count in each.reasons.items()) or "metadata changed"
        if limiting := _limiting(each):
            why += f"; ends with {limiting}"
        compute, take = str(len(each.compute)), str(len(each.take))
        sizes = [size(value) for value in (each.bytes_computed, each.bytes_taken, each.bytes_twice)]
        table.add_row(name, "build", compute, sizes[0], take, sizes[1], sizes[2], size(each.memory), why)
    console.print(table)
    for each in plan.products.values():
        for problem in each.refused:
            console.print(str(problem), highlight=False, markup=False, soft_wrap=True)
    for name, error in plan.failed.items():
        console.print(f"{name}: {error}", highlight=False, markup=False, soft_wrap=True)
    for name, held in plan.held.items():
        console.print(f"{name}: {_pinned(name, held.pin, held.published)}", highlight=False, soft_wrap=True)
    for name, other in plan.waiting.items():
        console.print(f"{name}: waits for {other}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"budget {size(spec.memory)} a worker", highlight=False)


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "built": [{key: value for key, value in vars(each).items() if key != "manifest"} for each in outcome.built],
        "current": outcome.current,
        "failed": {name: _error_json(error) for name, error in outcome.failed.items()},
        "waiting": outcome.waiting,
        "held": outcome.held,
        "undeclared": outcome.undeclared,
        "exit_code": outcome.exit_code,
    }


def print_outcome(console: Console, outcome: Outcome, spec: Spec, store: Store) -> None:
    for name, error in outcome.failed.items():
        live = read_live(store, ProductPath(spec.products[name].collection, name), mending=True)
        still = still_published(live, damaged=isinstance(error, IntegrityError))
        console.print(f"{name}: {still}", highlight=False, markup=False, soft_wrap=True)
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
    for name, other in outcome.waiting.items():
        console.print(f"{name}: not tried, it is made from {other}", highlight=False, markup=False, soft_wrap=True)
    for name, pin in outcome.held.items():
        live = read_live(store, ProductPath(spec.products[name].collection, name), mending=True)
        text = _pinned(name, pin, live.version if live else None)
        console.print(f"{name}: {text}", highlight=False, soft_wrap=True)
    for path in outcome.undeclared:
        console.print(
            f"{path}: the catalogue lists it and the specification does not declare it; it stays listed unless you "
            "build with --allow-retraction",
            highlight=False,
            soft_wrap=True,
        )
    if not outcome.built and not outcome.failed:
        console.print(f"nothing to do: {len(outcome.current)} products are up to date", highlight=False)
    if outcome.built:
        console.print("")
        print_status(console, status_rows(spec, store, [each.name for each in outcome.built]))
    if outcome.failed:
        console.print("next: mend what is named above and run the same command again", highlight=False)


def still_published(live: Live | None, *, damaged: bool) -> str:
    """What readers have of a product that a build failed to make."""
    if live is None:
        return "nothing of it is published"
    if live.damage:
        return f"what readers find of version {live.version} is damaged"
    time = live.manifest["extent"]["time"]
    until = f" to {period(time).rpartition(' to ')[2]}" if time else ""
    return f"version {live.version}{until} is still published" + ("" if damaged else " and unharmed")


def status_rows(spec: Spec, store: Store, names: Sequence[str]) -> list[dict[str, Any]]:
    """One row a product: what is published, from its manifest."""
    rows = []
    bounds: dict[str, str] = {}
    for name in names:
        path = ProductPath(spec.products[name].collection, name)
        live, state = read_live(store, path), read_state(store, path)
        row: dict[str, Any] = {"product": name, "collection": path.collection, "version": None}
        if state.staged:
            row["staged"] = state.staged.version
        if state.pin:
            row["pin"] = state.pin
        if live is not None:
            manifest = live.manifest
            time = manifest["extent"]["time"]
            if time:
                bounds[name] = time["end_bound"]
            inputs = [each["name"] for each in manifest["inputs"]["products"]]
            row |= {
                "version": live.version,
                "start": time["start"] if time else None,
                "end": time["end"] if time else None,
                "end_bound": time.get("end_bound") if time else None,
                "calendar": time["calendar"] if time else None,
                "limiting_input": limiting(time, {each: bounds[each] for each in inputs if each in bounds}),
                "files": len(manifest["inputs"]["files"]),
                "archive_bytes": sum(each["bytes"] for each in manifest["inputs"]["files"]),
                "bytes": sum(each["bytes"] for each in manifest["objects"].values()),
                "blocks": len(manifest["blocks"]),
                "gaps": manifest["gaps"],
                "href": store.public_href(f"{path.version(live.version)}/time.zarr"),
            }
        rows.append(row)
    return rows


def print_status(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    table = table_of("product", "version", "period", "age", "files", "archive", "bytes", "blocks", "remarks")
    for row in rows:
        if row["version"] is None:
            remarks = ["staged: `cube build` goes on"] if row.get("staged") else []
            table.add_row(row["product"], "not published", *[""] * 6, ", ".join([*remarks, *_last_result(row)]))
            continue
        covered = period(row) if row["start"] else "no time"
        remarks = []
        if row["calendar"] not in (None, "standard", "proleptic_gregorian"):
            remarks.append(row["calendar"])
        if row["gaps"]:
            remarks.append(f"{len(row['gaps'])} gaps")
        if pin := row.get("pin"):
            remarks.append("pinned" if pin == row["version"] else f"pinned to {pin}: `cube rollback` finishes it")
        if row["limiting_input"]:
            remarks.append(f"ends with {row['limiting_input']}")
        remarks += _last_result(row)
        age = row.get("age_days")
        table.add_row(
            row["product"],
            row["version"],
            covered,
            "" if age is None else f"{age} d",
            str(row["files"]) if row["files"] else "",
            size(row["archive_bytes"]) if row["files"] else "",
            size(row["bytes"]),
            str(row["blocks"]),
            ", ".join(remarks),
        )
    console.print(table)


def _last_result(row: Mapping[str, Any]) -> list[str]:
    """What the last build came to, where that is worth a word."""
    last = (row.get("last_run") or {}).get("result")
    return [f"{last} in the last build"] if last in ("failed", "waiting") else []


def verified_json(found: Sequence[Verified]) -> list[dict[str, Any]]:
    return [
        {**vars(each), "damaged": sorted(each.damaged), "problems": [problem.to_json() for problem in each.problems]}
        for each in found
    ]


def print_verified(console: Console, found: Sequence[Verified]) -> None:
    table = table_of("product", "version", "objects", "read", "bytes", "result")
    for each in found:
        result = f"{len(each.problems)} problems" if each.problems else "whole"
        table.add_row(each.product, each.version, str(each.objects), str(each.read), size(each.bytes), result)
    console.print(table)
    for each in found:
        for problem in each.problems:
            console.print(str(problem), highlight=False, markup=False, soft_wrap=True)


def print_samples(console: Console, summary: Any) -> None:
    table = table_of("family", "files", "bytes")
    for family in summary.families:
        table.add_row(family.family, str(family.files), size(family.bytes))
    table.add_row("all", str(summary.files), size(summary.bytes))
    console.print(table)


def collected_json(found: Sequence[Collected], failed: Mapping[str, CubeError], dry_run: bool) -> dict[str, Any]:
    return {
        "deleted": not dry_run,
        "found": [vars(each) for each in found],
        "failed": {name: _error_json(error) for name, error in failed.items()},
    }


def print_collected(
    console: Console, found: Sequence[Collected], failed: Mapping[str, CubeError], dry_run: bool
) -> None:
    if found:
        table = table_of("product", "version", "why", "objects", "bytes")
        for each in found:
            known = size(each.bytes) if each.bytes is not None else ""
            table.add_row(each.product, each.version, each.why, str(each.objects), known)
        console.print(table)
    for name, error in failed.items():
        console.print(f"{name}: left alone", highlight=False)
        console.print(str(error), highlight=False, markup=False, soft_wrap=True)
    word = "would be deleted" if dry_run else "deleted"
    total = sum(each.bytes or 0 for each in found)
    console.print(f"{len(found)} {word}, {size(total)}; unchanged objects of a folder share their space with others")
