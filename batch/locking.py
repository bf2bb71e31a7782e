"""The writers' lock of a specification's cube."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from batch.reporting import Reporter
from batch.spec import Spec
from cube.lock import Lease, hold, place_of_lock
from cube.stores import Store


@contextlib.contextmanager
def locked(spec: Spec, store: Store, reporter: Reporter) -> Iterator[Lease]:
    """Hold the lock of the cube. Raises BusyError when another command holds it and is alive."""
    place = place_of_lock(store, spec.resolve(spec.lock) if spec.lock else None)
    with hold(place, reporter.waiting, reporter.say) as lease:
        yield lease
