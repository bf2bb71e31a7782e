"""Pydantic's errors in the words of the file: the line, what was found, what was expected, the near miss."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from batch.report import Report, describe, nearest, suggestion
from batch.yaml_lines import KeyPath
from cube.errors import CubeError, Problem

# Beginnings of pydantic's error types, and what the file should have held.
_EXPECTED = {
    "string_type": "a text",
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a finite number",
    "bool_": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "a section of keys",
    "model_": "a section of keys",
    "mapping_type": "a section of keys",
    "union_tag_not_found": "a section with a `kind`",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "a number of at least {}"),
    "greater_than": ("gt", "a number above {}"),
    "less_than_equal": ("le", "a number of at most {}"),
    "less_than": ("lt", "a number below {}"),
}


def validate[M: BaseModel](
    model: type[M], value: Mapping[str, Any], path: KeyPath, report: Report, excused: Collection[str | None] = ()
) -> M | None:
    """The model from the values under `path`, or None with every fault of theirs in `report`.

    excused  keys whose absence is no news, because a misspelt one was reported in their place

    A validator of the model raises ValueError with a sentence, or with a `Problem` to give code, danger and fix too.
    """
    try:
        return model.model_validate(value)
    except CubeError as error:
        for problem in error.problems:
            what = f"{problem.where}: {problem.what}" if problem.where else problem.what
            report.add(path, problem.code, what, danger=problem.danger, fix=problem.fix)
    except ValidationError as error:
        faults = [_Fault.of(details, value) for details in error.errors(include_url=False)]
        _report(_settle_unions(faults), model, path, report, {(key,) for key in excused})
    return None


def unknown_key(key: str, known: Collection[str], path: KeyPath, report: Report) -> str | None:
    """Report a key that is not known in the section at `path`; the known key that was probably meant."""
    what = f"the key {key!r} is not known here"
    report.add((*path, key), "spec-unknown-key", what, fix=suggestion(key, known, "keys known here"))
    return nearest(key, known)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a section."""
    return list(model.model_fields)


def _missing_key(details: ErrorDetails) -> bool:
    # A list that is too short misses a position.
    return details["type"] == "missing" and isinstance(details["loc"][-1], str)


@dataclass(frozen=True)
class _Fault:
    """One error of pydantic's. `path` holds only what is in the file; `fork` is the path of the union it comes from,
    `member` pydantic's name for the alternative: the value of `kind` where that tells them apart."""

    path: KeyPath
    fork: KeyPath | None
    details: ErrorDetails
    member: str = ""

    @classmethod
    def of(cls, details: ErrorDetails, value: Any) -> _Fault:
        path: list[str | int] = []
        fork: KeyPath | None = None
        member = ""
        for position, part in enumerate(details["loc"]):
            last_missing = _missing_key(details) and position == len(details["loc"]) - 1
            if last_missing or (isinstance(value, dict) and part in value):
                value = None if last_missing else value[part]
                path.append(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
                path.append(part)
            elif fork is None:
                # Pydantic names the member of a union, which is no key of the file.
                fork, member = tuple(path), str(part)
        if details["type"] == "union_tag_invalid":
            # Said of the section as a whole; what is wrong is its `kind`.
            context = details["ctx"]
            path.append(str(context["discriminator"]).strip("'"))
            expected = " or ".join(context["expected_tags"].rsplit(", ", 1))
            replaced = {"type": "literal_error", "input": context["tag"], "ctx": {"expected": expected}}
            details = cast("ErrorDetails", {**details, **replaced})
        return cls(tuple(path), fork, details, member)

    @property
    def wrong_kind(self) -> bool:
        """Whether the value was not even of the right kind (text, list, section)."""
        return self.path == self.fork and self.details["type"].endswith("_type")

    @property
    def expected(self) -> str:
        kind, context = self.details["type"], self.details.get("ctx", {})
        if kind in _BOUNDS:
            name, text = _BOUNDS[kind]
            return text.format(context[name])
        if kind in {"literal_error", "enum"}:
            return str(context["expected"])
        if kind in {"too_long", "too_short"}:
            bound = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
            return f"a list of {bound}"
        if kind == "missing":
            return f"a list of at least {int(self.details['loc'][-1]) + 1}"
        if kind == "string_too_short":
            return "a text that is not empty"
        for start, text in _EXPECTED.items():
            if kind.startswith(start):
                return text
        return ""


def _settle_unions(faults: list[_Fault]) -> list[list[_Fault]]:
    """Groups of faults that are one problem: of a union, the members whose kind the value has, else all as one."""
    groups: list[list[_Fault]] = []
    for fork in dict.fromkeys(fault.fork for fault in faults):
        members = [fault for fault in faults if fault.fork == fork]
        if fork is None:
            groups += [[fault] for fault in members]
        elif right := [fault for fault in members if not fault.wrong_kind]:
            groups += [[fault] for fault in right]
        else:
            groups.append(members)
    return groups


def _report(
    groups: list[list[_Fault]], model: type[BaseModel], path: KeyPath, report: Report, excused: set[tuple[Any, ...]]
) -> None:
    for fault, *_ in groups:
        if fault.details["type"] == "extra_forbidden":
            section = fault.path[:-1]
            known = [name for each in _models(model, section, fault.member) for name in keys_of(each)]
            excused.add((*section, unknown_key(str(fault.path[-1]), known, (*path, *section), report)))
    for group in groups:
        fault = group[0]
        if not _missing_key(fault.details):
            if fault.details["type"] not in {"extra_forbidden", "default_factory_not_called"}:
                _report_value(group, model, path, report)
        elif fault.path not in excused:
            key, section = str(fault.path[-1]), fault.path[:-1]
            fix = f"add `{key}:`{_meaning(model, fault.path, fault.member)}"
            report.add((*path, *section), "spec-missing-key", f"the key {key!r} is missing", fix=fix)


def _report_value(group: list[_Fault], model: type[BaseModel], path: KeyPath, report: Report) -> None:
    fault = group[0]
    where, found = (*path, *fault.path), fault.details["input"]
    error = fault.details.get("ctx", {}).get("error")
    if fault.details["type"] in {"value_error", "assertion_error"}:
        problem = error.args[0] if error is not None and error.args and isinstance(error.args[0], Problem) else None
        if problem:
            report.add(where, problem.code, problem.what, danger=problem.danger, fix=problem.fix)
        else:
            report.add(where, "spec-value", str(error))
        return
    expected = " or ".join(dict.fromkeys(each.expected for each in group if each.expected))
    what = f"expected {expected}, found {describe(found)}" if expected else f"{fault.details['msg']}: {describe(found)}"
    if fault.details["type"] == "string_pattern_mismatch":
        what = f"{describe(found)} has not the form that is needed here"
    report.add(where, "spec-value", what, fix=_fix(expected, found, _examples(model, fault.path)))


def _fix(expected: str, found: Any, examples: str) -> str:
    """What to write instead, where the value shows what was meant, else an example."""
    choices = re.findall(r"'([^']*)'", expected)
    if choices and isinstance(found, str):
        return suggestion(found, choices, "known here")
    if expected.startswith("a text") and isinstance(found, dict) and list(found.values()) == [None]:
        return f'a text that begins with {{ must be in quotes: "{{{next(iter(found))}}}"'
    if examples:
        return f"write, for example, {examples}"
    if expected.startswith("a text") and isinstance(found, int | float):
        return f'put it in quotes: "{describe(found)}"'
    if expected == "a list" and isinstance(found, str | int | float):
        return f"write a list: [{found}]"
    return ""


def _models(model: type[BaseModel], path: KeyPath, member: str = "") -> list[type[BaseModel]]:
    """The models that the section at `path` of a model may be; member: the `kind` that the section gives."""
    kinds = _members(model)
    for part in path:
        kinds = [member for kind in kinds for below in _below(kind, part) for member in _members(below)]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    tagged = [each for each in models if "kind" in each.model_fields and member in _choices(each)]
    return tagged or models


def _choices(model: type[BaseModel]) -> tuple[Any, ...]:
    """What the `kind` of a model may be."""
    return get_args(model.model_fields["kind"].annotation)


def _members(kind: Any) -> list[Any]:
    """The alternatives of a union, or the type alone."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return [member for each in get_args(kind) for member in _members(each)]
    return [kind]


def _below(kind: Any, part: str | int) -> list[Any]:
    """The types that a value of type `kind` may hold at a key or position."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind.model_fields[str(part)].annotation] if part in kind.model_fields else []
    arguments = get_args(kind)
    return list(arguments[1:]) if get_origin(kind) is dict else list(arguments)


def _field(model: type[BaseModel], path: KeyPath, member: str = "") -> Any:
    fields = [each.model_fields for each in _models(model, path[:-1], member)] if path else []
    return next((names[str(path[-1])] for names in fields if str(path[-1]) in names), None)


def _meaning(model: type[BaseModel], path: KeyPath, member: str) -> str:
    field = _field(model, path, member)
    return f" {field.description}" if field is not None and field.description else ""


def _examples(model: type[BaseModel], path: KeyPath) -> str:
    field = _field(model, path)
    return ", ".join(str(each) for each in field.examples) if field is not None and field.examples else ""
