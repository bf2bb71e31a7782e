"""One product in full, as `cube show` prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from batch.showing import period, table_of
from cube.live import Live


def print_product(console: Console, live: Live, href: str) -> None:
    manifest = live.manifest
    time = manifest["extent"]["time"]
    console.print(f"{manifest['title']} ({manifest['product']}, version {live.version})", highlight=False)
    if manifest["description"]:
        console.print(manifest["description"], highlight=False)
    if time:
        console.print(f"period   {period(time)}, step {time['step']}, {time['calendar']}", highlight=False)
    west, south, east, north = manifest["extent"]["bbox"]
    console.print(f"area     {west:g}..{east:g} E, {south:g}..{north:g} N", highlight=False)
    provenance = manifest["provenance"]
    console.print(f"licence  {provenance['licence']}; redistribution: {provenance['redistribution']}", highlight=False)
    made_of = ", ".join(f"{each['name']} {each['version']}" for each in manifest["inputs"]["products"])
    if made_of:
        console.print(f"made of  {made_of}, by the job {manifest['job']}", highlight=False)
    if asked := "; ".join(f"{name} {_asked(value)}" for name, value in manifest["options"].items()):
        console.print(f"asked    {asked}", highlight=False, markup=False)
    cited = [
        *provenance["citations"],
        *(citation for each in provenance["ancestors"] for citation in each["citations"]),
    ]
    for text in dict.fromkeys(f"{each['text']}{f' doi:{each["doi"]}' if each.get('doi') else ''}" for each in cited):
        console.print(f"cite     {text}", highlight=False, markup=False)
    for gap in manifest["gaps"]:
        console.print(f"gap      {gap[0]} to {gap[1]}", highlight=False)
    references = manifest.get("references")
    if references:
        text = "; ".join(references["refused"]) if "refused" in references else references["href"]
        console.print(f"kerchunk {text}", highlight=False)
    table = table_of("variable", "dimensions", "shape", "chunk", "units", "missing")
    for name, variable in manifest["variables"].items():
        counts = manifest["missing"].get(name)
        missing = f"{counts['missing'] / max(1, counts['cells']):.1%}" if counts else ""
        table.add_row(
            name,
            ", ".join(variable["dims"]),
            " x ".join(map(str, variable["shape"])),
            " x ".join(map(str, variable["chunks"])),
            str(variable["attrs"].get("units", "")),
            missing,
        )
    console.print(table)
    console.print(f'open it: xarray.open_zarr("{href}")', highlight=False, soft_wrap=True)


def _asked(value: Any) -> str:
    """The value of an option as YAML would have it in a line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_asked(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_asked, value))}]"
    return str(value)
