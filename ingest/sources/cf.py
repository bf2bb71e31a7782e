"""Any set of files that follow the CF conventions well enough to be understood."""

from ingest.declaration import Source

CF = Source(
    name="cf",
    revision=1,
    title="CF files",
    description="Files read by their own CF attributes.",
    licence="other",
    redistribution="unknown",
    others="take",
)
