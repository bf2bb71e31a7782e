"""A small cube of the sample archive's rainfall, to be built by workers of several kinds and compared byte for byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.slow_cube import ROOT

CUBE = [sys.executable, "-c", "from batch.command import main; main()"]
SPEC = """
title: Sample
store: {store}
memory: 700 MiB
cluster: {cluster}
products:
  rainfall:
    job: ingest
    collection: inputs
    source: tamsat
    files: archive/tamsat/v3-native/**/rfe*.nc
    layout: {{segment: 1 years, maps: true}}
  dry-days: {{job: metric, collection: metrics, metric: dry_days, input: rainfall, threshold: 1 mm d-1}}
  wet-season: {{job: metric, collection: metrics, metric: wet_season, input: rainfall, reference: self}}
"""


def begin(folder: Path) -> Path:
    """Write the archive to the folder, and a cube of it, `local`, made by this machine's processes."""
    years = ["--first-year", "2000", "--last-year", "2003"]
    words = [*CUBE, "sample-archive", str(folder / "archive"), *years, "--family", "tamsat-native"]
    subprocess.run(words, check=True, cwd=ROOT, capture_output=True)
    build(folder, "local", "{kind: local, workers: 2}")
    return folder


def build(
    folder: Path,
    store: str,
    cluster: str,
    environment: dict[str, str] | None = None,
    *,
    address: str = "",
    more: str = "",
) -> str:
    """What a build says. store: name of the specification, and of the folder unless `address` gives another place;
    more: further keys."""
    spec = folder / f"{store}.yaml"
    spec.write_text(SPEC.format(store=address or store, cluster=cluster) + more)
    return run(spec, environment)


def run(spec: Path, environment: dict[str, str] | None = None) -> str:
    """What `cube build` of a specification says."""
    ran = subprocess.run(
        [*CUBE, "build", "--spec", str(spec)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return ran.stderr


def objects(folder: Path) -> dict[str, str]:
    """sha256 of every object of the versions but their ledgers, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and len(path.relative_to(folder).parts) > 3 and "/ledger/" not in str(path)
    }


def check_same(sample: Path, store: str) -> None:
    ours = objects(sample / store)
    assert len(ours) > 20
    assert ours == objects(sample / "local")
