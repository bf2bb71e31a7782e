"""Taking the beginning of a growing block from the live version, proven by its checksums."""

from __future__ import annotations

from typing import Any

import numpy as np

from cube.errors import IntegrityError, MissingObjectError, Problem
from cube.hashing import sha256
from cube.job import Prior
from cube.shards import Form
from cube.unsharding import read_shards


def read_prior(prior: Prior, variable: str) -> np.ndarray[Any, Any]:
    """The block of one variable as the live version holds it, cut at that version's time axis.

    Raises IntegrityError where an object is not what the manifest says.
    """
    layout = prior.block.layout
    names = [f"{layout}.zarr/{variable}/zarr.json"]
    names += [name for name in prior.objects if name.startswith(f"{layout}.zarr/{variable}/c")]
    objects: dict[str, bytes] = {}
    for name in names:
        try:
            data = prior.ref.store.get(f"{prior.ref.prefix}/{name}")
        except MissingObjectError:
            data = b""
        if sha256(data) != prior.objects[name]:
            raise IntegrityError(
                Problem(
                    "object-changed",
                    "the object is not what was proven when it was written",
                    f"{prior.ref.prefix}/{name}",
                    "appending to it would carry the damage into the next version",
                    "`cube build --repair`",
                )
            )
        objects[name.removeprefix(f"{layout}.zarr/")] = data
    form = Form.of(objects[f"{variable}/zarr.json"])
    slices = prior.group.slices(prior.block)
    return read_shards(lambda key, start, stop: objects[key][start:stop], form, variable, slices)
