"""JULES output: gridded (2-D latitude and longitude) or a vector of land points; names and units are JULES's own."""

from ingest.declaration import GridRule, Source, TimeRule
from ingest.selection import Citation, Provider

JULES = Source(
    name="jules",
    revision=1,
    title="JULES output",
    description="Output of the Joint UK Land Environment Simulator.",
    keywords=("JULES", "land surface model", "soil moisture"),
    licence="other",
    redistribution="unknown",
    providers=(Provider(name="JULES", roles=("processor",), url="https://jules.jchmr.org"),),
    citations=(
        Citation(
            text="Best, M. J., et al. (2011): The Joint UK Land Environment Simulator (JULES), model description - "
            "Part 1. Geoscientific Model Development 4, 677-699",
            doi="10.5194/gmd-4-677-2011",
        ),
    ),
    others="take",
    sentinels=(-1e20,),
    time=TimeRule(label="end"),
    grid=GridRule(kind="land", tried=(27700,)),  # runs over the United Kingdom use the national grid
    soil_layers="soil",
    notes=(
        "Absent tiles and plant types hold the fill value in some variables, zero or stale values in others: "
        "mask by their cover.",
    ),
)
