"""The sources: conventions of archive files, one short declaration each."""

from __future__ import annotations

from ingest.declaration import Source
from ingest.sources.cf import CF

SOURCES: dict[str, Source] = {source.name: source for source in (CF,)}
"""All sources by name."""
