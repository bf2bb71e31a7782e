"""The job of products with known numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batch import jobs
from tests.compute.notebook.products import JOBS


@pytest.fixture(scope="package")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(tmp_path_factory.mktemp("cache")))
        for job in JOBS:
            patch.setitem(jobs.JOBS, job.name, job)
            patch.setitem(jobs.OPTIONS, job.name, job.Options)
        yield
