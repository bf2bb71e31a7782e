"""The section `products`: every declared product with its options checked and its inputs known."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch import graph
from batch.expansion import Expansion, expand, placeholders
from batch.grids import with_grid
from batch.locations import pattern_problem
from batch.report import Report
from batch.sections import ProductSection, ProductSpec, name_problem
from batch.validation import keys_of, unknown_key, validate
from cube.options import Strict
from cube.wording import KeyPath, describe, nearest, suggestion

FILES = "files"
"""The option of a job that names archive files by path or glob pattern, a text or a list of texts."""


def product_fields(options: type[Strict] | None) -> tuple[str, ...]:
    """The options of a job that name input products; `runs.pr` is the key `pr` of each section of the list `runs`."""
    return tuple(getattr(options, "product_fields", ()))


def texts(value: Any, keys: Sequence[str] = ()) -> dict[KeyPath, str]:
    """The texts of an option that is a text or a list of texts, by their place in it.

    keys  where the option is a section or a list of sections: the keys that lead to the texts
    """
    if isinstance(value, list | tuple):
        return {
            (number, *place): text for number, item in enumerate(value) for place, text in texts(item, keys).items()
        }
    if keys:
        inner = value.get(keys[0]) if isinstance(value, Mapping) else getattr(value, keys[0], None)
        return {(keys[0], *place): text for place, text in texts(inner, keys[1:]).items()}
    return {(): value} if isinstance(value, str) else {}


@dataclass
class Products:
    """What the section declares.

    sound        products without a fault, in the order of the file
    sections     the key of the section that each product comes from, faulty products included
    inputs       the products that each product names, by the place of the name in its section
    collections  the collection that each product names
    """

    sound: dict[str, ProductSpec] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[KeyPath, str]] = field(default_factory=dict)
    collections: dict[str, str] = field(default_factory=dict)


def read_products(
    value: Any, collections: Any, grids: Any, jobs: Mapping[str, type[Strict]], report: Report
) -> Products:
    """Read the section `products`; all faults go to `report`.

    collections, grids  the sections of these names as they stand in the file
    """
    for job, model in jobs.items():
        if taken := set(keys_of(model)) & set(keys_of(ProductSection)):
            raise ValueError(f"options of the job {job} have names that every product uses: {sorted(taken)}")
    products = Products()
    if not isinstance(value, dict) or not value:
        what = f"expected products by name, found {describe(value)}"
        report.add(("products",), "spec-value", what, fix="declare at least one product")
        return products
    unsettled = []
    for section_name, section in value.items():
        path: KeyPath = ("products", section_name)
        if not isinstance(section, dict):
            report.add(path, "spec-value", f"expected a section of keys, found {describe(section)}")
            products.sections.setdefault(section_name, section_name)
            continue
        options = _options(section, jobs, path, report)
        faults = len(report)
        named = {"collection", *(each.partition(".")[0] for each in product_fields(options))}
        expansions = expand(section_name, section, named, report)
        if len(report) > faults:
            unsettled.append(section_name)
        meant = _unknown_keys(section, options, path, report)
        for expansion in expansions:
            placed, excused = with_grid(expansion, options, grids, path, report)
            _read_product(placed, section_name, options, meant | excused, products, report)
    if isinstance(collections, dict) and collections:
        _check_collections(products, collections, report)
    _check_inputs(products, unsettled, report)
    return products


def _options(
    section: dict[str, Any], jobs: Mapping[str, type[Strict]], path: KeyPath, report: Report
) -> type[Strict] | None:
    """The options model of the section's job, None where there is none."""
    key = "job" if "job" in section else next((key for key in section if nearest(key, ["job"])), "job")
    job = section.get(key)
    if not isinstance(job, str):
        return None
    if job not in jobs:
        report.add((*path, key), "spec-unknown-job", f"there is no job {job!r}", fix=suggestion(job, jobs, "jobs"))
    return jobs.get(job)


def _unknown_keys(
    section: dict[str, Any], options: type[Strict] | None, path: KeyPath, report: Report
) -> set[str | None]:
    """Report keys that neither products nor the job know; the keys that were meant."""
    if options is None:
        return set()
    known = [*keys_of(ProductSection), *keys_of(options)]
    return {unknown_key(key, known, path, report) for key in section if key not in known}


def _read_product(
    expansion: Expansion,
    section_name: str,
    options: type[Strict] | None,
    meant: Collection[str | None],
    products: Products,
    report: Report,
) -> None:
    path: KeyPath = ("products", section_name)
    name, section = expansion.name, expansion.section
    problem = name_problem(name)
    if problem and not placeholders(name):
        report.add(path, problem.code, problem.what, fix=problem.fix)
    if name in products.sections:
        what = f"the section {products.sections[name]!r} makes a product {name!r} too"
        report.add(path, "spec-name-clash", what, danger="one would replace the other", fix="rename one of them")
        return
    products.sections[name] = section_name
    common = {key: item for key, item in section.items() if key in keys_of(ProductSection)}
    keys = validate(ProductSection, common, path, report, meant)
    if keys:
        products.collections[name] = keys.collection
    if options is None:
        return
    known = keys_of(options)
    own = validate(options, {key: item for key, item in section.items() if key in known}, path, report, meant)
    # A section that is not sound still has its names checked, so that all faults are told at once.
    given = own or section
    if FILES in options.model_fields:
        for (_, *place), text in texts(given, [FILES]).items():
            if fault := pattern_problem(text):
                report.add((*path, FILES, *place), "spec-glob", fault)
    fields = product_fields(options)
    inputs = {place: text for each in fields for place, text in texts(given, each.split(".")).items()}
    products.inputs[name] = inputs
    if keys and own and not problem:
        products.sound[name] = ProductSpec(
            **{**dict(keys), "each": dict(expansion.values)},
            name=name,
            options=own,
            inputs=tuple(dict.fromkeys(inputs.values())),
        )


def _check_collections(products: Products, collections: Mapping[str, Any], report: Report) -> None:
    for name, collection in products.collections.items():
        if collection not in collections:
            what = f"the section `collections` declares no {collection!r}"
            fix = suggestion(collection, collections, "collections")
            report.add(("products", products.sections[name], "collection"), "spec-unknown-collection", what, fix=fix)


def _check_inputs(products: Products, unsettled: Collection[str], report: Report) -> None:
    """Every input must be declared, and no product may be made from itself by any detour."""
    # What a faulty `each` section would have made is not known: its names are taken as declared.
    patterns = [re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(name))) for name in unsettled]
    for name, inputs in products.inputs.items():
        for place, source in inputs.items():
            declared = source in products.sections or any(pattern.fullmatch(source) for pattern in patterns)
            if not declared and not placeholders(source):
                fix = suggestion(source, products.sections, "products")
                where = ("products", products.sections[name], *place)
                report.add(where, "spec-missing-input", f"no product is named {source!r}", fix=fix)
    edges = {
        name: [source for source in products.inputs.get(name, {}).values() if source in products.sections]
        for name in products.sections
    }
    for first, *rest in graph.cycles(edges):
        place = next(place for place, source in products.inputs[first].items() if source == rest[0])
        chain = ", which is made from ".join(repr(name) for name in rest)
        what = f"{first!r} is made from {'itself' if rest == [first] else chain}"
        report.add(
            ("products", products.sections[first], *place), "spec-cycle", what, fix="break the circle at one of these"
        )
