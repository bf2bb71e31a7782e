"""A staged version: blocks are written in place under its own prefix, each proven by a mark in the ledger.

Nothing here is visible to readers: the version becomes the product's only when its STAC item is flipped to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cube.errors import ComputeError, IntegrityError, MissingObjectError, Problem
from cube.hashing import readable, sha256
from cube.job import BlockTask, Result, Work
from cube.layout import Block, Layout
from cube.lock import Lease
from cube.reading import VersionRef
from cube.scratch import Scratchpad
from cube.shards import encode_variable
from cube.stores import Store

PARALLEL_REQUESTS = 16


@dataclass(frozen=True)
class Stored:
    """One object of a version, as written."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Receipt:
    """The proof of one block, as it stands in the ledger. Objects are named relative to the version."""

    block: str
    key: str
    objects: Mapping[str, Stored]
    missing: Mapping[str, int]
    cells: Mapping[str, int]
    steps: tuple[int, int] | None
    taken: bool = False
    seconds: float = 0.0
    peak_bytes: int = 0

    @property
    def bytes(self) -> int:
        return sum(stored.bytes for stored in self.objects.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Receipt:
        objects = {name: Stored(**stored) for name, stored in value["objects"].items()}
        steps = tuple(value["steps"]) if value["steps"] else None
        return cls(**{**value, "objects": objects, "steps": steps})


def peak_resident() -> int:
    """Largest resident set of this process so far, bytes; 0 where the system does not tell."""
    # getrusage also counts what the process was before it became this program: the one that started it.
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@dataclass(frozen=True)
class Stage:
    """A staged version as workers see it; picklable.

    prefix    COLLECTION/PRODUCT/VERSION on the store
    dims      the dimensions of each data variable
    files     names of files that are no arrays, by the group whose block they belong to
    metadata  every array's `zarr.json` by layout name and key
    lease     the writers' lock, checked before each write
    """

    store: Store
    prefix: str
    layouts: Mapping[str, Layout]
    dims: Mapping[str, Sequence[str]]
    metadata: Mapping[str, Mapping[str, bytes]]
    scratch: Scratchpad
    lease: Lease | None = None
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def ref(self) -> VersionRef:
        """The version as one to read from: only what is marked is there."""
        return VersionRef(self.store, self.prefix)

    def mark_key(self, name: str) -> str:
        return f"{self.prefix}/ledger/{name}.json"

    def write(self, result: Result, task: BlockTask, started: float) -> Receipt:
        """Write the shards of a block, then its mark. Raises ComputeError for data that do not fit the template."""
        block = result.block
        group = self.layouts[block.layout].group(block.group)
        metadata = self.metadata[block.layout]
        data = {name: _fitting(result.data, name, block, metadata, group.slices(block)) for name in group.variables}
        encoded = {
            name: encode_variable(name, metadata[f"{name}/zarr.json"], group, block, array.values)
            for name, array in data.items()
        }
        if self.lease:
            self.lease.check()
        shards = (shard for each in encoded.values() for shard in each.shards.items())
        written = {f"{block.layout}.zarr/{key}": value for key, value in shards}
        written.update(result.files)
        if set(written) != self.object_names(block):
            names = ", ".join(sorted(set(written) ^ self.object_names(block)))
            raise ComputeError(
                Problem("block-misfit", f"files that were not declared, or were not made: {names}", block.id)
            )
        for name, value in written.items():
            self.store.put(f"{self.prefix}/{name}", value)
        objects = {name: Stored(len(value), sha256(value)) for name, value in written.items()}
        receipt = Receipt(
            block.id,
            task.key,
            objects,
            {name: each.missing for name, each in encoded.items()},
            {name: array.size for name, array in data.items()},
            result.steps,
            seconds=time.monotonic() - started,
            peak_bytes=peak_resident(),
        )
        self.mark(receipt)
        return receipt

    def mark(self, receipt: Receipt) -> None:
        self.store.put(self.mark_key(receipt.block), readable(receipt.to_json()), immutable=False)

    def marked(self, blocks: Iterable[tuple[str, str]]) -> dict[str, Receipt]:
        """Receipts of those of the (block id, key) pairs that are done under just that key."""

        def find(pair: tuple[str, str]) -> Receipt | None:
            if self.store.head(self.mark_key(pair[0])) is None:
                return None
            try:
                receipt = Receipt.from_json(json.loads(self.store.get(self.mark_key(pair[0]))))
            except (ValueError, TypeError, KeyError, AttributeError):
                return None  # what cannot be read proves nothing
            done = receipt.key == pair[1] and set(receipt.objects) == self.object_names(Block.parse(pair[0]))
            return receipt if done and self._proven(receipt) else None

        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            found = pool.map(find, list(blocks))
            return {receipt.block: receipt for receipt in found if receipt}

    def object_names(self, block: Block) -> set[str]:
        """The objects that a block consists of, relative to the version."""
        shards = self.layouts[block.layout].shards(block, self.dims).values()
        return {*shards, *(self.files.get(block.group, ()) if block.layout == "time" else ())}

    def _proven(self, receipt: Receipt) -> bool:
        """Whether the objects of a receipt are what it says; read whole, since nobody has proven them in this run."""
        for name, stored in receipt.objects.items():
            try:
                if sha256(self.store.get(f"{self.prefix}/{name}")) != stored.sha256:
                    return False
            except MissingObjectError:
                return False
        return True

    def passed(self, work: str, leaves: Iterable[str]) -> bool:
        """Whether a first pass is done and all that it left is still there."""
        if self.store.head(self.mark_key(f"passes/{work}")) is None:
            return False
        return all(self.scratch.store.head(f"{self.scratch.prefix}/{name}") for name in leaves)

    def take(self, block: str, key: str, source: str, old: Receipt, *, prove: bool = False) -> Receipt:
        """Take a block over from another version of the product: copies its objects by name, then marks it.

        prove  read them first

        Raises IntegrityError where one is lost, or not what was written.
        """
        for name, stored in old.objects.items():
            try:
                if prove and sha256(self.store.get(f"{source}/{name}")) != stored.sha256:
                    raise IntegrityError(_unlike("object-changed", "the object is not what was written", source, name))
                self.store.copy(f"{source}/{name}", f"{self.prefix}/{name}")
            except MissingObjectError:
                raise IntegrityError(_unlike("object-missing", "the object is missing", source, name)) from None
        receipt = Receipt(block, key, old.objects, old.missing, old.cells, old.steps, taken=True)
        self.mark(receipt)
        return receipt


@dataclass(frozen=True)
class Executed:
    """What a work leaves: the receipts of its blocks, and the largest resident set of the process that did it."""

    receipts: tuple[Receipt, ...]
    peak_bytes: int


def execute(work: Work, stage: Stage, *, again: bool = False) -> Executed:
    """Do one work on a worker: compute, write, mark; only the small receipts return.

    again  leave out what a worker that died had finished of it
    """
    started = time.monotonic()
    marked = stage.marked((task.block.id, task.key) for task in work.tasks) if again else {}
    receipts = list(marked.values())
    tasks = {task.block: task for task in work.tasks if task.block.id not in marked}
    if marked and not tasks:
        return Executed(tuple(receipts), peak_resident())
    if marked:
        work = work.only(list(tasks.values()))
    for result in work.run(stage.scratch):
        receipts.append(stage.write(result, tasks.pop(result.block), started))
        started = time.monotonic()
    if tasks:
        names = ", ".join(sorted(block.id for block in tasks))
        raise ComputeError(Problem("block-not-made", f"the job did not return {names}", work.id))
    peak = peak_resident()
    if not work.tasks:
        mark = {"block": work.id, "peak_bytes": peak, "seconds": time.monotonic() - started}
        stage.store.put(stage.mark_key(f"passes/{work.id}"), readable(mark), immutable=False)
    return Executed(tuple(receipts), peak)


def _unlike(code: str, what: str, version: str, name: str) -> Problem:
    return Problem(code, what, f"{version}/{name}", "the next version would be wrong too", "`cube build --repair`")


def _fitting(
    data: xr.Dataset, name: str, block: Block, metadata: Mapping[str, bytes], slices: Mapping[str, slice]
) -> xr.DataArray:
    """A variable of a result in the template's dimension order, or ComputeError where it does not fit."""
    wanted = json.loads(metadata[f"{name}/zarr.json"])
    dims = wanted.get("dimension_names") or ()  # a single number has none
    shape = tuple(
        part.stop - part.start if (part := slices.get(dim)) else size
        for dim, size in zip(dims, wanted["shape"], strict=True)
    )
    found = data.get(name)
    if found is None or set(found.dims) != set(dims):
        text = "nothing" if found is None else f"dimensions {sorted(map(str, found.dims))}"
        raise ComputeError(Problem("block-misfit", f"{text} where {dims} were declared", f"{block.id} {name}"))
    found = found.transpose(*dims)
    dtype = np.dtype(wanted["data_type"])
    if found.shape != shape or found.dtype != dtype:
        text = f"{found.dtype} {found.shape} where {dtype} {shape} was declared"
        raise ComputeError(Problem("block-misfit", text, f"{block.id} {name}"))
    return found
