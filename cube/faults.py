"""Pydantic's errors in the words of who wrote the values: what was found, what was expected, the near miss."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cube.errors import CubeError, Problem
from cube.wording import KeyPath, describe, nearest, suggestion

MISSING_KEY = "spec-missing-key"

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


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the values of a model.

    path     of the value, or of the section that lacks a key
    problem  without its `where`
    lacks    keys of which one is missing in that section
    """

    path: KeyPath
    problem: Problem
    lacks: tuple[str, ...] = ()


def checked[M: BaseModel](
    model: type[M], value: Mapping[str, Any], excused: Collection[str | None] = ()
) -> tuple[M | None, list[Fault]]:
    """The model made from the values, or None with every fault of theirs.

    excused  keys whose absence is no news, because a misspelt one was reported in their place

    A validator of the model raises ValueError with a sentence, or with one or more `Problem`s to give code, danger and
    fix too. Their `where` is the dotted key below the section that is validated, or empty; of a missing key (code
    MISSING_KEY) it is the keys of which one is needed, such as "threshold or percentile".
    """
    try:
        return model.model_validate(value), []
    except CubeError as error:
        return None, [_of_problem(problem, (), model) for problem in error.problems]
    except ValidationError as error:
        found = [_Detail.of(details, value) for details in error.errors(include_url=False)]
        return None, _told(_settle_unions(found), model, {(key,) for key in excused if key})


def unknown_key(key: str, known: Collection[str]) -> tuple[Problem, str | None]:
    """The problem of a key that is not known, and the known key that was probably meant."""
    what = f"the key {key!r} is not known here"
    return Problem("spec-unknown-key", what, fix=suggestion(key, known, "keys known here")), nearest(key, known)


def _missing_key(details: ErrorDetails) -> bool:
    # A list that is too short misses a position.
    return details["type"] == "missing" and isinstance(details["loc"][-1], str)


@dataclass(frozen=True)
class _Detail:
    """One error of pydantic's. `path` holds only what is in the file; `fork` is the path of the union it comes from,
    `member` pydantic's name for the alternative: the value of `kind` where that tells them apart."""

    path: KeyPath
    fork: KeyPath | None
    details: ErrorDetails
    member: str = ""

    @classmethod
    def of(cls, details: ErrorDetails, value: Any) -> _Detail:
        path: list[str | int] = []
        fork: KeyPath | None = None
        member = ""
        for position, part in enumerate(details["loc"]):
            last_missing = _missing_key(details) and position == len(details["loc"]) - 1
            if last_missing or (isinstance(value, dict) and part in value):
                value = None if last_missing else value[part]
                path.append(part)
            elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
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
        if self.path != self.fork:
            return False
        # Choices are texts or numbers: who gave a section or a list meant none of them.
        of_choices = self.details["type"] == "literal_error" and isinstance(self.details["input"], dict | list | tuple)
        return of_choices or self.details["type"].endswith("_type")

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


def _settle_unions(faults: list[_Detail]) -> list[list[_Detail]]:
    """Groups of faults that are one problem: of a union, the members whose kind the value has, else all as one."""
    groups: list[list[_Detail]] = []
    for fork in dict.fromkeys(fault.fork for fault in faults):
        members = [fault for fault in faults if fault.fork == fork]
        if fork is None:
            groups += [[fault] for fault in members]
        elif right := [fault for fault in members if not fault.wrong_kind]:
            groups += [[fault] for fault in right]
        else:
            groups.append(members)
    return groups


def _told(groups: list[list[_Detail]], model: type[BaseModel], excused: set[KeyPath]) -> list[Fault]:
    found: list[Fault] = []
    for detail, *_ in groups:
        if detail.details["type"] == "extra_forbidden":
            section = detail.path[:-1]
            known = [name for each in _models(model, section, detail.member) for name in each.model_fields]
            problem, meant = unknown_key(str(detail.path[-1]), known)
            found.append(Fault(detail.path, problem))
            excused |= {(*section, meant)} if meant else set()
    for group in groups:
        detail = group[0]
        if not _missing_key(detail.details):
            if detail.details["type"] not in {"extra_forbidden", "default_factory_not_called"}:
                found += _of_value(group, model)
        else:
            key, section = str(detail.path[-1]), detail.path[:-1]
            fix = f"add `{key}:`{_meaning(model, detail.path, detail.member)}"
            found.append(Fault(section, Problem(MISSING_KEY, f"the key {key!r} is missing", fix=fix), (key,)))
    return [each for each in found if not any((*each.path, key) in excused for key in each.lacks)]


def _of_value(group: list[_Detail], model: type[BaseModel]) -> list[Fault]:
    detail = group[0]
    found = detail.details["input"]
    error = detail.details.get("ctx", {}).get("error")
    if detail.details["type"] in {"value_error", "assertion_error"}:
        problems = [each for each in getattr(error, "args", ()) if isinstance(each, Problem)]
        if problems:
            return [_of_problem(each, detail.path, model, detail.member) for each in problems]
        return [Fault(detail.path, Problem("spec-value", str(error)))]
    expected = " or ".join(dict.fromkeys(each.expected for each in group if each.expected))
    what = (
        f"expected {expected}, found {describe(found)}" if expected else f"{detail.details['msg']}: {describe(found)}"
    )
    if detail.details["type"] == "string_pattern_mismatch":
        what = f"{describe(found)} has not the form that is needed here"
    return [Fault(detail.path, Problem("spec-value", what, fix=_fix(expected, found, _examples(model, detail.path))))]


def _of_problem(problem: Problem, path: KeyPath, model: type[BaseModel], member: str = "") -> Fault:
    """A problem that a validator of the value at `path` raised, at the key that it names."""
    bare = replace(problem, where="")
    if problem.code == MISSING_KEY:
        return Fault(path, bare, tuple(problem.where.split(" or ")) if problem.where else ())
    keys = tuple(problem.where.split("."))
    if any(keys[0] in each.model_fields for each in _models(model, path, member)):
        return Fault((*path, *keys), bare)
    # What a validator of one key says of it needs no place.
    return Fault(path, bare if path or not problem.where else replace(bare, what=f"{problem.where}: {problem.what}"))


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
