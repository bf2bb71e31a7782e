"""A JSON Schema of cube.yaml for editors, generated from the models that read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from batch.sections import CubeKeys, ProductSection
from cube.options import Strict

TITLE = "Specification of a climate-impact cube"


class _Schema(GenerateJsonSchema):
    """What the file may hold, as against what the models make of it."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        # The type behind a validator that does not tell what it takes is not what the file holds. Sections are: their
        # validators only look.
        inner: Any = schema
        while inner["type"].startswith("function-"):
            inner = inner["schema"]
        told = "json_schema_input_schema" in schema or inner["type"] in {"model", "model-fields", "definition-ref"}
        return super().function_before_schema(schema) if told else {}


def json_schema(jobs: Mapping[str, type[Strict]]) -> dict[str, Any]:
    """The schema (draft 2020-12) of a specification whose products are made by these jobs, options models by name."""
    models: list[type[BaseModel]] = [CubeKeys, ProductSection, *jobs.values()]
    names, schemas = models_json_schema([(model, "validation") for model in models], schema_generator=_Schema)
    definitions = dict(sorted(schemas["$defs"].items()))
    for definition in definitions.values():
        definition.pop("title", None)
    parts = {model: definitions.pop(names[model, "validation"]["$ref"].rpartition("/")[2]) for model in models}
    for job, options in sorted(jobs.items()):
        definitions[f"job-{job}"] = _section(job, parts[ProductSection], parts[options])
    definitions["product"] = {
        "type": "object",
        "properties": {"job": {"enum": sorted(jobs)}},
        "required": ["job"],
        "allOf": [_where(job) for job in sorted(jobs)],
    }
    cube = parts[CubeKeys]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **cube["properties"],
            "products": {
                "type": "object",
                "description": "what the cube holds, by name",
                "propertyNames": {"pattern": "^[A-Za-z0-9_{}-]+$"},
                "additionalProperties": {"$ref": "#/$defs/product"},
                "minProperties": 1,
            },
        },
        "required": [*cube["required"], "products"],
        "$defs": definitions,
    }


def _section(job: str, common: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """All keys of a product of one job in one place, so that editors can tell what is unknown."""
    properties = {**common["properties"], **options["properties"]}
    return {
        "type": "object",
        "description": options.get("description", ""),
        "properties": {**properties, "job": {**properties["job"], "const": job}},
        "required": [*common["required"], *options.get("required", ())],
        "additionalProperties": False,
    }


def _where(job: str) -> dict[str, Any]:
    return {
        "if": {"properties": {"job": {"const": job}}, "required": ["job"]},
        "then": {"$ref": f"#/$defs/job-{job}"},
    }
