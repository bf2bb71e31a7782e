"""The `cube` command."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from batch import showing
from batch.build import build
from batch.commanding import (
    EXIT_CODES,
    cluster_option,
    console,
    ended_in_order,
    fails_with_code,
    given_words,
    json_option,
    open_spec,
    print_json,
    spec_option,
    with_cluster,
)
from batch.doctor.command import doctor_command
from batch.exporting import export_command
from batch.page import print_product
from batch.plan import make_plan
from batch.reporting import Reporter
from batch.runs import records
from batch.runs.commands import runs_command, schedule_command
from batch.runs.freshness import line as freshness_line
from batch.runs.freshness import with_runs
from batch.runs.running import run_command
from batch.spec import Spec
from batch.upkeep import gc_command, rollback_command, verify_command
from compute.clusters.starting import request
from cube.codes import CODES
from cube.errors import Problem, RefusedError, SpecError
from cube.live import read_live
from cube.stores import open_store
from cube.versions import ProductPath


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="climate-impact-cube")
def main() -> None:
    """Builds and reads a climate-impact datacube: declared products as time-optimised Zarr with STAC metadata."""


@main.command("init", epilog=EXIT_CODES)
@spec_option
@fails_with_code
def init_command(spec_path: Path) -> None:
    """Prepare the store: the folder or bucket and, where the specification says so, its public-read policy and CORS."""
    spec, _ = open_spec(spec_path, ())
    store = open_store(spec.store_location, spec.storage)
    if store.url.startswith("s3://"):
        from cube.stores.s3 import S3Store  # its clients take long to import
        from cube.stores.s3_public import create_bucket, make_public

        assert isinstance(store, S3Store)
        create_bucket(store)
        if store.storage.policy != "none":
            make_public(store)
    else:
        Path(spec.store_location).mkdir(parents=True, exist_ok=True)
    click.echo(f"{spec.store} is ready; next: cube plan --spec {spec_path}")


@main.command("plan", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@spec_option
@json_option
@fails_with_code
def plan_command(products: tuple[str, ...], spec_path: Path, as_json: bool) -> None:
    """Say what is stale and why, and what it takes to make it; writes nothing."""
    spec, names = open_spec(spec_path, products)
    store = open_store(spec.store_location, spec.storage)
    plan = make_plan(spec, store, names, Reporter(quiet=as_json).facts)
    if as_json:
        print_json(showing.plan_json(plan))
    else:
        showing.print_plan(console(), plan, spec)
    if plan.failed:
        sys.exit(next(iter(plan.failed.values())).exit_code)
    if any(each.refused for each in plan.products.values()):
        sys.exit(RefusedError.exit_code)


@main.command("build", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@spec_option
@json_option
@click.option(
    "--allow-retraction", is_flag=True, help="publish even where readers would lose period, variables or values"
)
@click.option("--repair", is_flag=True, help="prove every object first and make anew what is damaged")
@cluster_option
@click.option("--dry-run", is_flag=True, help="only say what would be made, and print what would be submitted")
@click.option("--log-json", is_flag=True, help="one JSON object an event on standard error, instead of text")
@click.option("--dashboard", is_flag=True, help="serve the Dask dashboard on this machine; by default on a terminal")
@click.option("--report", is_flag=True, help="keep a Dask performance report (HTML) with the record of the run")
@click.pass_context
@fails_with_code
def build_command(
    context: click.Context,
    products: tuple[str, ...],
    spec_path: Path,
    as_json: bool,
    allow_retraction: bool,
    repair: bool,
    cluster_text: str | None,
    dry_run: bool,
    log_json: bool,
    dashboard: bool,
    report: bool,
) -> None:
    """Make what is stale and publish it; does nothing when nothing changed."""
    spec, names = open_spec(spec_path, products)
    spec = with_cluster(spec, cluster_text)
    reporter = Reporter(quiet=as_json, log_json=log_json, dashboard=dashboard or None)
    if dry_run:
        _dry_run(spec, names, reporter, repair, as_json)
        return
    store = open_store(spec.store_location, spec.storage)
    recorded = records.recorded(store, "build", command=given_words(context), cluster=spec.cluster.kind)
    with ended_in_order(), recorded as run:
        with run.reporting() if report else contextlib.nullcontext() as page:
            outcome = build(spec, names, reporter, allow_retraction=allow_retraction, repair=repair, report=page)
        told = showing.outcome_json(outcome)
        run.built(told)
        run.end(outcome.exit_code)
        if log_json:
            counts = {"built": len(outcome.built), "current": len(outcome.current), "waiting": len(outcome.waiting)}
            reporter.ended(outcome.exit_code, outcome.failed, **counts)
    if as_json:
        print_json(told)
    else:
        showing.print_outcome(console(), outcome, spec, store)
    sys.exit(outcome.exit_code)


def _dry_run(spec: Spec, names: list[str], reporter: Reporter, repair: bool, as_json: bool) -> None:
    """The plan, and what the cluster would be asked for."""
    plan = make_plan(spec, open_store(spec.store_location, spec.storage), names, reporter.facts, mending=repair)
    asked = request(spec.cluster, spec.memory, spec.folder)
    if as_json:
        print_json({**showing.plan_json(plan), "cluster": asked.to_json()})
    else:
        showing.print_plan(console(), plan, spec)
        click.echo(str(asked))
    if plan.failed:
        sys.exit(next(iter(plan.failed.values())).exit_code)
    if asked.problems or any(each.refused for each in plan.products.values()):
        sys.exit(RefusedError.exit_code)


@main.command("status", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@spec_option
@json_option
@fails_with_code
def status_command(products: tuple[str, ...], spec_path: Path, as_json: bool) -> None:
    """What readers see now: each product's version, extent and what limits it. Looks at no input files."""
    spec, names = open_spec(spec_path, products)
    store = open_store(spec.store_location, spec.storage)
    rows = with_runs(showing.status_rows(spec, store, names), spec, store)
    if as_json:
        print_json(rows)
    else:
        showing.print_status(console(), rows)
        if said := freshness_line(spec, store):
            click.echo(said)


@main.command("show", epilog=EXIT_CODES)
@click.argument("product")
@spec_option
@json_option
@fails_with_code
def show_command(product: str, spec_path: Path, as_json: bool) -> None:
    """One product in full: variables, layout, extent, inputs, licence, and how to open it."""
    spec, _ = open_spec(spec_path, (product,))
    store = open_store(spec.store_location, spec.storage)
    path = ProductPath(spec.products[product].collection, product)
    live = read_live(store, path)
    if live is None:
        raise SpecError(
            Problem("not-published", f"{product} is not published yet", str(spec_path), fix="run `cube build`")
        )
    if as_json:
        print_json({"version": live.version, "manifest": live.manifest})
    else:
        print_product(console(), live, store.public_href(f"{path.version(live.version)}/time.zarr"))


@main.command("sample-archive", epilog=EXIT_CODES)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", type=int, default=2021, show_default=True, help="every value follows from it")
@click.option(
    "--africa-step",
    type=float,
    default=5.0,
    show_default=True,
    help="degrees between the African cells: 5 gives 210 cells, 0.25 gives 84,000",
)
@click.option("--first-year", type=int, default=2000, show_default=True, help="first year of the observations")
@click.option("--last-year", type=int, default=2019, show_default=True, help="last year of the observations")
@click.option("--scenario-end", type=int, default=2030, show_default=True, help="last year of the scenarios")
@click.option("--family", "families", multiple=True, help="write only this family of files; may be given several times")
@fails_with_code
def sample_archive_command(
    directory: Path,
    seed: int,
    africa_step: float,
    first_year: int,
    last_year: int,
    scenario_end: int,
    families: tuple[str, ...],
) -> None:
    """Write a synthetic archive in the sources' own file conventions; small by default, of full size by its options."""
    from ingest.samples import FAMILIES, LatLonGrid, SampleSettings, write_sample_archive  # only this command needs it

    settings = SampleSettings(
        seed=seed,
        africa=LatLonGrid.africa(africa_step),
        observation_years=(first_year, last_year),
        scenario_end=scenario_end,
        families=families or FAMILIES,
    )
    showing.print_samples(console(), write_sample_archive(directory, settings, Reporter().facts))


@main.command("serve", epilog=EXIT_CODES)
@spec_option
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8000, show_default=True)
@fails_with_code
def serve_command(spec_path: Path, host: str, port: int) -> None:
    """Serve a cube in a folder over HTTP, read-only, for browsing and for notebooks on this machine."""
    from stac.serving import serve  # only this command needs it

    spec, _ = open_spec(spec_path, ())
    if spec.store_location.startswith("s3://"):
        raise SpecError(
            Problem("not-a-folder", "an object store serves itself", spec.store, fix="read its public address")
        )
    with serve(Path(spec.store_location), host, port) as server:
        click.echo(f"serving {spec.title} at {server.url} (Ctrl-C ends it)")
        server.wait()


@main.command("explain")
@click.argument("code", required=False)
def explain_command(code: str | None) -> None:
    """What an error code means, at length; without a code, all codes."""
    if code is None:
        for name in sorted(CODES):
            click.echo(name)
        return
    if code not in CODES:
        raise click.BadParameter(f"{code!r} is no code; `cube explain` lists all", param_hint="CODE")
    click.echo(CODES[code])


for command in (verify_command, rollback_command, gc_command, doctor_command, export_command):
    main.add_command(command)
for command in (run_command, runs_command, schedule_command):
    main.add_command(command)
