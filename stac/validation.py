"""STAC objects against their JSON schemas, without any network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyproj.datadir
from jsonschema import Draft7Validator, ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import validator_for  # type: ignore[import-untyped]
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable

from cube.errors import Problem

_CORE = {
    "Feature": "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json",
    "Collection": "https://schemas.stacspec.org/v1.1.0/collection-spec/json-schema/collection.json",
    "Catalog": "https://schemas.stacspec.org/v1.1.0/catalog-spec/json-schema/catalog.json",
}


def validate(stac_object: Mapping[str, Any], schemas: Path | None) -> list[Problem]:
    """All that is wrong with an Item, Collection or Catalog by the core and the extension schemas.

    schemas  folder of extension schemas, each found by its own `$id`; core schemas come with pystac

    A schema that is neither there nor bundled is never fetched: it is reported as `stac-not-checked`.
    """
    name = str(stac_object.get("id", "object without id"))
    try:
        value = json.loads(json.dumps(stac_object, allow_nan=False))
    except (TypeError, ValueError) as error:
        return [
            Problem(
                "stac-not-json",
                f"not legal JSON: {error}",
                name,
                "strict parsers, browsers among them, cannot read it",
                "give missing numbers as null",
            )
        ]
    core = _CORE.get(str(value.get("type")))
    if core is None:
        what = f"type is {value.get('type')!r}, not one of {', '.join(_CORE)}"
        return [Problem("stac-invalid", what, name, "no STAC client can read it")]
    known = _schemas(schemas)
    uris = (core, *value.get("stac_extensions", []))
    return list(dict.fromkeys(problem for uri in uris for problem in _check(value, uri, known, name)))


def _schemas(folder: Path | None) -> dict[str, Any]:
    known: dict[str, Any] = dict(JsonSchemaSTACValidator().schema_cache)
    paths = sorted(folder.glob("*.json")) if folder else []
    # The datacube schema refers to PROJJSON's, which comes with PROJ.
    projjson = Path(pyproj.datadir.get_data_dir()) / "projjson.schema.json"
    for path in (*paths, *([projjson] if projjson.exists() else [])):
        schema = json.loads(path.read_text(encoding="utf-8"))
        known[schema["$id"].rstrip("#")] = schema
    # Summaries may be JSON schemas themselves.
    known["http://json-schema.org/draft-07/schema"] = Draft7Validator.META_SCHEMA
    return known


def _refuse(uri: str) -> Resource[Any]:
    raise LookupError(uri)


def _check(value: Mapping[str, Any], uri: str, known: Mapping[str, Any], name: str) -> Iterator[Problem]:
    schema = known.get(uri)
    if schema is None:
        yield _not_checked(uri, name)
        return
    registry: Registry[Any] = Registry(retrieve=_refuse)  # type: ignore[call-arg]
    registry = registry.with_resources((each, Resource.from_contents(contents)) for each, contents in known.items())
    try:
        for error in validator_for(schema)(schema, registry=registry).iter_errors(value):
            yield from (_invalid(each, uri, name) for each in _telling(error))
    except Unresolvable as error:
        yield _not_checked(error.ref, name)


def _telling(error: ValidationError) -> Iterator[ValidationError]:
    """The errors behind a failed anyOf or oneOf: those of the alternative that was most likely meant.

    That is one whose `type` fits, so that an Item is not told that it is no Collection, and with the fewest errors.
    """
    branches: dict[Any, list[ValidationError]] = {}
    for each in error.context:
        branches.setdefault(each.schema_path[0], []).append(each)
    if not branches:
        yield error
        return

    def likelihood(errors: list[ValidationError]) -> tuple[bool, int]:
        return any(each.path and each.path[-1] == "type" for each in errors), len(errors)

    for each in min(branches.values(), key=likelihood):
        yield from _telling(each)


def _invalid(error: ValidationError, uri: str, name: str) -> Problem:
    message = error.message if len(error.message) <= 300 else f"{error.message[:300]}..."
    return Problem(
        "stac-invalid",
        f"{message} (schema {uri})",
        "/".join([name, *map(str, error.absolute_path)]),
        "clients that rely on the schema may not read it",
        "correct the product's description in the specification; if it is right, report this as a defect",
    )


def _not_checked(uri: str, name: str) -> Problem:
    return Problem(
        "stac-not-checked",
        f"the schema {uri} is not at hand and was not fetched",
        name,
        "this part of the object is unproven",
        "put a copy of the schema into the folder of schemas",
    )
