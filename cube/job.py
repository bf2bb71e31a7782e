"""What a job is: how one kind of product is made, without a word about where, when and on how many machines.

A simple job derives from `cube.blockjob.BlockJob` and gives `template`, `reads` and `compute`. The rest - layout, keys,
reuse, scheduling, retry, resume, writing, checksums, publishing - is done once for every job.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import xarray as xr

from cube.layout import Block, Dim, Group, Layout
from cube.options import Strict
from cube.provenance import Provenance
from cube.reading import VersionRef
from cube.template import Template

WORKER_BYTES = 400 * 2**20
"""Resident set of a worker process with everything imported and nothing to do."""


@dataclass(frozen=True)
class Result:
    """One computed block: data in encoded form, exactly the block's slices; `steps` is the part of the time axis that
    the inputs really covered, [first, last) in positions, None for what has no time; `files` are those that the
    template gives to the block's group, by name."""

    block: Block
    data: xr.Dataset
    steps: tuple[int, int] | None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Prior:
    """A block of the live version whose inputs are a prefix of the new ones: the first `done` need not be read."""

    ref: VersionRef
    group: Group
    block: Block
    done: int
    objects: Mapping[str, str]
    """sha256 by object name, to prove what is taken from it."""


@dataclass(frozen=True)
class BlockTask:
    """A block to be computed."""

    block: Block
    key: str
    prior: Prior | None = None


class Scratch(Protocol):
    """Where passes leave intermediate arrays."""

    def put(self, name: str, values: np.ndarray[Any, Any]) -> None: ...
    def get(self, name: str, out: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]: ...


class Work(Protocol):
    """A picklable piece of computation that a worker does in one go: some blocks, or one part of a first pass."""

    @property
    def id(self) -> str:
        """Unique in its step and the same in every run with the same inputs and budget."""

    @property
    def tasks(self) -> tuple[BlockTask, ...]:
        """The blocks it yields; none for a first pass, which leaves its result in the scratch."""

    @property
    def memory(self) -> int:
        """Estimated peak resident set of a worker that does it, bytes."""

    @property
    def leaves(self) -> Sequence[str]:
        """Names of what a first pass leaves in the scratch."""

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        """The work for some of its tasks: what a killed one has left to do."""

    def run(self, scratch: Scratch) -> Iterator[Result]:
        """Compute. Pure: same work, same bytes, on any worker, any number of times."""


@dataclass(frozen=True)
class Window:
    """What a block reads of one input product: variables, slices by dimension (dimensions not named are whole), and
    files that are no arrays."""

    variables: tuple[str, ...]
    slices: Mapping[str, slice]
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProductView:
    """A product as another job sees it: planned or published.

    ref, proofs  of a published one: where it is, and the sha256 of every object of its time.zarr by name
    """

    name: str
    collection: str
    template: Template
    layout: Layout
    keys: Mapping[str, str]
    provenance: Provenance
    fingerprint: str
    ref: VersionRef | None = None
    proofs: Mapping[str, str] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        # Workers compute; only planning needs all keys and proofs.
        return {**self.__dict__, "keys": {}, "proofs": {}}

    def tiles(self, variable: str) -> dict[str, Dim]:
        """How a variable is cut along the dimensions of the map, for `Template.tiles` of what is made from it."""
        return {dim.name: dim for dim in self.layout.group_of(variable).dims if dim.name in self.template.space}

    def proofs_of(self, window: Window) -> dict[str, str]:
        """sha256 of the objects that reading a window touches, by name; none for a product that is not published."""
        if not self.proofs:
            return {}
        shards = {
            self.layout.shards(block, self.template.dims)[name]
            for name in window.variables
            for block in self.layout.overlapping(name, window.slices)
        }
        data = tuple(f"time.zarr/{name}/c/" for name in self.template.arrays)
        return {name: proof for name, proof in self.proofs.items() if name in shards or not name.startswith(data)}

    def keys_of(self, window: Window) -> list[str]:
        """What identifies a window's content: the keys of the blocks that hold some of it."""
        found = []
        for variable in window.variables:
            for block in self.layout.overlapping(variable, window.slices):
                found.append(f"{self.name}:{variable}:{self.keys[block.id]}")
        for name in window.files:
            group = self.layout.group_of(self.template.files[name].beside)
            (block,) = (block for block in self.layout.blocks() if block.group == group.name)
            found.append(f"{self.name}:{name}:{self.keys[block.id]}")
        return found

    def read(self, window: Window, proofs: Mapping[str, str]) -> xr.Dataset:
        """A window as `VersionRef.read` gives it; files are attributes by name.

        Raises IntegrityError where an object is missing, or not what its proof says.
        """
        if self.ref is None:
            raise ValueError(f"{self.name} has no version to read")
        found = self.ref.read(window.variables, window.slices, proofs=proofs) if window.variables else xr.Dataset()
        return found.assign_attrs({name: self.ref.file(name, proofs) for name in window.files})


@dataclass(frozen=True)
class JobContext:
    """What a job is made from besides its options.

    folder     where relative file names start (the specification's)
    inputs     the products it names, planned or published
    frozen     what `Job.frozen` said when a staged version was begun: just that is to be used again
    progress   called with a text, done and total while facts are gathered
    executor   runs what is worth doing in several processes, None to do all in this one
    """

    folder: Path
    inputs: Mapping[str, ProductView] = field(default_factory=dict)
    frozen: Mapping[str, Any] | None = None
    progress: Callable[[str, int, int], None] | None = None
    executor: Executor | None = None


class Job(ABC):
    """How a product is made. Instances are picklable and immutable after construction."""

    name: ClassVar[str]
    revision: ClassVar[int]
    extends: ClassVar[bool] = False
    """Whether `works` makes use of a task's `prior`."""
    Options: ClassVar[type[Strict]]
    options: Any
    inputs: Mapping[str, ProductView]

    @classmethod
    @abstractmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """The job for validated options (an instance of `Options`). Raises InputError with all that is wrong."""

    @abstractmethod
    def template(self) -> Template:
        """The structure of the product."""

    @abstractmethod
    def key_options(self) -> Mapping[str, Any]:
        """Options that change values, as JSON; options that only choose inputs are left to `identities`."""

    def public_options(self) -> Mapping[str, Any]:
        """Options for the manifest, which everybody can read: no paths of this machine."""
        fields = type(self.options).model_fields
        dumped = self.options.model_dump(mode="json", exclude_defaults=True)
        # A default that is declared as text, such as "5 d", is held as a number and dumped as text again.
        return {name: value for name, value in dumped.items() if value != fields[name].default}

    @abstractmethod
    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        """Identities of just what this part of the product is made from, in time order."""

    def builds_on(self, layout: Layout, blocks: Iterable[str]) -> set[str]:
        """The blocks of the same version that these are made from, all by id."""
        return set()

    @abstractmethod
    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int, own: VersionRef) -> list[list[Work]]:
        """How blocks are computed within `budget` bytes a worker: steps in order, the works of a step in any order.

        own  the version that is being made, where a block builds on others of it

        Raises RefusedError where no work fits the budget.
        """

    @abstractmethod
    def provenance(self) -> Provenance:
        """Licence, providers and citations, ancestors included."""

    def files(self) -> Sequence[Mapping[str, Any]]:
        """Archive files for the manifest: name, bytes, sha256."""
        return ()

    def frozen(self) -> Mapping[str, Any]:
        """What must stay as it is for a staged version to be finished, for `JobContext.frozen`."""
        return {}

    def notes(self) -> Mapping[str, Any]:
        """Further facts for the manifest: gaps, notes, properties, and attrs of the Zarr root."""
        return {}

    def extras(self) -> tuple[Mapping[str, bytes], Mapping[str, Any] | None]:
        """Further objects of the version by name, and what the manifest says of them under `references`.

        Called once, when all blocks are done.
        """
        return {}, None
