"""`python -m benchmarks [CASE ...] [--scale small|full] [--repeats N] [--folder FOLDER] [--markdown FILE]`."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Table, machine

CASES = ("rechunk", "archive", "reading", "unchanged", "appending", "column", "emulator", "chain", "metrics")
FOLDER = Path(tempfile.gettempdir()) / "climate-impact-cube-benchmarks"
PACKAGES = ("zarr", "numcodecs", "numpy", "numba", "dask", "xarray", "netCDF4", "rechunker", "xgboost-cpu")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where data are kept between runs")
    parser.add_argument("--markdown", type=Path, help="write the tables as markdown to this file too")
    options = parser.parse_args(arguments)
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; known are {', '.join(CASES)}")
    folder = options.folder.absolute()
    tables: list[Table] = []
    for case in options.cases or CASES:
        # Each case imports much, and a case that cannot run must not take the others with it.
        module = importlib.import_module(f"benchmarks.{case}")
        (folder / case).mkdir(parents=True, exist_ok=True)
        tables.append(module.run(folder / case, options.scale, options.repeats))
        print(f"{tables[-1].text()}\n", flush=True)
    heading = f"{machine()}; {', '.join(f'{name} {version(name)}' for name in PACKAGES)}"
    document = "\n\n".join([heading, *(table.markdown() for table in tables)])
    print(document)
    if options.markdown:
        options.markdown.write_text(f"{document}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
