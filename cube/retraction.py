"""What readers would lose if one version replaced another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cube.errors import Problem
from cube.live import Live
from cube.template import PROVISIONAL


def retractions(live: Live, manifest: Mapping[str, Any]) -> list[Problem]:
    """What readers would lose if a version replaced the live one: period, variables, cells or valid values.

    manifest  of the new version, or of a planned one: then without `blocks`
    """
    old, lost = live.manifest or _told(live.item), []
    if not old:
        return _refused(["manifest and item are lost, so that nothing tells what readers had"], manifest)
    for name in sorted(set(old["variables"]) - set(manifest["variables"])):
        lost.append(f"the variable {name} would be gone")
    if old["map"] and not manifest["map"]:
        lost.append("map.zarr would be gone")
    lost += _shorter(old["extent"]["time"], manifest["extent"]["time"])
    for name in sorted(set(old["variables"]) & set(manifest["variables"])):
        sizes = _sizes(manifest, name)
        for dim, size in _sizes(old, name).items():
            if dim != "time" and sizes.get(dim, 0) < size:
                lost.append(f"{name} would have {sizes.get(dim, 0)} along {dim}, it has {size} now")
    for name, was in old["coordinates"].items():
        now = manifest["coordinates"].get(name, {})
        if "extent" in was and "extent" in now:
            slack = 0.01 * abs(was.get("step") or 0)
            if now["extent"][0] > was["extent"][0] + slack or now["extent"][1] < was["extent"][1] - slack:
                lost.append(f"{name} would span {now['extent']}, it spans {was['extent']} now")
    lost += _fewer_values(old, manifest) if "blocks" in manifest else []
    return _refused(lost, manifest)


def _refused(lost: list[str], manifest: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(
            "retraction",
            what,
            str(manifest["product"]),
            "an archive that is not mounted or a wrong option would publish less than readers have now",
            "check the inputs; if the loss is meant, build with --allow-retraction",
        )
        for what in lost
    ]


def _told(item: bytes | None) -> dict[str, Any]:
    """What the item tells of a version whose manifest is lost, in the manifest's form; empty where it tells nothing."""
    try:
        value = json.loads(item or b"{}")
        properties = value["properties"]
        given = properties["cube:variables"].items()
        return {
            "variables": {name: {"dims": (), "shape": ()} for name, each in given if each["type"] == "data"},
            "map": "map" in value["assets"],
            "extent": {"time": properties.get("cic:time")},
            "coordinates": properties["cube:dimensions"],
            "missing": properties["cic:missing"],
            "blocks": {},
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _shorter(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """What of a period would be gone. Dates are compared as texts: calendar or step may be other ones."""
    if before is None:
        return []
    if after is None:
        return [f"the period {before['start']} to {before['end']} would be gone"]
    lost = []
    if _earlier(before["start"], after["start"]):
        lost.append(f"the period would start at {after['start']}, it starts at {before['start']} now")
    if _earlier(after["end_bound"], before["end_bound"]):
        lost.append(f"the period would end at {after['end']}, it ends at {before['end']} now")
    return lost


def _earlier(one: str, other: str) -> bool:
    """Of two dates, with or without the time of day."""
    (year, rest), (other_year, other_rest) = ((int(text.split("-")[0]), text.split("-", 1)[1]) for text in (one, other))
    width = min(len(rest), len(other_rest))
    return (year, rest[:width]) < (other_year, other_rest[:width])


def _fewer_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Valid values that would be lost: in all of a variable, and in each block that covers the same cells and times."""
    lost = []
    passing = {name for name, each in new["variables"].items() if each.get("attrs", {}).get(PROVISIONAL)}
    for name in sorted((set(old["missing"]) & set(new["missing"])) - passing):
        before, after = (each["missing"][name]["cells"] - each["missing"][name]["missing"] for each in (old, new))
        if after < before:
            lost.append(f"{name} would have {after} values, it has {before} now")
    for block, entry in new["blocks"].items():
        earlier = old["blocks"].get(block)
        # Another layout or other cells give blocks of one name another content.
        for name in sorted(set(earlier["missing"]) - passing) if earlier and earlier["base"] == entry["base"] else ():
            valid = [each["cells"].get(name, 0) - each["missing"].get(name, 0) for each in (earlier, entry)]
            if valid[1] < valid[0]:
                lost.append(f"{name} would have {valid[1]} values in block {block}, it has {valid[0]} now")
    return lost


def _sizes(manifest: Mapping[str, Any], name: str) -> dict[str, int]:
    variable = manifest["variables"][name]
    return dict(zip(variable["dims"], variable["shape"], strict=True))
