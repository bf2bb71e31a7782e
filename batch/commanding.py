"""What the subcommands share: their common options, errors as text or JSON, exit codes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from batch.build import products_with_inputs
from batch.jobs import OPTIONS
from batch.spec import Spec, load_spec
from cube.errors import CubeError, Problem, SpecError
from cube.hashing import readable

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

spec_option = click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path),
    default=Path("cube.yaml"),
    show_default=True,
    help="the specification",
)
json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document on standard output")


def fails_with_code(command: Callable[..., None]) -> Callable[..., None]:
    """Errors of ours become text on standard error, or JSON, and their exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except CubeError as error:
            _say_error(error, bool(options.get("as_json")))
            sys.exit(error.exit_code)

    return wrapped


def console() -> Console:
    """Standard output; a log or a pipe has no width of its own, so tables are not folded for it."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _say_error(error: CubeError, as_json: bool) -> None:
    if as_json:
        problems = [problem.to_json() for problem in error.problems]
        print_json({"error": error.title, "exit_code": error.exit_code, "problems": problems})
    else:
        click.echo(str(error), err=True)


def print_json(value: Any) -> None:
    click.echo(readable(value).decode(), nl=False)


def open_spec(spec_path: Path, products: tuple[str, ...]) -> tuple[Spec, list[str]]:
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
