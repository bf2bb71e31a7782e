"""`each`: one product of every combination of values.

In the name of a product section and in every text inside it, `{gcm}` stands for the values of `gcm` in its `each`.
Where a product or collection is named, the value is put in lower case, as names are: `each: {gcm: [HadGEM2-ES]}` gives
`tas-hadgem2-es` while file patterns keep the spelling of the archive. Only braces around one word are placeholders:
`{a,b}` and `{}` stay what they are, and `{{word}}` is written for a literal `{word}`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batch.report import Report
from cube.wording import KeyPath, describe, suggestion

MAX_PRODUCTS = 10_000

_PLACEHOLDER = re.compile(r"\{\{(?P<literal>[A-Za-z]\w*)\}\}|\{(?P<name>[A-Za-z]\w*)\}")


@dataclass(frozen=True)
class Expansion:
    """One product of a section: its name, the values that made it, and the section with them put in."""

    name: str
    values: Mapping[str, str]
    section: dict[str, Any]


def placeholders(text: str) -> list[str]:
    """The words that stand in single braces."""
    return [match["name"] for match in _PLACEHOLDER.finditer(text) if match["name"]]


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced; unknown ones stay."""

    def value(match: re.Match[str]) -> str:
        return f"{{{match['literal']}}}" if match["literal"] else values.get(match["name"], match[0])

    return _PLACEHOLDER.sub(value, text)


def expand(template: str, section: dict[str, Any], name_keys: Collection[str], report: Report) -> list[Expansion]:
    """The products of the section `products.<template>`, in the order of the values, the last key changing fastest.

    name_keys  keys of the section whose texts name products or collections

    Faults go to `report`; what can be expanded in spite of them is returned all the same, with distinct names.
    """
    path: KeyPath = ("products", template)
    content = {key: value for key, value in section.items() if key != "each"}
    each = _values(section["each"], (*path, "each"), report) if "each" in section else {}
    _check_placeholders(template, content, each, path, report, declared="each" in section)
    if math.prod(map(len, each.values())) > MAX_PRODUCTS:
        report.add((*path, "each"), "spec-each", f"more than {MAX_PRODUCTS} combinations", fix="give fewer values")
        each = {key: values[:1] for key, values in each.items()}
    found: dict[str, Expansion] = {}
    for combination in itertools.product(*each.values()):
        values = dict(zip(each, combination, strict=True))
        names = {key: value.lower() for key, value in values.items()}
        filled = {key: _fill(value, names if key in name_keys else values) for key, value in content.items()}
        name = fill(template, names)
        found.setdefault(name, Expansion(name, values, filled))
    return list(found.values())


def _fill(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    return fill(value, values) if isinstance(value, str) else value


def _values(each: Any, path: KeyPath, report: Report) -> dict[str, list[str]]:
    """The sound part of an `each` section."""
    if not isinstance(each, dict) or not each:
        what = f"expected words with a list of values each, found {describe(each)}"
        report.add(path, "spec-each", what, fix="write it as `each: {scenario: [rcp26, rcp60]}`")
        return {}
    found: dict[str, list[str]] = {}
    for key, values in each.items():
        if not re.fullmatch(r"[A-Za-z]\w*", key):
            fix = "use letters, digits and underscores, beginning with a letter"
            report.add((*path, key), "spec-each", f"{key!r} cannot stand in braces", fix=fix)
        elif not isinstance(values, list) or not values:
            fix = f"write a list: [{values}]" if isinstance(values, str | int) else ""
            what = f"expected a list of values, found {describe(values)}"
            report.add((*path, key), "spec-each", what, fix=fix)
        else:
            found[key] = list(_texts(values, (*path, key), report))
    return {key: values for key, values in found.items() if values}


def _texts(values: list[Any], path: KeyPath, report: Report) -> Iterator[str]:
    seen: set[str] = set()
    for number, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            fix = "put it in quotes, so that it is used just as it is written" if value not in (None, "") else ""
            what = f"expected a text or a whole number, found {describe(value)}"
            report.add((*path, number), "spec-each", what, fix=fix)
        elif str(value).lower() in seen:
            what = f"{value!r} is listed twice"
            report.add((*path, number), "spec-each", what, danger="two products would have one name", fix="remove one")
        else:
            seen.add(str(value).lower())
            yield str(value)


def _check_placeholders(
    template: str, content: dict[str, Any], each: Mapping[str, list[str]], path: KeyPath, report: Report, declared: bool
) -> None:
    uses = [(path, word) for word in placeholders(template)]
    uses += [(place, word) for place, text in _strings(content, path) for word in placeholders(text)]
    for place, word in uses:
        if word not in each:
            what = f"`{{{word}}}` stands for nothing: {'`each` has no such key' if declared else 'there is no `each`'}"
            fix = suggestion(word, each, "keys of `each`") if each else f"add `each: {{{word}: [...]}}` to the section"
            report.add(place, "spec-each", what, fix=f"{fix}; for literal braces write {{{{{word}}}}}")
    used = {word for _, word in uses}
    for word, values in each.items():
        where = (*path, "each", word)
        if word not in used:
            fix = f"use `{{{word}}}` in the name of the section, or remove it"
            report.add(where, "spec-each", f"`{{{word}}}` is used nowhere in the section", fix=fix)
        elif len(values) > 1 and word not in placeholders(template):
            what = f"the {len(values)} values of {word!r} give products of one name"
            report.add(where, "spec-name-clash", what, fix=f"put `{{{word}}}` into the name of the section")


def _strings(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, (*path, number))
    elif isinstance(value, str):
        yield path, value
