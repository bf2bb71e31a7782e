"""What a file that leaves the cube says of its licence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OTHER = "other"


def licence_of(provenance: Mapping[str, Any]) -> str:
    """The licence and its address; where that is no licence by name, those of what the product was made from.

    provenance  of a manifest
    """
    own = _named(provenance)
    if own != OTHER:
        return own
    ancestors = {each["product"]: _named(each) for each in provenance.get("ancestors") or ()}
    told = [f"of {name}: {licence}" for name, licence in ancestors.items() if licence != OTHER]
    return f"{OTHER}, {', '.join(told)}" if told else OTHER


def binding(licence: str, redistribution: str) -> str:
    """Licence and redistribution (yes, no or unknown) as one line."""
    return f"{licence}; redistribution: {redistribution}"


def _named(provenance: Mapping[str, Any]) -> str:
    licence, url = provenance.get("licence") or OTHER, provenance.get("licence_url")
    return f"{licence} ({url})" if url else str(licence)
