"""What the subcommands share: their common options, errors as text or JSON, exit codes."""

from __future__ import annotations

import contextlib
import functools
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from rich.console import Console

from batch.build import products_with_inputs
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import Spec, load_spec
from compute.clusters.options import AddressCluster, AnyCluster, GatewayCluster, LocalCluster, SlurmCluster
from cube.errors import CubeError, Problem, SpecError
from cube.hashing import readable
from cube.wording import suggestion

EXIT_CODES = """\b
Exit codes:
  0  done, or nothing to do
  1  an unexpected fault
  2  the specification or the command line cannot be used
  3  input files or products are refused
  4  the plan or the cluster's request is refused: memory, retraction, licence, Slurm
  5  the store cannot be read or written
  6  the store does not hold what it advertises
  7  another build is at work, or published since
  8  a block could not be computed
  9  a scheduled run was missed, hangs, died, or failed and told nobody
"""

spec_option = click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path),
    default=Path("cube.yaml"),
    show_default=True,
    help="the specification",
)
cluster_option = click.option(
    "--cluster",
    "cluster_text",
    metavar="KIND[,KEY=VALUE...]",
    help="other workers than the specification's, such as local,workers=2 or slurm,queue=debug,qos=debug",
)
json_option = click.option("--json", "as_json", is_flag=True, help="one JSON document on standard output")


def fails_with_code(command: Callable[..., None]) -> Callable[..., None]:
    """Errors of ours become text on standard error, or JSON, and their exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except CubeError as error:
            if options.get("log_json"):
                problems = [problem.to_json() for problem in error.problems]
                Reporter(log_json=True).event("ended", exit_code=error.exit_code, problems=problems)
            else:
                _say_error(error, bool(options.get("as_json")))
            sys.exit(error.exit_code)

    return wrapped


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM, by which Slurm, systemd and Kubernetes end a command, ends it as Ctrl-C does: jobs are cancelled, the
    lock is freed, the run is recorded. A second one ends it at once."""

    def end(number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.exit(128 + number)

    try:
        former = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def given_words(context: click.Context) -> str:
    """The command as it was given, for the record: name, arguments and the options that are not at their default."""
    words = ["cube", str(context.info_name)]
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if isinstance(parameter, click.Argument):
            words += map(str, value if isinstance(value, tuple) else [value] if value is not None else [])
        elif value is True:
            words.append(parameter.opts[0])
        elif value not in (None, False) and value != parameter.get_default(context):
            words += [parameter.opts[0], "/".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return shlex.join(words)


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


def with_cluster(spec: Spec, text: str | None) -> Spec:
    """The specification with the cluster of a command line; keys that it does not name stay where the kind does.

    Raises SpecError for an unknown kind or key.
    """
    if text is None:
        return spec
    kind, *pairs = text.split(",")
    section = spec.cluster.model_dump(mode="json", exclude_unset=True) if spec.cluster.kind == kind else {"kind": kind}
    for pair in pairs:
        key, _, value = pair.partition("=")
        section[key.strip()] = value.strip()
    try:
        cluster = TypeAdapter[AnyCluster](AnyCluster).validate_python(section)
    except ValidationError as error:
        raise SpecError([_cluster_problem(each, kind) for each in error.errors()]) from None
    return spec.model_copy(update={"cluster": cluster})


def _cluster_problem(error: ErrorDetails, kind: str) -> Problem:
    where = f"--cluster {'.'.join(map(str, error['loc'])) or kind}"
    models: dict[str, type[BaseModel]] = {
        "local": LocalCluster,
        "slurm": SlurmCluster,
        "address": AddressCluster,
        "gateway": GatewayCluster,
    }
    if error["type"] == "extra_forbidden":
        fix = suggestion(str(error["loc"][-1]), list(models[kind].model_fields), "keys known here")
        return Problem("spec-unknown-key", "the key is not known here", where, fix=fix)
    if error["type"] == "union_tag_invalid":
        return Problem("spec-value", "there is no such kind", where, fix=suggestion(kind, models, "kinds known here"))
    what = error["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    return Problem("spec-value", what, where)


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
