"""Whom to credit and under which licence: citations, licence links and providers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_ROLES = ("licensor", "producer", "processor", "host")


def doi(text: str | None) -> str | None:
    """A bare DOI from "10.x/y", "doi:10.x/y" or "https://doi.org/10.x/y"; None for anything else."""
    match = re.fullmatch(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.[0-9a-zA-Z]{4,}/\S+)", (text or "").strip(), re.I)
    return match[1] if match else None


def licence_id(text: str | None) -> str:
    """An SPDX identifier as STAC accepts it, else "other"."""
    return text if text and re.fullmatch(r"[\w\-.+]+", text) else "other"


def publications(citations: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """`sci:publications` from citations {doi, text}, each once, sorted."""
    found = set()
    for citation in citations:
        number, text = doi(citation.get("doi")), citation.get("text") or ""
        if number or text:
            found.add((number or "", text))
    named = {number for number, text in found if number and text}
    return [
        {**({"doi": number} if number else {}), **({"citation": text} if text else {})}
        for number, text in sorted(found)
        if text or number not in named
    ]


def scientific(provenance: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`sci:*` of a product.

    The first citation of its own is the product's; further ones and those of its ancestors become publications. A
    `sci:doi` or `sci:citation` given for the product itself comes first, and makes all others publications.
    """
    own = list(provenance.get("citations") or [])
    fields = {key: value for key, value in given.items() if key.startswith("sci:")}
    if "sci:doi" in fields:
        fields["sci:doi"] = doi(fields["sci:doi"]) or fields["sci:doi"]
    if own and not fields.keys() & {"sci:doi", "sci:citation"}:
        first = own.pop(0)
        if number := doi(first.get("doi")):
            fields["sci:doi"] = number
        if first.get("text"):
            fields["sci:citation"] = first["text"]
    inherited = [each for ancestor in provenance.get("ancestors") or [] for each in ancestor.get("citations") or []]
    main = (fields.get("sci:doi"), fields.get("sci:citation"))
    rest = [each for each in (*own, *inherited) if (doi(each.get("doi")), each.get("text")) != main]
    listed = publications(rest)
    if listed:
        fields.setdefault("sci:publications", listed)
    return fields


def licence_links(provenance: Mapping[str, Any]) -> list[dict[str, str]]:
    """One `license` link a licence text, of the product first and then of its ancestors."""
    own = [("Licence", provenance)]
    ancestors = [(f"Licence of {each['product']}", each) for each in provenance.get("ancestors") or []]
    links: dict[str, dict[str, str]] = {}
    for title, each in (*own, *sorted(ancestors, key=lambda pair: pair[0])):
        identifier = licence_id(each.get("licence"))
        href = each.get("licence_url") or (
            f"https://spdx.org/licenses/{identifier}.html"
            if identifier != "other" and not identifier.startswith("LicenseRef-")
            else None
        )
        if href:
            links.setdefault(href, {"rel": "license", "href": href, "title": f"{title}: {identifier}"})
    return list(links.values())


def providers(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Providers, each name once with all its roles, in the order first met."""
    found: dict[str, dict[str, Any]] = {}
    for provider in given:
        entry = found.setdefault(provider["name"], {"name": provider["name"], "roles": set()})
        entry["roles"] |= set(provider.get("roles") or [])
        for key in ("url", "description"):
            if provider.get(key):
                entry.setdefault(key, provider[key])
    return [{**entry, "roles": [role for role in _ROLES if role in entry["roles"]]} for entry in found.values()]
