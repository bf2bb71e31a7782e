"""Commands for the health of a cube: proving it, returning to earlier versions, deleting what nobody needs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from batch import showing
from batch.collecting import DAYS, KEEP, Collected, collect, is_full, make_room
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
from batch.locking import locked
from batch.reporting import Reporter
from batch.rollback import release, roll_back
from batch.runs import records
from cube.errors import CubeError, StoreError
from cube.lock import Lease
from cube.stores import open_store
from cube.verify import Verified, verify
from cube.versions import ProductPath


def _share(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    part, _, parts = value.partition("/")
    if part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise click.BadParameter("give a part such as 1/7")


@click.command("verify", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@spec_option
@json_option
@click.option("--deep", is_flag=True, help="read every object and prove its checksum")
@click.option("--share", callback=_share, help="read one part of the objects, such as 1/7; rotate through all parts")
@fails_with_code
def verify_command(
    products: tuple[str, ...], spec_path: Path, as_json: bool, deep: bool, share: tuple[int, int] | None
) -> None:
    """Prove that the store holds what the catalogue advertises: sizes by default, checksums with --deep or --share."""
    spec, names = open_spec(spec_path, products)
    store = open_store(spec.store_location, spec.storage)
    found: list[Verified] = []
    for name in products or names:
        path = ProductPath(spec.products[name].collection, name)
        verified = verify(store, path, deep=deep, share=share, progress=Reporter(quiet=as_json).facts)
        if verified is not None:
            found.append(verified)
    if run := records.current():
        run.outcome |= {
            "proven": [each.product for each in found if not each.problems],
            "damaged": [each.product for each in found if each.problems],
            **{key: sum(getattr(each, key) for each in found) for key in ("objects", "read", "bytes")},
        }
        run.failed(problem for each in found for problem in each.problems)
    if as_json:
        print_json(showing.verified_json(found))
    else:
        showing.print_verified(console(), found)
    if any(each.problems for each in found):
        sys.exit(6)


@click.command("rollback", epilog=EXIT_CODES)
@click.argument("product")
@spec_option
@click.option("--to", "version", help="a version that is kept; by default the one before the published one")
@click.option("--release", "releasing", is_flag=True, help="end the pin: the next build brings it up to date again")
@fails_with_code
def rollback_command(product: str, spec_path: Path, version: str | None, releasing: bool) -> None:
    """Publish an earlier version of a product again and pin it there until it is released."""
    if releasing and version:
        raise click.UsageError("give --to or --release, not both")
    spec, _ = open_spec(spec_path, (product,))
    store = open_store(spec.store_location, spec.storage)
    with locked(spec, store, Reporter()) as lease:
        if releasing:
            pin = release(spec, store, product, lease)
            click.echo(f"{product}: " + (f"released from {pin}; next: cube build" if pin else "it is not pinned"))
        else:
            pinned = roll_back(spec, store, product, version, lease)
            text = f"{product}: {pinned.version} is published and pinned; `cube rollback {product} --release` ends it"
            click.echo("\n".join([text, *([f"kept besides it: {pinned.others}"] if pinned.others else [])]))


@click.command("gc", epilog=EXIT_CODES)
@spec_option
@json_option
@click.option("--dry-run", is_flag=True, help="only say what would be deleted")
@click.option("--keep", type=click.IntRange(1), default=KEEP, show_default=True, help="newest versions that stay")
@click.option(
    "--days", type=click.FloatRange(0), default=DAYS, show_default=True, help="days that a replaced version stays"
)
@click.pass_context
@fails_with_code
def gc_command(context: click.Context, spec_path: Path, as_json: bool, dry_run: bool, keep: int, days: float) -> None:
    """Delete versions that were replaced long ago, and what killed commands left.

    Live, pinned and staged versions stay, and so do the last --keep published ones and those that were replaced less
    than --days ago. Staged versions that nothing will finish, and unfinished files and uploads, go after a day.
    """
    spec, _ = open_spec(spec_path, ())
    store = open_store(spec.store_location, spec.storage)
    failed: dict[str, CubeError] = {}

    def clear(lease: Lease | None) -> list[Collected]:
        failed.clear()
        return list(collect(spec, store, lease, keep=keep, days=days, failed=failed.__setitem__))

    def clear_locked() -> list[Collected]:
        with locked(spec, store, Reporter(quiet=as_json)) as lease:
            return clear(lease)

    if dry_run:
        found = clear(None)
    else:
        with records.recorded(store, "gc", command=given_words(context), cluster=spec.cluster.kind) as run:
            try:
                found = clear_locked()
            except StoreError as error:
                if not is_full(error) or not make_room(spec, store, keep=keep, days=days):
                    raise
                found = clear_locked()
            run.outcome |= {
                "deleted": len(found),
                "bytes": sum(each.bytes or 0 for each in found),
                "left": sorted(failed),
            }
            for each in failed.values():
                run.failed(each.problems)
            run.end(next((each.exit_code for each in failed.values()), 0))
    if as_json:
        print_json(showing.collected_json(found, failed, dry_run))
    else:
        showing.print_collected(console(), found, failed, dry_run)
    if failed:
        sys.exit(next(iter(failed.values())).exit_code)
