"""Order and cycles of products, against plain second implementations."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from batch import graph
from batch.spec import Spec

Load = Callable[[str], Spec]
Inputs = dict[str, list[str]]


@st.composite
def digraphs(draw: st.DrawFn, acyclic: bool) -> Inputs:
    names = draw(st.permutations([f"p{number}" for number in range(draw(st.integers(1, 7)))]))
    ranks = draw(st.permutations(range(len(names))))
    rank = dict(zip(names, ranks, strict=True))
    pairs = [(a, b) for a, b in itertools.product(names, names) if not acyclic or rank[b] < rank[a]]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=12)) if pairs else []
    return {name: [b for a, b in chosen if a == name] for name in names}


def reachable(inputs: Inputs) -> set[tuple[str, str]]:
    """Warshall's transitive closure."""
    pairs = {(name, source) for name, sources in inputs.items() for source in sources}
    for middle, a, b in itertools.product(inputs, inputs, inputs):
        if (a, middle) in pairs and (middle, b) in pairs:
            pairs.add((a, b))
    return pairs


def earliest(inputs: Inputs) -> list[str]:
    """Again and again the first product whose inputs are all done."""
    done: list[str] = []
    while len(done) < len(inputs):
        done.append(next(name for name in inputs if name not in done and set(inputs[name]) <= set(done)))
    return done


@given(digraphs(acyclic=True))
def test_order_puts_inputs_first_and_keeps_the_file_order_otherwise(inputs: Inputs) -> None:
    assert graph.order(inputs) == earliest(inputs)
    assert graph.cycles(inputs) == []


@given(digraphs(acyclic=True))
def test_order_of_a_specification_is_topological(load: Load, inputs: Inputs) -> None:
    lines = ["title: a", "store: b", "products:"]
    for name, sources in inputs.items():
        if sources:
            names = f"input: {sources[0]}, also: [{', '.join(sources[1:])}]"
            lines.append(f"  {name}: {{job: metric, collection: c, {names}, threshold: 1 mm d-1}}")
        else:
            lines.append(f"  {name}: {{job: ingest, collection: c, source: cru, files: {name}.nc}}")
    spec = load("\n".join(lines))
    order = spec.order()
    assert sorted(order) == sorted(inputs)
    assert all(order.index(source) < order.index(name) for name, sources in inputs.items() for source in sources)
    assert {name: spec.inputs(name) for name in inputs} == {
        name: tuple(dict.fromkeys(sources)) for name, sources in inputs.items()
    }


@given(digraphs(acyclic=False))
def test_every_cycle_is_real_and_none_is_left(inputs: Inputs) -> None:
    found = graph.cycles(inputs)
    left = {(name, source) for name, sources in inputs.items() for source in sources}
    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        steps = set(itertools.pairwise(cycle))
        assert steps <= left
        left -= steps
    remaining = {name: [b for a, b in left if a == name] for name in inputs}
    assert all(a != b for a, b in reachable(remaining))
    assert bool(found) == any(a == b for a, b in reachable(inputs))


@given(digraphs(acyclic=False))
def test_cycle_begins_with_its_first_product_in_the_file(inputs: Inputs) -> None:
    position = list(inputs).index
    for cycle in graph.cycles(inputs):
        assert position(cycle[0]) == min(map(position, cycle))
