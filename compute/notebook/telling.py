"""The sections of an explanation, from items, manifests and arrays alone; without lines where nothing is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.notebook.colours import POSITIONS, day_text
from compute.notebook.number import At, date_text
from compute.notebook.opened import reference_arrays
from compute.seasons.reasons import MEANINGS
from compute.seasons.years import year_length

FEW = 12
"""Values that are written out; of more their range is."""
DATE = "_date"


def head(at: At, place: tuple[float, float]) -> Iterator[str]:
    opened = at.opened
    if opened.title != opened.name:
        yield opened.title
    made = f"job {opened.manifest['job']} (revision {opened.manifest['revision']})"
    yield f"version {opened.item['properties']['version']}, {made}"
    yield f"cell at {at.place.lat:g}, {at.place.lon:g}, {at.place.km:.1f} km from {place[0]:g}, {place[1]:g}"
    first, stop = at.bounds
    yield f"period {date_text(first, at.calendar)} to {date_text(stop - 1, at.calendar)}, calendar {at.calendar}"


def values(at: At) -> Iterator[str]:
    """Every array with time, at the cell: numbers with units, seasons with their dates, flags with their meaning."""
    for name, spec in at.opened.arrays.items():
        if "time" not in spec.dims or name.endswith(DATE):
            continue
        for label, here in _each(at, name):
            found = np.atleast_1d(at.opened.values(name, here))
            if "flag_meanings" in spec.attrs:
                yield f"{name}{label}: {'; '.join(_flags(found, spec.attrs))}"
                continue
            told = _numbers(found, spec.attrs)
            if len(found) == 1 and np.isfinite(found[0]):
                dated = f"{name}{DATE}"
                if dated in at.opened.arrays:
                    told += f", {date_text(int(np.atleast_1d(at.opened.values(dated, here))[0]), at.calendar)}"
            yield f"{name}{label}: {told}"


def options(at: At) -> Iterator[str]:
    """What the product was asked for, and what its arrays say of it."""
    for name, value in sorted(at.opened.manifest["options"].items()):
        if value not in (None, [], {}):
            yield f"{name}: {_option(value)}"
    seen: dict[str, None] = {}
    for spec in at.opened.arrays.values():
        seen |= {
            f"{name}: {spec.attrs[name]}": None for name in ("method", "thresholds", "references") if name in spec.attrs
        }
    yield from seen


def reference(at: At) -> Iterator[str]:
    """What is fixed by the reference, at the cell."""
    opened = at.opened
    told: dict[str, None] = {}
    for spec in opened.arrays.values():
        attrs = spec.attrs
        if "reference_product" in attrs:
            product = str(attrs["reference_product"])
            version = f", version {at.members[product].fingerprint[:12]}" if product in at.members else ""
            told[f"{product}{version}, {attrs.get('reference_period', '')}".rstrip(", ")] = None
        if "reference" in attrs:
            told[str(attrs["reference"])] = None
    yield from told
    length = year_length(at.calendar)
    for name in reference_arrays(opened):
        attrs = opened.attrs(name)
        if not told or len(at.dims(name)) > 1:
            continue
        if any(opened.data.sizes[dim] > FEW for dim in at.dims(name)):
            yield f"{name}: {_numbers(opened.values(name, dict(at.cell)), attrs)}"
            continue
        for label, here in _each(at, name):
            found = opened.values(name, here).reshape(-1)
            if "flag_meanings" in attrs:
                yield f"{name}{label}: {'; '.join(_flags(found, attrs))}"
            elif name in POSITIONS and np.isfinite(found[0]):
                yield f"{name}{label}: {_numbers(found, attrs)}, {day_text(found[0], length)}"
            else:
                yield f"{name}{label}: {_numbers(found, attrs)}"


def notes_of(at: At) -> Iterator[str]:
    """Notes of the product and of all that it was made from, each once."""
    seen = set()
    for name, member in at.members.items():
        for note in member.manifest.get("notes") or ():
            if note not in seen:
                seen.add(note)
                yield note if name == at.opened.name else f"{name}: {note}"


def licence(at: At) -> Iterator[str]:
    provenance = at.opened.manifest["provenance"]
    url = f" ({provenance['licence_url']})" if provenance.get("licence_url") else ""
    yield f"{provenance['licence']}{url}; may be redistributed: {provenance['redistribution']}"
    for each in provenance.get("ancestors", ()):
        if each["licence"] != provenance["licence"]:
            yield f"{each['product']}: {each['licence']}"


def citations(at: At) -> Iterator[str]:
    """The product's own citations first, then those of its ancestors, each once."""
    provenance = at.opened.manifest["provenance"]
    found: dict[str, None] = {}
    for each in (provenance, *provenance.get("ancestors", ())):
        for cited in each["citations"]:
            found[f"{cited['text']}{f' doi:{cited["doi"]}' if cited.get('doi') else ''}"] = None
    yield from found


def _each(at: At, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Positions of the cell and the year by dimension, one for each combination of the array's other dimensions."""
    dims = at.dims(name)
    sizes = [at.opened.data.sizes[dim] for dim in dims]
    time = {"time": at.steps} if "time" in at.opened.arrays[name].dims else {}
    for index in np.ndindex(*sizes):
        here = dict(zip(dims, map(int, index), strict=True))
        told = ", ".join(
            f"{dim} {at.opened.labels(dim)[place]}" for dim, place in here.items() if at.opened.data.sizes[dim] > 1
        )
        yield f" ({told})" if told else "", {**at.cell, **here, **time}


def _numbers(found: NDArray[np.float64], attrs: Mapping[str, Any]) -> str:
    known = found[np.isfinite(found)]
    units = str(attrs.get("units", "1"))
    unit = "" if units == "1" else f" {units}"
    if not known.size:
        return "missing"
    if found.size <= FEW:
        return f"{', '.join(f'{each:.6g}' if np.isfinite(each) else 'missing' for each in found.reshape(-1))}{unit}"
    return f"{known.min():.4g} to {known.max():.4g}{unit}, mean {known.mean():.4g}{unit}, of {known.size} numbers"


def _flags(found: NDArray[np.float64], attrs: Mapping[str, Any]) -> list[str]:
    names = str(attrs["flag_meanings"]).split()
    if "flag_masks" in attrs:
        bits = np.nan_to_num(found).astype(np.int64)
        counts = {n: np.count_nonzero(bits & int(b)) for n, b in zip(names, attrs["flag_masks"], strict=True)}
        return [f"{name} in {count} of {len(bits)}" for name, count in counts.items() if count] or ["none"]
    told = dict(zip(map(int, attrs["flag_values"]), names, strict=True))
    meant = [told.get(int(each), "missing") if np.isfinite(each) else "missing" for each in found]
    if len(meant) > FEW:
        return [f"{name} in {meant.count(name)} of {len(meant)}" for name in dict.fromkeys(meant)]
    return [", ".join(meant), *_reason(attrs, set(meant) - {MEANINGS[0]})]


def _reason(attrs: Mapping[str, Any], names: set[str]) -> Iterator[str]:
    """What the flag's own comment says of a meaning."""
    for part in str(attrs.get("comment", "")).split(". "):
        heads, _, text = part.partition(": ")
        if names & set(heads.split(", ")) and text:
            yield text


def _option(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_option(each)}" for name, each in value.items() if each is not None)
    if isinstance(value, list | tuple):
        return ", ".join(_option(each) for each in value)
    return str(value)
