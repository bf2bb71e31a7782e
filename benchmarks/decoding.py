"""A process that reads half of a product's blocks, as a job would or by plain zarr, and does nothing with them.

python -m benchmarks.decoding CUBE PRODUCT PART job|zarr
"""

from __future__ import annotations

import json
import sys
import time

from cube.catalogue import Cube
from cube.job import Window


def main(location: str, product: str, part: int, how: str) -> None:
    """Prints the bytes that were decoded and the seconds that took, as JSON."""
    view, _ = Cube(location).view(product)
    (name,) = view.template.arrays
    group = view.layout.group_of(name)
    blocks = [block for block in view.layout.blocks() if block.group == group.name]
    assert view.ref is not None
    array = view.ref.open()[name]
    size = 0
    began = time.perf_counter()
    for block in blocks[part::2]:
        slices = group.slices(block)
        if how == "zarr":
            size += array[tuple(slices.get(dim, slice(None)) for dim in array.metadata.dimension_names)].nbytes
        else:
            window = Window((name,), slices)
            size += view.read(window, view.proofs_of(window))[name].values.nbytes
    print(json.dumps({"bytes": size, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
