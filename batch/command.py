"""The `cube` command."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from batch import showing
from batch.build import build, products_with_inputs
from batch.jobs import OPTIONS
from batch.plan import make_plan
from batch.reporting import Reporter
from batch.spec import Spec, load_spec
from cube.codes import CODES
from cube.errors import CubeError, Problem, RefusedError, SpecError
from cube.hashing import readable
from cube.live import read_live
from cube.stores import open_store
from cube.verify import Verified, verify
from cube.versions import ProductPath

EXIT_CODES = """\b
Exit codes:
  0  done, or nothing to do
  1  an unexpected fault
  2  the specification or the command line cannot be used
  3  input files or products are refused
  4  the plan is refused: memory, retraction, licence
  5  the store cannot be read or written
  6  the store does not hold what it advertises
  7  another build is at work, or published since
  8  a block could not be computed
"""

_spec_option = click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path),
    default=Path("cube.yaml"),
    show_default=True,
    help="the specification",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document on standard output")


def _fails_with_code(command: Callable[..., None]) -> Callable[..., None]:
    """Errors of ours become text on standard error, or JSON, and their exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except CubeError as error:
            _say_error(error, bool(options.get("as_json")))
            sys.exit(error.exit_code)

    return wrapped


def _console() -> Console:
    """Standard output; a log or a pipe has no width of its own, so tables are not folded for it."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _say_error(error: CubeError, as_json: bool) -> None:
    if as_json:
        problems = [problem.to_json() for problem in error.problems]
        _print_json({"error": error.title, "exit_code": error.exit_code, "problems": problems})
    else:
        click.echo(str(error), err=True)


def _print_json(value: Any) -> None:
    click.echo(readable(value).decode(), nl=False)


def _open(spec_path: Path, products: tuple[str, ...]) -> tuple[Spec, list[str]]:
    spec = load_spec(spec_path, OPTIONS)
    unknown = [name for name in products if name not in spec.products]
    if unknown:
        known = ", ".join(spec.products)
        raise SpecError(
            [
                Problem("product-unknown", f"there is no product {n!r}", str(spec_path), fix=f"known are: {known}")
                for n in unknown
            ]
        )
    return spec, list(products_with_inputs(spec, list(products) or list(spec.products)))


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="climate-impact-cube")
def main() -> None:
    """Builds and reads a climate-impact datacube: declared products as time-optimised Zarr with STAC metadata."""


@main.command("init", epilog=EXIT_CODES)
@_spec_option
@_fails_with_code
def init_command(spec_path: Path) -> None:
    """Prepare the store: the folder or bucket and, where the specification says so, its public-read policy and CORS."""
    spec, _ = _open(spec_path, ())
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
@_spec_option
@_json_option
@_fails_with_code
def plan_command(products: tuple[str, ...], spec_path: Path, as_json: bool) -> None:
    """Say what is stale and why, and what it takes to make it; writes nothing."""
    spec, names = _open(spec_path, products)
    store = open_store(spec.store_location, spec.storage)
    plan = make_plan(spec, store, names, Reporter(quiet=as_json).facts)
    if as_json:
        _print_json(showing.plan_json(plan))
    else:
        showing.print_plan(_console(), plan, spec)
    if plan.failed:
        sys.exit(next(iter(plan.failed.values())).exit_code)
    if any(each.refused for each in plan.products.values()):
        sys.exit(RefusedError.exit_code)


@main.command("build", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@_spec_option
@_json_option
@click.option(
    "--allow-retraction", is_flag=True, help="publish even where readers would lose period, variables or values"
)
@click.option("--repair", is_flag=True, help="prove every object first and make anew what is damaged")
@_fails_with_code
def build_command(
    products: tuple[str, ...], spec_path: Path, as_json: bool, allow_retraction: bool, repair: bool
) -> None:
    """Make what is stale and publish it; does nothing when nothing changed."""
    spec, names = _open(spec_path, products)
    reporter = Reporter(quiet=as_json)
    outcome = build(spec, names, reporter, allow_retraction=allow_retraction, repair=repair)
    if as_json:
        _print_json(showing.outcome_json(outcome))
    else:
        store = open_store(spec.store_location, spec.storage)
        showing.print_outcome(_console(), outcome, spec, store)
    sys.exit(outcome.exit_code)


@main.command("status", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@_spec_option
@_json_option
@_fails_with_code
def status_command(products: tuple[str, ...], spec_path: Path, as_json: bool) -> None:
    """What readers see now: each product's version, extent and what limits it. Looks at no input files."""
    spec, names = _open(spec_path, products)
    rows = showing.status_rows(spec, open_store(spec.store_location, spec.storage), names)
    if as_json:
        _print_json(rows)
    else:
        showing.print_status(_console(), rows)


@main.command("show", epilog=EXIT_CODES)
@click.argument("product")
@_spec_option
@_json_option
@_fails_with_code
def show_command(product: str, spec_path: Path, as_json: bool) -> None:
    """One product in full: variables, layout, extent, inputs, licence, and how to open it."""
    spec, _ = _open(spec_path, (product,))
    store = open_store(spec.store_location, spec.storage)
    path = ProductPath(spec.products[product].collection, product)
    live = read_live(store, path)
    if live is None:
        raise SpecError(
            Problem("not-published", f"{product} is not published yet", str(spec_path), fix="run `cube build`")
        )
    if as_json:
        _print_json({"version": live.version, "manifest": live.manifest})
    else:
        showing.print_product(_console(), live, store.public_href(f"{path.version(live.version)}/time.zarr"))


def _share(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    part, _, parts = value.partition("/")
    if part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise click.BadParameter("give a part such as 1/7")


@main.command("verify", epilog=EXIT_CODES)
@click.argument("products", nargs=-1)
@_spec_option
@_json_option
@click.option("--deep", is_flag=True, help="read every object and prove its checksum")
@click.option("--share", callback=_share, help="read one part of the objects, such as 1/7; rotate through all parts")
@_fails_with_code
def verify_command(
    products: tuple[str, ...], spec_path: Path, as_json: bool, deep: bool, share: tuple[int, int] | None
) -> None:
    """Prove that the store holds what the catalogue advertises: sizes by default, checksums with --deep or --share."""
    spec, names = _open(spec_path, products)
    store = open_store(spec.store_location, spec.storage)
    found: list[Verified] = []
    for name in products or names:
        path = ProductPath(spec.products[name].collection, name)
        verified = verify(store, path, deep=deep, share=share, progress=Reporter(quiet=as_json).facts)
        if verified is not None:
            found.append(verified)
    if as_json:
        _print_json(showing.verified_json(found))
    else:
        showing.print_verified(_console(), found)
    if any(each.problems for each in found):
        sys.exit(6)


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
@_fails_with_code
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
    showing.print_samples(_console(), write_sample_archive(directory, settings, Reporter().facts))


@main.command("serve", epilog=EXIT_CODES)
@_spec_option
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=8000, show_default=True)
@_fails_with_code
def serve_command(spec_path: Path, host: str, port: int) -> None:
    """Serve a cube in a folder over HTTP, read-only, for browsing and for notebooks on this machine."""
    from stac.serving import serve  # only this command needs it

    spec, _ = _open(spec_path, ())
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
