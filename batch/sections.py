"""The sections of cube.yaml that do not depend on the kind of job."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, StringConstraints

from batch.locations import check_store
from batch.schedule.options import Schedule
from batch.sizes import Size
from compute.align.grid import GridOptions
from compute.clusters.options import Cluster
from cube.errors import Problem
from cube.options import LayoutOptions, Strict
from cube.stores.storage import Storage

RESERVED = frozenset({"runs", "lock"})
"""Names that the root of the store keeps for itself."""

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def name_problem(text: str) -> Problem | None:
    """What is wrong with the name of a product or collection, None where nothing is."""
    if NAME.fullmatch(text):
        return None
    near = slug(text)
    what = f"{text!r} is not a name: names are lower-case letters, digits and single hyphens between them"
    return Problem("spec-name", what, fix=f"did you mean {near!r}?" if near else "")


def _name(value: Any) -> Any:
    problem = name_problem(value) if isinstance(value, str) else None
    if problem:
        raise ValueError(problem)
    return value


def _unreserved(value: str) -> str:
    if value in RESERVED:
        raise ValueError(
            Problem("spec-name", f"{value!r} is a name that the store keeps for itself", fix="choose another")
        )
    return value


def _folder(value: str) -> str:
    if "://" in value or re.search(r"[*?\r\n\t]", value):
        raise ValueError(f"the lock is in one folder of a disk, found {value!r}")
    return value


def slug(title: str) -> str:
    """A name from a title: "Climate Impact Explorer" gives climate-impact-explorer. Empty where nothing is left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, BeforeValidator(_name, json_schema_input_type=Annotated[str, Field(pattern=f"^{NAME.pattern}$")])]
CollectionName = Annotated[Name, AfterValidator(_unreserved)]


class CollectionSpec(Strict):
    """A group of products in the catalogue."""

    title: Text | None = Field(None, description="title for people; by default the name of the collection")
    description: Text | None = Field(None, description="a paragraph or more; CommonMark")


class ProductKeys(Strict):
    """Keys that every product may have, whatever its job."""

    job: Text = Field(description="how the product is made")
    collection: CollectionName = Field(
        description="collection of the catalogue that it belongs to", examples=["inputs"]
    )
    title: Text | None = Field(None, description="title for people; by default the name")
    description: Text | None = Field(None, description="a paragraph or more; CommonMark")
    keywords: tuple[Text, ...] = Field((), description="words to find it by")
    layout: LayoutOptions = Field(
        default_factory=lambda: LayoutOptions.model_validate({}), description="how it is laid out on the store"
    )
    doi: Text | None = Field(
        None,
        pattern=r"^10\.\d{4,9}/\S+$",
        description="DOI of the product itself, without https://doi.org/; it takes the place of the DOI of its source",
        examples=["10.5285/083f0a37e058495eaef542263198019f"],
    )
    permission: Text | None = Field(
        None,
        description="who allowed, when and under which terms, that these data are published. Needed where the licence "
        "of a source does not say that they may be",
        examples=["TAMSAT group, by e-mail of 3 March 2026, for project partners"],
    )


class ProductSection(ProductKeys):
    """A product as the file declares it."""

    each: dict[str, tuple[str | int, ...]] | None = Field(
        None,
        description="makes one product of every combination: `{gcm}` in the name and in any text of the section stands "
        "for the values of `gcm`",
        examples=[{"gcm": ["HadGEM2-ES"], "scenario": ["historical", "rcp60"]}],
    )


class ProductSpec(ProductKeys):
    """One product, after `each` has been expanded.

    options  the job's own options, an instance of the job's options model, texts as they are in the file
    inputs   names of the products that it is made from, in the order of the file
    each     the values that `each` gave it
    """

    name: Name
    options: SerializeAsAny[Strict]
    inputs: tuple[str, ...] = ()
    each: dict[str, str] = Field(default_factory=dict)


class CubeKeys(Strict):
    """Keys of the whole cube."""

    title: Text = Field(description="title of the catalogue")
    description: Text | None = Field(None, description="a paragraph or more about the cube; CommonMark")
    id: Name = Field(
        default_factory=lambda data: slug(data["title"]) or "cube",
        description="identifier of the catalogue; by default made from the title",
    )
    store: Annotated[Text, AfterValidator(check_store)] = Field(
        description="where the cube lives: a folder, relative to the specification, or s3://bucket/prefix",
        examples=["./cube"],
    )
    storage: Storage | None = Field(None, description="how an object store is reached; never credentials")
    lock: Annotated[Text, AfterValidator(_folder)] | None = Field(
        None,
        description="folder for the lock that keeps two builds apart, for stores that cannot do so themselves: it is "
        "there already, and every machine that builds this cube sees it. Several cubes may share it. Relative to the "
        "specification; by default the lock is in the store",
        examples=["/gws/project/locks"],
    )
    memory: Size = Field(
        "4 GiB",
        validate_default=True,
        description="what one worker process may use, all included; a plan that needs more is refused",
        examples=["4 GiB", "500 MB"],
    )
    cluster: Cluster = Field("local", validate_default=True, description="the workers that blocks are computed on")
    schedule: Schedule | None = Field(None, description="what runs by itself, and who is told when it does not")
    grids: dict[Name, GridOptions] = Field(
        default_factory=dict,
        description="grids by name, for the option `grid` of products",
        examples=[{"africa": {"lat": [-35.875, 37.875], "lon": [-18.875, 51.875], "step": 0.25}}],
    )
    collections: dict[CollectionName, CollectionSpec] = Field(
        default_factory=dict,
        description="collections of the catalogue by name. Give all that products name, or none",
    )
