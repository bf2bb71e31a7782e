"""What a job is: how one kind of product is made, without a word about where, when and on how many machines.

A simple job derives from `BlockJob` and gives `template`, `reads` and `compute`. The rest - layout, keys, reuse,
scheduling, retry, resume, writing, checksums, publishing - is done once for every job.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import xarray as xr

from cube.axes import TimeAxis
from cube.layout import Block, Group, Layout, Part, time_layout
from cube.options import LayoutOptions, Strict
from cube.reading import VersionRef

WORKER_BYTES = 400 * 2**20
"""Resident set of a worker process with everything imported and nothing to do."""


@dataclass(frozen=True)
class Citation:
    text: str
    doi: str | None = None


@dataclass(frozen=True)
class Provider:
    """roles are STAC's: producer, licensor, processor, host."""

    name: str
    roles: tuple[str, ...]
    url: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where data come from and what may be done with them. redistribution is yes, no or unknown."""

    licence: str
    redistribution: str
    licence_url: str | None = None
    providers: tuple[Provider, ...] = ()
    citations: tuple[Citation, ...] = ()
    ancestors: tuple[tuple[str, Provenance], ...] = ()


@dataclass(frozen=True)
class ArraySpec:
    """A data variable before it exists. Integer variables that can be missing give `_FillValue` in `attrs`."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fill(self) -> Any:
        """What stands for missing: `_FillValue`, else NaN for floats, else None (cannot be missing)."""
        if "_FillValue" in self.attrs:
            return self.dtype.type(self.attrs["_FillValue"])
        return self.dtype.type(np.nan) if self.dtype.kind == "f" else None

    @property
    def sizes(self) -> dict[str, int]:
        return dict(zip(self.dims, self.shape, strict=True))

    def bytes(self, slices: Mapping[str, slice]) -> int:
        """Bytes of the part that `slices` cut out."""
        lengths = (part.stop - part.start if (part := slices.get(dim)) else size for dim, size in self.sizes.items())
        return self.dtype.itemsize * math.prod(lengths)


@dataclass(frozen=True)
class Template:
    """The structure of a product; nothing in it is computed.

    arrays      the data variables
    coords      all coordinates but time, with values and CF attributes, in encoded form
    time        the time axis, None for a product without time; its coordinate and bounds are made from it
    space       the names of the dimensions that blocks are cut along, besides time
    groups      data variables that are computed together
    read_bytes  bytes that the job reads from its inputs for one time step of one cell of the output
    crs         epsg and wkt of a projected grid, both None for latitude and longitude
    bbox        west, south, east, north in degrees
    """

    arrays: Mapping[str, ArraySpec]
    coords: xr.Dataset
    time: TimeAxis | None
    space: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    read_bytes: int = 0
    crs: Mapping[str, Any] = field(default_factory=lambda: {"epsg": None, "wkt": None})
    bbox: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)

    def part(self, name: str) -> Part:
        array = self.arrays[name]
        return Part(name, array.dims, array.shape, array.dtype.itemsize)

    def layout(self, options: LayoutOptions) -> Layout:
        """The time-optimised layout of this template."""
        years, time = options.segment, self.time
        return time_layout(
            [[self.part(name) for name in group] for group in self.groups],
            time="time" if time else None,
            space=self.space,
            segment=time.step.per_years(years, time.calendar) if time and years else None,
            read_bytes_per_step_cell=self.read_bytes,
        )

    def coordinates(self) -> xr.Dataset:
        """All coordinates with time and its bounds, in encoded form."""
        if self.time is None:
            return self.coords
        time = xr.Variable(("time",), self.time.encoded(), self.time.attrs())
        bounds = xr.Variable(("time", "bnds"), self.time.bounds())
        return self.coords.assign_coords(time=time, time_bnds=bounds)


@dataclass(frozen=True)
class Result:
    """One computed block: data in encoded form, exactly the block's slices; `steps` is the part of the time axis that
    the inputs really covered, [first, last) in positions, None for a product without time."""

    block: Block
    data: xr.Dataset
    steps: tuple[int, int] | None


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
    def get(self, name: str) -> np.ndarray[Any, Any]: ...


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

    def run(self, scratch: Scratch) -> Iterator[Result]:
        """Compute. Pure: same work, same bytes, on any worker, any number of times."""


@dataclass(frozen=True)
class ProductView:
    """A product as another job sees it: planned or published."""

    name: str
    collection: str
    template: Template
    layout: Layout
    keys: Mapping[str, str]
    provenance: Provenance
    fingerprint: str
    ref: VersionRef | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Workers compute; only planning needs keys.
        return {**self.__dict__, "keys": {}}


@dataclass(frozen=True)
class Window:
    """What a block reads of one input product: variables, and slices by dimension (dimensions not named are whole)."""

    variables: tuple[str, ...]
    slices: Mapping[str, slice]


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
        return dict(self.options.model_dump(mode="json", exclude_defaults=True))

    @abstractmethod
    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        """Identities of just what this part of the product is made from, in time order."""

    @abstractmethod
    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int) -> list[list[Work]]:
        """How blocks are computed within `budget` bytes a worker: steps in order, the works of a step in any order.

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


class BlockJob(Job):
    """A job over products of the cube whose blocks are independent of each other."""

    memory_factor: ClassVar[float] = 3.0
    """Peak working memory as a multiple of what a block reads and returns."""

    def __init__(self, options: Any, inputs: Mapping[str, ProductView]) -> None:
        self.options = options
        self.inputs = inputs

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        return cls(options, context.inputs)

    @abstractmethod
    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        """What a part of the product reads, by input product."""

    @abstractmethod
    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        """The part of the product given by `slices`, in encoded form.

        data  by input product, exactly the window that `reads` named: decoded values in memory, time in its encoded
              integer form
        """

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        found = []
        for name, window in sorted(self.reads(group, slices).items()):
            view = self.inputs[name]
            for variable in window.variables:
                for block in view.layout.overlapping(variable, window.slices):
                    found.append(f"{name}:{variable}:{view.keys[block.id]}")
        return found

    def works(self, layout: Layout, tasks: Sequence[BlockTask], budget: int) -> list[list[Work]]:
        return [[BlockWork(self, layout.group(task.block.group), task) for task in tasks]]

    def provenance(self) -> Provenance:
        return inherited({name: view.provenance for name, view in self.inputs.items()})


@dataclass(frozen=True)
class BlockWork:
    """One block of a `BlockJob`."""

    job: BlockJob
    group: Group
    task: BlockTask

    @property
    def id(self) -> str:
        return self.task.block.id

    @property
    def tasks(self) -> tuple[BlockTask, ...]:
        return (self.task,)

    @property
    def memory(self) -> int:
        template, slices = self.job.template(), self.group.slices(self.task.block)
        size = sum(template.arrays[name].bytes(slices) for name in self.group.variables)
        for name, window in self.job.reads(self.group, slices).items():
            arrays = self.job.inputs[name].template.arrays
            size += sum(arrays[variable].bytes(window.slices) for variable in window.variables)
        return WORKER_BYTES + int(self.job.memory_factor * size)

    def run(self, scratch: Scratch) -> Iterator[Result]:
        slices = self.group.slices(self.task.block)
        data = {}
        for name, window in self.job.reads(self.group, slices).items():
            view = self.job.inputs[name]
            if view.ref is None:
                raise ValueError(f"{name} has no version to read")
            data[name] = view.ref.read(window.variables, window.slices)
        steps = slices.get("time")
        result = self.job.compute(self.group, slices, data)
        yield Result(self.task.block, result, (steps.start, steps.stop) if steps else None)


def inherited(ancestors: Mapping[str, Provenance]) -> Provenance:
    """The provenance of a product made from others: one licence where all agree, the strictest redistribution."""
    licences = {each.licence for each in ancestors.values()}
    redistribution = {each.redistribution for each in ancestors.values()}
    strictest = next((word for word in ("no", "unknown") if word in redistribution), "yes")
    flat: dict[str, Provenance] = {}
    for name, each in sorted(ancestors.items()):
        flat[name] = Provenance(each.licence, each.redistribution, each.licence_url, each.providers, each.citations)
        flat.update(each.ancestors)
    providers = tuple(dict.fromkeys(p for each in ancestors.values() for p in each.providers))
    urls = {each.licence_url for each in ancestors.values()}
    return Provenance(
        licence=licences.pop() if len(licences) == 1 else "other",
        redistribution=strictest,
        licence_url=urls.pop() if len(urls) == 1 else None,
        providers=providers,
        ancestors=tuple(sorted(flat.items())),
    )
