"""The specification of a cube, `cube.yaml`: read, expanded and proven sound before anything else happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import PrivateAttr

from batch import graph
from batch.credentials import without_credentials
from batch.locations import resolve
from batch.products import Products, read_products
from batch.report import Report
from batch.sections import CollectionSpec, CubeKeys, ProductSpec
from batch.validation import keys_of, unknown_key, validate
from batch.yaml_lines import Document, read_yaml
from cube.errors import Problem
from cube.options import Strict
from cube.wording import describe, dotted


class Spec(CubeKeys):
    """A sound specification.

    path         the file
    memory       bytes
    collections  every collection that is declared or that a product names; each has a title
    products     in the order of the file, those of one `each` section side by side
    """

    path: Path
    products: dict[str, ProductSpec]
    _document: Document = PrivateAttr()
    _sections: dict[str, str] = PrivateAttr()

    @property
    def folder(self) -> Path:
        """The folder that relative paths start at."""
        return self.path.absolute().parent

    @property
    def store_location(self) -> str:
        """The store as an absolute path or an address."""
        return resolve(self.store, self.folder)

    def resolve(self, text: str) -> str:
        """A path of the specification as an absolute path, an address as it is."""
        return resolve(text, self.folder)

    def inputs(self, name: str) -> tuple[str, ...]:
        """The products that a product is made from."""
        return self.products[name].inputs

    def order(self) -> list[str]:
        """All products, each after those it is made from; otherwise in the order of the file."""
        return graph.order({name: product.inputs for name, product in self.products.items()})

    def line(self, product: str, *keys: str | int) -> str:
        """Where a product or a key of its section is written, such as "cube.yaml:17 products.tamsat.files"."""
        place = self._document.line(("products", self._sections[product], *keys))
        return f"{self._document.file}:{place} {dotted(('products', product, *keys))}"

    def placed(self, product: str, problem: Problem) -> Problem:
        """A problem of a product's option, named by its keys in `where`, at the place where it is written."""
        keys = problem.where.split(".")
        known = keys[0] in type(self.products[product].options).model_fields
        return replace(problem, where=self.line(product, *keys)) if known else problem


def load_spec(path: Path, jobs: Mapping[str, type[Strict]]) -> Spec:
    """Read and check a specification.

    jobs  the options model of every job by name. A model lists the options that name input products, a text or a list
          of texts each, in `product_fields: ClassVar[tuple[str, ...]]`

    Raises SpecError with every fault that was found, each with its line.
    """
    document = read_yaml(path)
    report = Report(document)
    if not isinstance(document.value, dict):
        what = f"expected sections such as title, store and products, found {describe(document.value)}"
        report.add((), "spec-value", what, fix="begin with `title: ...` at the start of a line")
        report.raise_if_any()
    value = without_credentials(document.value, report)
    known = [*keys_of(CubeKeys), "products"]
    meant = {unknown_key(key, known, (), report) for key in value if key not in known}
    settings = validate(CubeKeys, {key: value[key] for key in keys_of(CubeKeys) if key in value}, (), report, meant)
    products = Products()
    if "products" in value:
        products = read_products(value["products"], value.get("collections"), value.get("grids"), jobs, report)
    elif "products" not in meant:
        report.add((), "spec-missing-key", "the key 'products' is missing", fix="add `products:` what the cube holds")
    report.raise_if_any()
    assert settings is not None
    names = dict.fromkeys([*settings.collections, *(each.collection for each in products.sound.values())])
    declared = {name: settings.collections.get(name, CollectionSpec.model_validate({})) for name in names}
    collections = {name: each.model_copy(update={"title": each.title or name}) for name, each in declared.items()}
    spec = Spec.model_construct(
        **{**dict(settings), "collections": collections, "path": path, "products": products.sound}
    )
    spec._document, spec._sections = document, products.sections
    return spec
