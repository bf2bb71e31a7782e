"""What tests of all packages share: the sample files, a real object store, and what CI must not skip."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import xarray as xr
from hypothesis import settings

from .s3_server import S3Server, S3ServerUnavailableError

# How long an example takes says nothing on a shared machine. CI tries the same examples every time: what a new one
# finds should stop who is at work on the code, not a submission that has nothing to do with it.
settings.register_profile("project", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("project")

# Tests have flox, which xarray-regrid brings, and users have not: groups must be reduced by the same code for both.
xr.set_options(use_flox=False)

ROOT = Path(__file__).resolve().parents[1]


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have what this test needs: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def unavailable() -> Callable[[str], NoReturn]:
    """Call it with a reason where a service or file is missing: skips here, fails in CI."""
    return _unavailable


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of sample files beside the project."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        _unavailable(f"the sample files are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An object store for the whole session; its credentials are in the environment from then on."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        server.start()
    except S3ServerUnavailableError as error:
        _unavailable(str(error))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
    server.stop()


@pytest.fixture
def s3_url(s3_server: S3Server) -> str:
    """The address of an empty prefix of the object store, as `store:` takes it."""
    return f"s3://{s3_server.bucket}/{secrets.token_hex(6)}"
