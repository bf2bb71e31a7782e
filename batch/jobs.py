"""The kinds of jobs. A new one is a module of its own and a line here."""

from __future__ import annotations

from compute.align.job import AlignJob
from compute.change.job import ChangeJob
from compute.climatology import ClimatologyJob
from compute.emulate.job import EmulateJob
from compute.evaluation.job import EvaluateJob
from compute.metrics.job import MetricJob
from compute.pet import PetJob
from compute.sample.job import SampleJob
from compute.simulate.job import SimulateJob
from compute.soil import SoilJob
from compute.summarise.job import SummariseJob
from compute.train.job import TrainJob
from cube.job import Job
from cube.options import Strict
from ingest.job import IngestJob

JOBS: dict[str, type[Job]] = {
    job.name: job
    for job in (
        IngestJob,
        AlignJob,
        SoilJob,
        ClimatologyJob,
        PetJob,
        SimulateJob,
        SampleJob,
        TrainJob,
        EmulateJob,
        EvaluateJob,
        MetricJob,
        ChangeJob,
        SummariseJob,
    )
}

OPTIONS: dict[str, type[Strict]] = {name: job.Options for name, job in JOBS.items()}
