"""Where data come from and what may be done with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    text: str
    doi: str | None = None


@dataclass(frozen=True)
class Provider:
    """roles are STAC's: producer, licensor, processor, host."""

    name: str
    roles: tuple[str, ...]
    url: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where data come from and what may be done with them. redistribution is yes, no or unknown."""

    licence: str
    redistribution: str
    licence_url: str | None = None
    providers: tuple[Provider, ...] = ()
    citations: tuple[Citation, ...] = ()
    ancestors: tuple[tuple[str, Provenance], ...] = ()


def inherited(ancestors: Mapping[str, Provenance]) -> Provenance:
    """The provenance of a product made from others: one licence where all agree, the strictest redistribution."""
    licences = {each.licence for each in ancestors.values()}
    redistribution = {each.redistribution for each in ancestors.values()}
    strictest = next((word for word in ("no", "unknown") if word in redistribution), "yes")
    flat: dict[str, Provenance] = {}
    for name, each in sorted(ancestors.items()):
        flat[name] = Provenance(each.licence, each.redistribution, each.licence_url, each.providers, each.citations)
        flat.update(each.ancestors)
    providers = tuple(dict.fromkeys(p for each in ancestors.values() for p in each.providers))
    urls = {each.licence_url for each in ancestors.values()}
    return Provenance(
        licence=licences.pop() if len(licences) == 1 else "other",
        redistribution=strictest,
        licence_url=urls.pop() if len(urls) == 1 else None,
        providers=providers,
        ancestors=tuple(sorted(flat.items())),
    )
