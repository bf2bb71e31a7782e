"""The chain, built once for all tests of its jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compute import chain


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a cube in which the whole chain is built. It must not be changed."""
    folder = tmp_path_factory.mktemp("chain")
    before = os.environ.get("CUBE_CACHE")
    os.environ["CUBE_CACHE"] = str(folder / "cache")
    outcome = chain.built(chain.archive(folder), chain.CHAIN)
    assert not outcome.failed, outcome.failed
    yield folder
    if before is None:
        del os.environ["CUBE_CACHE"]
    else:
        os.environ["CUBE_CACHE"] = before
