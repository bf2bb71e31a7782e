"""Which variables become the product's, what they are called in each kind of file, and how their units convert."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cube import units
from ingest.conventions import implied, tidy_units, unit_of
from ingest.declaration import Source, Variable
from ingest.facts import Structure
from ingest.findings import Findings, counted, listed
from ingest.roles import VariableFacts


@dataclass(frozen=True)
class Chosen:
    """A variable of the product.

    native  its name in the files of each structure that has it;  units  published, None where nothing is known
    """

    rule: Variable
    native: Mapping[str, str]
    units: str | None


@dataclass(frozen=True)
class Conversion:
    """Published = raw * factor + offset; where `summed`, divided by the seconds of the step besides."""

    factor: float = 1.0
    offset: float = 0.0
    summed: bool = False


def choose(
    source: Source, wanted: Sequence[str] | None, structures: Mapping[str, Structure], findings: Findings
) -> list[Chosen]:
    """The variables of a product, by published name.

    structures  of all files, by hash, in order of the first file of each
    wanted      published or archive names; None takes what the source takes by itself
    """
    candidates = _declared(source, structures)
    taken = {name for each in source.variables for name in each.archive}
    if source.others != "refuse":
        asked = None if source.others == "take" else wanted or ()
        candidates |= _others(structures, taken, asked, source.sentinels)
    if wanted is not None:
        chosen: dict[str, Chosen] = {}
        for name in wanted:
            found = [key for key, each in candidates.items() if name == key or name in each.rule.archive]
            if not found:
                findings.problem("variable-unknown", *_unknown(name, candidates, structures))
            chosen |= {key: candidates[key] for key in found}
        candidates = chosen
    elif not candidates:
        findings.problem("no-variables", *_nothing(source, structures))
    return [candidates[name] for name in sorted(candidates)]


def _declared(source: Source, structures: Mapping[str, Structure]) -> dict[str, Chosen]:
    found = {}
    for rule in source.variables:
        native = {}
        for hashed, structure in structures.items():
            present = [name for name in rule.archive if name in structure.variables and structure.variables[name].dtype]
            if present:
                native[hashed] = present[0]
        if native:
            first, name = next(iter(native.items()))
            stated = tidy_units(unit_of(rule, structures[first].variables[name])) or None
            found[rule.name] = Chosen(rule, native, rule.units or stated)
    return found


def _others(
    structures: Mapping[str, Structure], taken: set[str], asked: Sequence[str] | None, sentinels: tuple[float, ...]
) -> dict[str, Chosen]:
    native: dict[str, dict[str, str]] = {}
    rules: dict[str, tuple[Variable, VariableFacts]] = {}
    for hashed, structure in structures.items():
        for name in structure.roles.data:
            if name in taken:
                continue
            facts = structure.variables[name]
            rule, _ = rules.setdefault(name, (replace(implied(name, facts), sentinels=sentinels), facts))
            if asked is None or name in asked or rule.name in asked:
                native.setdefault(name, {})[hashed] = name
    return {
        rules[name][0].name: Chosen(
            rules[name][0], where, rules[name][0].units or tidy_units(rules[name][1].text("units")) or None
        )
        for name, where in native.items()
    }


def _unknown(name: str, candidates: Mapping[str, Chosen], structures: Mapping[str, Structure]) -> tuple[str, ...]:
    reasons = {reason for each in structures.values() for held, reason in each.roles.ignored.items() if held == name}
    what = f"there is no variable {name}" if not reasons else f"{name} cannot be published: {listed(sorted(reasons))}"
    return what, "variables", "", f"choose from {listed(sorted(candidates)) or 'nothing: the files hold none'}"


def _nothing(source: Source, structures: Mapping[str, Structure]) -> tuple[str, ...]:
    held = sorted({name for each in structures.values() for name in each.roles.data})
    groups = sorted({name for each in structures.values() for name in each.groups})
    what = f"the files hold no variable of the source {source.name}"
    if held:
        what += f"; they hold {listed(held)}"
    if groups:
        what += f"; there are variables in the groups {listed(groups)}"
    return what, "files", "", "correct `source` or `files`"


def convert(
    chosen: Sequence[Chosen],
    structures: Mapping[str, Structure],
    names: Mapping[str, Sequence[str]],
    findings: Findings,
) -> dict[tuple[str, str], Conversion]:
    """How raw numbers convert, by (published name, structure); a problem for units that cannot.

    names  of the files of each structure
    """
    found: dict[tuple[str, str], Conversion] = {}
    for each in chosen:
        known: dict[str, Conversion | None] = {}
        failed: dict[str, list[str]] = {}
        for hashed, native in each.native.items():
            stated = unit_of(each.rule, structures[hashed].variables[native])
            if stated not in known:
                known[stated] = _conversion(each, stated)
            conversion = known[stated]
            if conversion is None:
                failed.setdefault(stated, []).extend(names[hashed])
            else:
                found[each.rule.name, hashed] = conversion
        for stated, files in failed.items():
            findings.problem(
                "unit-convert" if stated else "unit-missing",
                f"{each.rule.name} is in {stated!r}, which cannot be converted to {each.units}"
                if stated
                else f"{each.rule.name} has no unit; {each.units} is expected",
                listed(files) if len(files) < 3 else f"{counted(len(files), 'file')}: {listed(files)}",
                "numbers in the wrong unit are plausible but wrong",
                "correct the unit in the files, or leave the variable out with `variables`",
            )
    return found


def _conversion(chosen: Chosen, stated: str) -> Conversion | None:
    """From the unit that a file states to the published one; None where there is no way."""
    if chosen.rule.kind == "flag" or chosen.units is None or tidy_units(stated) == chosen.units:
        return Conversion()
    if not stated or _is_mixing(stated, chosen.units):
        return None
    try:
        return Conversion(*units.conversion(stated, chosen.units))
    except ValueError:
        if chosen.rule.kind != "accumulation":
            return None
    try:
        return Conversion(units.conversion(stated, f"{chosen.units} s")[0], 0.0, summed=True)
    except ValueError:
        return None


def _is_mixing(stated: str, wanted: str) -> bool:
    """Whether one is a percentage and the other a ratio of things: percent of saturation is not m3 m-3."""
    tidy = tidy_units(stated), tidy_units(wanted)
    return "%" in tidy and any(re.search("[A-Za-z]", each) for each in tidy)
