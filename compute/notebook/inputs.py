"""What the products beside a number say at its cell: the days of inputs, scores, and the emulator's domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from compute.emulate.job import EmulateJob
from compute.evaluation.job import EvaluateJob
from compute.evaluation.structure import IN_UNITS
from compute.notebook.days import Days, days_of, same_cell
from compute.notebook.number import At
from compute.notebook.opened import Opened

SCORES = ("r", "rmse", "bias")
BETA = "beta"
"""The target of an evaluation that is no soil moisture."""


def days(at: At) -> Iterator[str]:
    """Of each daily input: which days the number is of, and how many of them are missing in this cell."""
    spans = days_of(at)
    if not spans:
        return
    for name, fingerprint in at.members[at.opened.name].inputs:
        member = at.members[name]
        time = (member.manifest.get("extent") or {}).get("time")
        if not time or time["step"] != "day" or name not in at.cube or name == _reference_product(at):
            continue
        source = Opened.of(at.cube, name)
        variable = at.opened.manifest["options"].get("variable")
        arrays = [variable] if variable in source.arrays else [n for n, s in source.arrays.items() if "time" in s.dims]
        if len(arrays) != 1 or source.time is None:
            continue
        head = f"{name}, version {fingerprint[:12]}, {arrays[0]}:"
        replaced = f"  what follows is counted in version {str(member.published)[:12]}, which has replaced it"
        texts = [each.text(at.calendar) for each in spans]
        missing = [_missing(at, source, arrays[0], each) for each in spans]
        parts = any(each.part for each in spans)
        yield head if parts else f"{head} {texts[0]}"
        if member.published != fingerprint:
            yield replaced
        if parts:
            yield from (f"  {', '.join(filter(None, each))}" for each in zip(texts, missing, strict=True))
        else:
            yield from (f"  {each}" for each in missing if each)


def _missing(at: At, source: Opened, variable: str, span: Days) -> str:
    """How many of the days an input lacks in the cell; nothing where that cannot be told."""
    assert source.time is not None
    shift = source.time.first
    low, high = max(span.first, shift), min(span.stop, source.time.stop)
    if low >= high:
        return "it has none of these days"
    here = same_cell(source, at.place)
    if here is None:
        return ""
    here |= _only(source, variable, at.opened.manifest["options"])
    series = source.values(variable, {**here, "time": slice(low - shift, high - shift)})
    if series.ndim > 1:
        return ""
    missing = np.count_nonzero(~np.isfinite(series)) + (span.stop - span.first) - (high - low)
    return f"{missing} of them missing in this cell"


def skill(at: At) -> Iterator[str]:
    """Scores at the cell of ancestors that an evaluation of the cube is about."""
    for name in at.cube:
        if at.cube.item(name)["properties"]["cic:job"] != EvaluateJob.name:
            continue
        scores = Opened.of(at.cube, name)
        asked = scores.manifest["options"]
        if asked["simulation"] not in at.members:
            continue
        here = same_cell(scores, at.place)
        if here is None:
            continue
        lines = []
        for place, target in enumerate(scores.labels("target")):
            numbers = {
                score: float(scores.values(score, {**here, "predictor": 0, "target": place})) for score in SCORES
            }
            units = {score: "" if score not in IN_UNITS or target == BETA else " m3 m-3" for score in SCORES}
            told = [f"{score} {number:.3g}{units[score]}" for score, number in numbers.items() if np.isfinite(number)]
            if told:
                lines.append(f"  {target}: {', '.join(told)}")
        if lines:
            yield f"{asked['simulation']} against {asked['reference']} ({name}, version {scores.version})"
            yield from lines


def domain(at: At) -> Iterator[str]:
    """Share of the days on which an emulator was asked what it was not trained for."""
    for name, member in at.members.items():
        if not member.manifest or member.manifest["job"] != EmulateJob.name:
            continue
        source = Opened.of(at.cube, name)
        here = same_cell(source, at.place)
        if here is None or source.time is None or "out_of_domain" not in source.arrays:
            continue
        for span in days_of(at):
            low, high = max(span.first, source.time.first), min(span.stop, source.time.stop)
            if low >= high:
                continue
            part = slice(low - source.time.first, high - source.time.first)
            bits = source.values("out_of_domain", {**here, "time": part})
            known = np.isfinite(bits)
            if known.any():
                outside = np.count_nonzero(bits[known] != 0)
                told = f" ({span.part})" if span.part else ""
                yield f"{name}{told}: {100 * outside / known.sum():.1f} % of {known.sum()} days"


def _reference_product(at: At) -> str | None:
    """The input that only the reference is taken from."""
    asked = at.opened.manifest["options"]
    given = asked.get("reference")
    product = given.get("product") if isinstance(given, Mapping) else None
    return None if product == asked.get("input") else product


def _only(source: Opened, variable: str, asked: Mapping[str, Any]) -> dict[str, int]:
    """Positions along dimensions that have one, or that the product's options choose from."""
    found = {}
    for dim in source.arrays[variable].dims:
        if dim in (*source.space, "time"):
            continue
        labels = source.labels(dim)
        wanted = str(asked.get(dim))
        if len(labels) == 1 or wanted in labels:
            found[dim] = labels.index(wanted) if wanted in labels else 0
    return found
