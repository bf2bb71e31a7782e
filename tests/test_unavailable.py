"""What a test needs and a machine lacks: a skip with its reason here, a failure in CI."""

from collections.abc import Callable
from typing import NoReturn

import pytest


def test_outside_ci_a_missing_service_is_a_skip(
    unavailable: Callable[[str], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no server"):
        unavailable("no server")


def test_in_ci_a_missing_service_is_a_failure(
    unavailable: Callable[[str], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no server"):
        unavailable("no server")
