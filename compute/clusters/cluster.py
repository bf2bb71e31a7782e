"""What a build knows of the workers it runs on, whatever starts them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from cube.errors import ComputeError, Problem

if TYPE_CHECKING:
    import distributed


class NoWorkersError(ComputeError):
    """There are no workers, and waiting would not help: what else is to be made need not be tried either."""


class Fate(Enum):
    """Why a worker is gone, as far as whoever started it can tell."""

    PROCESS = "the process ended by itself, mostly because its memory was not enough"
    MACHINE = "it was cancelled, preempted, or lost with its machine"


class Cluster:
    """Workers to run works on.

    client    None where works run in this process
    about     the workers in words, for people
    patience  seconds without any worker before a build gives up
    memory    bytes that each worker must have at least, where they were started by others; 0 where they were not
    lifetime  seconds after which workers leave in order, None where they stay
    replaces  whether a worker that is sent away is replaced by another one
    troubled  whether works failed in a way that what workers said may explain
    """

    memory = 0
    lifetime: float | None = None
    replaces = False

    def __init__(self, client: distributed.Client | None, about: str, patience: float) -> None:
        self.client = client
        self.about = about
        self.patience = patience
        self.troubled = False

    @property
    def dashboard(self) -> str | None:
        """Address of the Dask dashboard, None where there is none."""
        return None

    def want(self, works: int) -> None:
        """Told before so many works are run: where workers cost others their place, no more are asked for."""

    def look(self) -> None:
        """Called every second while works run, for what has to be noted while it can be seen."""

    def hindrance(self) -> tuple[str, list[Problem]]:
        """Asked while there is no worker: what whoever starts them says, and what of it waiting cannot settle."""
        return "", []

    def fate(self, worker: str) -> Fate | None:
        """What became of the worker of this name; None where that is not known, or not yet."""
        return None
