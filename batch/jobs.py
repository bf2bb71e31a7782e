"""The kinds of jobs. A new one is a module of its own and a line here."""

from __future__ import annotations

from compute.metric import MetricJob
from cube.job import Job
from cube.options import Strict
from ingest.job import IngestJob

JOBS: dict[str, type[Job]] = {job.name: job for job in (IngestJob, MetricJob)}

OPTIONS: dict[str, type[Strict]] = {name: job.Options for name, job in JOBS.items()}
