"""Workers of a Dask scheduler that runs already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compute.clusters.cluster import Cluster
from compute.clusters.options import AddressCluster
from compute.clusters.settings import SETTINGS
from cube.errors import ComputeError, Problem


class _There(Cluster):
    @property
    def dashboard(self) -> str | None:
        link = self.client.dashboard_link if self.client else None
        return str(link) if link else None

    def hindrance(self) -> tuple[str, list[Problem]]:
        status = self.client.status if self.client else "closed"
        return ("the scheduler has no workers" if status == "running" else "the scheduler does not answer"), []


@contextlib.contextmanager
def address(options: AddressCluster, memory: int, folder: Path) -> Iterator[Cluster]:
    """The workers of the scheduler at `options.address`, each of at least `memory` bytes; they outlive the context.

    Raises ComputeError where the scheduler cannot be reached.
    """
    import dask
    import distributed
    from distributed.security import Security

    files: dict[str, Any] = {
        name: str(folder / path)
        for name, path in (
            ("tls_ca_file", options.ca),
            ("tls_client_cert", options.cert),
            ("tls_client_key", options.key),
        )
        if path
    }
    with dask.config.set(SETTINGS):
        try:
            security = Security(require_encryption=options.address.startswith("tls"), **files)
            client = distributed.Client(options.address, security=security, timeout="30s", set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ComputeError(
                Problem(
                    "scheduler-away",
                    f"the scheduler cannot be reached: {error}",
                    options.address,
                    fix="see that it runs, that this machine reaches it, and that `ca`, `cert` and `key` are its own",
                )
            ) from None
        with client:
            cluster = _There(client, f"the workers of the scheduler at {options.address}", options.patience)
            cluster.memory = memory
            yield cluster
