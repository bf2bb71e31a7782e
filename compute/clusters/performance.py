"""A Dask performance report of what a build did on its workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import distributed


@contextlib.contextmanager
def performance(client: distributed.Client, page: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Write an HTML page at the end. A scheduler that cannot give it any more is only told of.

    say  is told why there is no page
    """
    from distributed import performance_report  # bokeh takes long to import

    with client.as_current():
        report = performance_report(filename=str(page))
        report.__enter__()
    try:
        yield
    finally:
        try:
            with client.as_current():
                report.__exit__(None, None, None)
        except Exception as error:  # noqa: BLE001  how the build ended must not depend on its report
            say(f"there is no performance report: {type(error).__name__}: {error}")
