"""Workers of a cluster that a Dask Gateway starts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from compute.clusters.cluster import Cluster
from compute.clusters.options import GatewayCluster
from compute.clusters.settings import SETTINGS
from cube.errors import ComputeError, Problem, RefusedError


class _Gateway(Cluster):
    link: str | None = None

    @property
    def dashboard(self) -> str | None:
        return self.link

    def hindrance(self) -> tuple[str, list[Problem]]:
        return "the gateway's cluster has no workers yet", []


@contextlib.contextmanager
def gateway(options: GatewayCluster, memory: int) -> Iterator[Cluster]:
    """A cluster of the gateway's at `options.address`, ended with the context.

    Raises ComputeError where the gateway cannot be reached or starts no cluster, RefusedError for options that it does
    not know.
    """
    import dask
    from dask_gateway import Gateway, GatewayClusterError, GatewayServerError

    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(Gateway(options.address, auth=options.auth))
            known = set(server.cluster_options())
            if unknown := sorted(set(options.options) - known):
                raise RefusedError(
                    Problem(
                        "gateway-options",
                        f"the gateway knows no {', '.join(unknown)}",
                        "cluster.options",
                        fix=f"known are: {', '.join(sorted(known)) or 'none'}",
                    )
                )
            started = stack.enter_context(server.new_cluster(shutdown_on_close=True, **options.options))
            client = stack.enter_context(started.get_client(set_as_default=False))
        except (OSError, TimeoutError, ValueError, GatewayClusterError, GatewayServerError) as error:
            raise ComputeError(
                Problem(
                    "scheduler-away",
                    f"the gateway gives no cluster: {error}",
                    options.address,
                    fix="see that it runs, that this machine reaches it, and that `auth` is its way of knowing you",
                )
            ) from None
        # The gateway replaces workers that are lost; its adapt() starts none where nothing waits.
        started.scale(options.workers)
        cluster = _Gateway(client, f"{options.workers} workers of the gateway at {options.address}", options.patience)
        cluster.memory = memory
        cluster.link = started.dashboard_link
        yield cluster
