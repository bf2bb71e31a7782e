"""What a product was made from, down to the files of archives, as far as the cube still holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cube.catalogue import Cube
from cube.errors import MissingObjectError


@dataclass(frozen=True)
class Member:
    """A product that others were made from.

    fingerprint  of the version that was used
    published    that of the version that the cube has now, None where it has none
    manifest     of that version, empty where the cube has none
    """

    name: str
    fingerprint: str
    published: str | None
    manifest: Mapping[str, Any]

    @property
    def inputs(self) -> list[tuple[str, str]]:
        """Names and fingerprints of the products that it was made from."""
        given = self.manifest.get("inputs", {}).get("products") or []
        return [(str(each["name"]), str(each["fingerprint"])) for each in given]

    @property
    def files(self) -> int:
        return len(self.manifest.get("inputs", {}).get("files") or [])

    @property
    def told(self) -> str:
        """One line: version, how it was made, and what of it is not certain."""
        parts = [f"{self.name}, version {self.fingerprint[:12]}"]
        if self.manifest and self.published == self.fingerprint:
            parts.append(f"job {self.manifest['job']} (revision {self.manifest['revision']})")
            if self.files:
                parts.append("1 file" if self.files == 1 else f"{self.files} files")
        elif self.published:
            parts.append(f"since replaced by version {self.published[:12]}, whose inputs may differ")
        else:
            parts.append("no longer in the cube")
        return ", ".join(parts)


def members(cube: Cube, manifest: Mapping[str, Any]) -> dict[str, Member]:
    """The product of a manifest and all its ancestors by name, each read once."""
    own = str(manifest["fingerprint"])
    found = {manifest["product"]: Member(manifest["product"], own, own, manifest)}
    waiting = list(found[manifest["product"]].inputs)
    while waiting:
        name, fingerprint = waiting.pop(0)
        if name in found:
            continue
        try:
            published = cube.view(name)[1]
        except MissingObjectError:
            published = {}
        found[name] = Member(name, fingerprint, published.get("fingerprint"), published)
        waiting += found[name].inputs
    return found


def tree(found: Mapping[str, Member], name: str) -> Iterator[str]:
    """Lines of the lineage, each input below what was made of it; what stands there already is not repeated."""
    seen: set[str] = set()

    def below(name: str, depth: int) -> Iterator[str]:
        indent = "  " * depth
        if name in seen:
            yield f"{indent}{name} (see above)"
            return
        seen.add(name)
        yield f"{indent}{found[name].told}"
        for each, _ in found[name].inputs:
            yield from below(each, depth + 1)

    yield from below(name, 0)


def notes(cube: Cube, item: Mapping[str, Any]) -> dict[str, list[str]]:
    """Notes of a product and its ancestors by name, from the items alone."""
    found: dict[str, list[str]] = {}
    waiting = [dict(item)]
    seen = {str(item["id"])}
    while waiting:
        each = waiting.pop(0)
        found[str(each["id"])] = list(each["properties"].get("cic:notes", ()))
        for link in each["links"]:
            name = str(link.get("title", ""))
            if link["rel"] == "derived_from" and name not in seen:
                seen.add(name)
                if name in cube:
                    waiting.append(cube.item(name))
    return found
