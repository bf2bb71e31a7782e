"""The sample archive: small, plausible, openly synthetic files in the sources' own conventions."""

from .archive import FamilySummary, SampleSummary, write_sample_archive
from .settings import FAMILIES, LatLonGrid, OsgbGrid, SampleSettings

__all__ = [
    "FAMILIES",
    "FamilySummary",
    "LatLonGrid",
    "OsgbGrid",
    "SampleSettings",
    "SampleSummary",
    "write_sample_archive",
]
