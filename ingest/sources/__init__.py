"""The sources: conventions of archive files, one short declaration each."""

from __future__ import annotations

from ingest.declaration import Source
from ingest.sources.cf import CF
from ingest.sources.cru import CRU
from ingest.sources.haduk import HADUK
from ingest.sources.isimip import ISIMIP
from ingest.sources.jules import JULES
from ingest.sources.smap import SMAP
from ingest.sources.tamsat import TAMSAT
from ingest.sources.tropomi import TROPOMI

_ALL = (
    CF,
    CRU,
    HADUK,
    ISIMIP,
    JULES,
    SMAP,
    TAMSAT,
    TROPOMI,
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
"""All sources by name."""
