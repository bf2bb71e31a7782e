"""A YAML file as plain values, with the line that every one of them is written on.

Scalars follow the core schema of YAML 1.2: only `true` and `false` are booleans (`no` and `off` are text), dates are
text, and a leading zero is not octal. Anchors, aliases and merge keys (`<<`) work; tags do not, so that nothing in a
file can name a Python object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from batch.credentials import names_secret
from cube.errors import Problem, SpecError
from cube.wording import KeyPath, dotted

MAX_BYTES = 10 * 2**20
MAX_VALUES = 100_000
"""Aliases of aliases grow without bound; no specification comes near this."""

_TAG = "tag:yaml.org,2002:"


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2 instead of 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


@dataclass(frozen=True)
class Document:
    """A file that was read. Lines count from 1; `problems` are faults, by line, that left the rest readable."""

    file: str
    value: Any
    lines: Mapping[KeyPath, int]
    problems: tuple[tuple[int, Problem], ...] = ()

    def line(self, path: KeyPath) -> int:
        """The line of a key or list item, or of the nearest one above it that is written in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: KeyPath) -> str:
        """Such as "cube.yaml:17 products.tamsat.files[0]"."""
        return f"{self.file}:{self.line(path)} {dotted(path)}".rstrip()


def read_yaml(path: Path) -> Document:
    """Read a YAML file. Repeated keys, tags and keys that are not text are left out and listed in `problems`.

    Raises SpecError for a file that is missing, unreadable, empty or not YAML.
    """
    file = str(path)
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.YAMLError as error:
        raise SpecError(_syntax(file, text, error)) from None
    except RecursionError:
        raise SpecError(Problem("spec-yaml", "values are nested too deeply to be a specification", file)) from None
    if node is None:
        raise SpecError(
            Problem("spec-file", "the file is empty", file, fix="restore it, or start from examples/demo/cube.yaml")
        )
    builder = _Builder(file)
    builder.lines[()] = node.start_mark.line + 1
    value = builder.value(node, (), ())
    return Document(file, value, builder.lines, tuple(builder.problems))


def _text(path: Path) -> str:
    file = str(path)
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            size = path.stat().st_size
            raise SpecError(Problem("spec-file", f"{size} bytes are too many for a specification", file))
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        fix = "give the path of the specification with --spec"
        raise SpecError(Problem("spec-file", "there is no such file", file, fix=fix)) from None
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8 text"
        fix = "save the file as UTF-8, or check that this is the specification and not a data file"
        raise SpecError(Problem("spec-file", what, file, fix=fix)) from None
    except OSError as error:
        raise SpecError(Problem("spec-file", f"the file cannot be read: {error.strerror}", file)) from None


def _syntax(file: str, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        what = "holds characters that text may not hold" if isinstance(error, yaml.reader.ReaderError) else "unreadable"
        return Problem("spec-yaml", f"not YAML: {what}", file, fix="check that this is the specification")
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    detail = str(getattr(error, "problem", None) or "unreadable")
    # PyYAML quotes what it stumbles over, which may be a password.
    secret = names_secret(line.partition(":")[0].strip(" -\"'"))
    what = "not YAML" if secret else f"not YAML: {detail} (column {mark.column + 1})"
    where = f"{file}:{mark.line + 1}"
    if "expected a single document" in str(error):
        return Problem("spec-yaml", "holds more than one YAML document", where, fix="remove the line `---`")
    if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in detail:
        return Problem("spec-yaml", what, where, fix="indent with spaces: YAML allows no tabs")
    if re.search(r"[{\[].*\{\w+\}", line):
        return Problem("spec-yaml", what, where, fix="inside [ ] and { }, put a text that holds braces in quotes")
    if re.match(r"\s*(-\s+)*([\w{}-]+:\s+)?[*&%@`!{\[]", line):
        return Problem("spec-yaml", what, where, fix="put a text that begins with * & % @ ` ! { or [ in quotes")
    if re.search(r":\s.*:(\s|$)", line):
        return Problem("spec-yaml", what, where, fix="put a text that holds a colon and a space in quotes")
    return Problem("spec-yaml", what, where, fix="check quotes, brackets and indentation here and on the line before")


@dataclass
class _Builder:
    """Turns nodes into plain values and notes their lines."""

    file: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    count: int = 0

    def value(self, node: yaml.Node, path: KeyPath, parents: tuple[yaml.Node, ...]) -> Any:
        self._guard(node, path, parents)
        parents = (*parents, node)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            mapping = {}
            for key, (key_node, value_node) in self._pairs(node, path, parents).items():
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                mapping[key] = self.value(value_node, (*path, key), parents)
            return mapping
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            items = []
            for number, item in enumerate(node.value):
                self.lines[(*path, number)] = item.start_mark.line + 1
                items.append(self.value(item, (*path, number), parents))
            return items
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._problem("spec-yaml", path, node, f"the tag {_tag(node)} is not allowed", "remove the tag")
        return None

    def _pairs(
        self, node: yaml.MappingNode, path: KeyPath, parents: tuple[yaml.Node, ...]
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            elif not isinstance(key_node, yaml.ScalarNode):
                self._problem("spec-yaml", path, key_node, "a key must be a text", "put the key in quotes")
            elif key_node.value in own:
                self._repeated((*path, key_node.value), own[key_node.value][0], key_node)
            else:
                own[key_node.value] = (key_node, value_node)
        for source in merged:
            if not isinstance(source, yaml.MappingNode):
                self._problem("spec-yaml", path, source, "`<<` takes a section", "write `<<: *anchor`")
                continue
            self._guard(source, path, parents)
            for key, pair in self._pairs(source, path, (*parents, source)).items():
                own.setdefault(key, pair)
        return own

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        kind, text = node.tag.removeprefix(_TAG), node.value
        try:
            if kind in {"str", "merge"}:
                return text
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind == "int":
                return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            if kind == "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".NaN", "nan"))
        except (ValueError, KeyError):
            self._problem("spec-yaml", path, node, f"the value is no {kind}", "remove the tag, or quote the value")
            return None
        self._problem("spec-yaml", path, node, f"the tag {_tag(node)} is not allowed", "remove the tag")
        return None

    def _guard(self, node: yaml.Node, path: KeyPath, parents: tuple[yaml.Node, ...]) -> None:
        self.count += 1
        where = f"{self.file}:{node.start_mark.line + 1} {dotted(path)}".rstrip()
        if any(node is parent for parent in parents):
            raise SpecError(Problem("spec-yaml", "an anchor contains itself", where, fix="remove the alias"))
        if self.count > MAX_VALUES:
            what = f"the file unfolds to more than {MAX_VALUES} values"
            raise SpecError(Problem("spec-yaml", what, where, fix="remove aliases that contain aliases"))

    def _repeated(self, path: KeyPath, first: yaml.Node, second: yaml.Node) -> None:
        what = f"the key {path[-1]!r} is written twice, first on line {first.start_mark.line + 1}"
        self._problem("spec-duplicate-key", path, second, what, "keep one of them", "one of the two would be ignored")

    def _problem(self, code: str, path: KeyPath, node: yaml.Node, what: str, fix: str, danger: str = "") -> None:
        line = node.start_mark.line + 1
        where = f"{self.file}:{line} {dotted(path)}".rstrip()
        self.problems.append((line, Problem(code, what, where, danger, fix)))


def _tag(node: yaml.Node) -> str:
    return node.tag.replace(_TAG, "!!")
