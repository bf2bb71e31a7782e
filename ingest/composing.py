"""The finished archive: variables, coordinates, attributes, notes and provenance put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cube.soil_layers import SOIL_LAYERS
from ingest import coordinates
from ingest.archive import Archive
from ingest.choosing import Chosen
from ingest.declaration import Source
from ingest.facts import FileFacts, Structure
from ingest.findings import Findings, listed
from ingest.making import Maker
from ingest.rules import Checked
from ingest.selection import IngestSelection


def compose(
    checked: Checked,
    chosen: Sequence[Chosen],
    properties: Mapping[str, str],
    blobs: Mapping[str, bytes],
    findings: Findings,
) -> Archive:
    """The archive of checked files; not to be used where it added problems to the findings.

    properties  STAC properties that the file names give;  blobs  coordinates by hash
    """
    source, grid = checked.source, checked.grids[0]
    time, variables, gaps, others = Maker(checked, findings).variables(chosen)
    kinds = {(each.structure, *sorted(each.arrays.items())): each for each in checked.facts}
    files = [(checked.structures[each.structure], each) for each in kinds.values()]
    soil = _soil(checked, others, findings)
    coords = coordinates.dataset(grid, others, soil, files, blobs, findings)
    auxiliary = [str(name) for name in coords.variables if name not in coords.dims and "bnds" not in str(name)]
    auxiliary = [name for name in auxiliary if name != "crs"]
    for variable in variables.values():
        own = [name for name in auxiliary if set(coords[name].dims) <= set(variable.dims)]
        if own:
            variable.attrs["coordinates"] = " ".join(sorted(own))
    used = {piece.file for variable in variables.values() for piece in variable.pieces}
    _notes(chosen, checked, findings)
    return Archive(
        source=source.name,
        revision=source.revision,
        time=time,
        coords=coords,
        variables=variables,
        files=tuple(file for file in checked.files if file in used),
        gaps=tuple(gaps),
        notes=(*source.notes, *findings.notes),
        attrs={**_global_attrs(source, files), **coordinates.place(grid)},
        properties=dict(properties),
        provenance=provenance_of(source, checked.options),
    )


def _soil(checked: Checked, others: Mapping[str, int], findings: Findings) -> Sequence[float] | None:
    """Layer thicknesses of the dimension `depth`, if it is JULES's."""
    if checked.source.soil_layers is None or "depth" not in others:
        return None
    layers = checked.options.dzsoil or SOIL_LAYERS
    if len(layers) != others["depth"]:
        findings.problem(
            "soil-layers",
            f"the files have {others['depth']} soil layers, {len(layers)} thicknesses are known",
            "dzsoil",
            "water contents would be given the wrong depths",
            "give `dzsoil`, the thicknesses of the run's namelist `dzsoil_io` in m",
        )
        return None
    return layers


def _notes(chosen: Sequence[Chosen], checked: Checked, findings: Findings) -> None:
    used = {facts.structure for facts in checked.facts}
    left = {
        f"{name} ({reason})" for hashed in used for name, reason in checked.structures[hashed].roles.ignored.items()
    }
    if left:
        findings.note(f"left out: {listed(sorted(left))}")
    for each in chosen:
        if each.rule.floor is not None:
            findings.note(f"{each.rule.name}: values from {each.rule.floor:g} {each.units} up to zero became 0")
    attrs = [checked.structures[hashed].attrs for hashed in used]
    experiments = sorted({each["experiment_id"] for each in attrs if "experiment_id" in each})
    if len(experiments) > 1:
        findings.note(f"the files are of several experiments: {listed(experiments)}")


def _global_attrs(source: Source, files: Sequence[tuple[Structure, FileFacts]]) -> dict[str, str]:
    """Global attributes: the source's, and those of the files that are the same in all."""
    shared = dict(source.attrs)
    for name in ("title", "institution", "source", "references"):
        values = {structure.attrs.get(name) for structure, _ in files}
        value = next(iter(values))
        if len(values) == 1 and value:
            shared.setdefault(name, value)
    shared.setdefault("title", source.title)
    return shared


def provenance_of(source: Source, options: IngestSelection) -> dict[str, Any]:
    """Licence, providers and citations of a product: the options', else the source's."""
    given = options.provenance
    providers = given.providers if given.providers is not None else source.providers
    citations = given.citations if given.citations is not None else source.citations
    return {
        "licence": given.licence or source.licence,
        "licence_url": given.licence_url or (None if given.licence else source.licence_url),
        "providers": [{"name": each.name, "roles": list(each.roles), "url": each.url} for each in providers],
        "citations": [{"doi": each.doi, "text": each.text} for each in citations],
        "redistribution": given.redistribution or source.redistribution,
        "ancestors": [],
    }
