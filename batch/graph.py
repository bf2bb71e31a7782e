"""Which product is made from which: order and cycles."""

from __future__ import annotations

import graphlib
import heapq
import itertools
from collections.abc import Mapping, Sequence


def cycles(inputs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Cycles that share no dependency, each as names of which every one is made from the next; the first comes last."""
    edges = {name: list(sources) for name, sources in inputs.items()}
    found = []
    while True:
        try:
            graphlib.TopologicalSorter(edges).prepare()
        except graphlib.CycleError as error:
            # graphlib lists every node before the one that needs it.
            cycle = list(reversed(error.args[1]))
            first = min(range(len(cycle) - 1), key=lambda position: list(edges).index(cycle[position]))
            cycle = [*cycle[first:-1], *cycle[: first + 1]]
            found.append(cycle)
            for name, source in itertools.pairwise(cycle):
                edges[name] = [each for each in edges[name] if each != source]
        else:
            return found


def order(inputs: Mapping[str, Sequence[str]]) -> list[str]:
    """Every product after all that it is made from; otherwise in the order given. There must be no cycle."""
    position = {name: number for number, name in enumerate(inputs)}
    waiting = {name: set(sources) for name, sources in inputs.items()}
    users: dict[str, list[str]] = {name: [] for name in inputs}
    for name, sources in waiting.items():
        for source in sources:
            users[source].append(name)
    ready = [position[name] for name, sources in waiting.items() if not sources]
    names, result = list(inputs), []
    heapq.heapify(ready)
    while ready:
        done = names[heapq.heappop(ready)]
        result.append(done)
        for user in users[done]:
            waiting[user].discard(done)
            if not waiting[user]:
                heapq.heappush(ready, position[user])
    return result
