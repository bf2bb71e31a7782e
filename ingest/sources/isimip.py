"""ISIMIP2b: bias-adjusted climate input and impact model output. Properties are the specifiers of the file names."""

from ingest.declaration import Source, TimeRule
from ingest.selection import Citation, Provider

_INPUT = (
    r"(?P<variable>[a-z0-9]+)_(?P<time_step>day|mon)_(?P<gcm>[A-Za-z0-9-]+)_(?P<scenario>historical|piControl|rcp\d\d)"
    r"_r1i1p1_(?P<bias_adjustment>EWEMBI)(?:_landonly)?_(?P<first>\d{8})-(?P<last>\d{8})\.nc4?"
)
_OUTPUT = (
    r"(?P<model>[a-z0-9-]+)_(?P<gcm>[a-z0-9-]+)_(?P<bias_adjustment>ewembi)_(?P<scenario>historical|picontrol|rcp\d\d)"
    r"_(?P<soc>[a-z0-9]+soc)_(?P<sens>[a-z0-9]+)_(?P<variable>[a-z0-9-]+)(?:_(?!annual|monthly|daily)[A-Za-z]+)*"
    r"_(?P<time_step>annual|monthly|daily)(?:_[A-Za-z]+)*_(?P<first>\d{4})_(?P<last>\d{4})\.nc4?"
)
_LAND_USE = (
    r"(?P<soc>[a-z0-9]+soc)_(?P<variable>landuse-[a-z0-9]+)_(?P<time_step>annual)(?:_[A-Za-z]+)*"
    r"_(?P<first>\d{4})_(?P<last>\d{4})\.nc4?"
)

ISIMIP = Source(
    name="isimip",
    revision=1,
    title="ISIMIP2b",
    description="Climate input and impact model output of phase 2b of the Inter-Sectoral Impact Model Intercomparison "
    "Project.",
    keywords=("climate scenarios", "ISIMIP2b", "CMIP5", "RCP"),
    licence="other",
    licence_url="https://www.isimip.org/gettingstarted/terms-of-use/",
    redistribution="unknown",
    providers=(Provider(name="ISIMIP", roles=("producer", "licensor"), url="https://www.isimip.org"),),
    citations=(
        Citation(
            text="Frieler, K., et al. (2017): Assessing the impacts of 1.5 degC global warming - simulation protocol "
            "of the Inter-Sectoral Impact Model Intercomparison Project (ISIMIP2b). Geoscientific Model Development "
            "10, 4321-4345",
            doi="10.5194/gmd-10-4321-2017",
        ),
    ),
    others="take",
    time=TimeRule(years=True),
    patterns=(_INPUT, _OUTPUT, _LAND_USE),
    uniform=("gcm", "scenario", "bias_adjustment", "soc", "sens", "model", "time_step"),
    properties={
        "gcm": "isimip2b:climate_forcing",
        "scenario": "isimip2b:climate_scenario",
        "bias_adjustment": "isimip2b:bias_adjustment",
        "soc": "isimip2b:soc_scenario",
        "sens": "isimip2b:sens_scenario",
        "variable": "isimip2b:variable",
        "time_step": "isimip2b:time_step",
    },
    aliases={
        "source_id": "isimip2b:climate_forcing",
        "experiment_id": "isimip2b:climate_scenario",
        "variable_id": "isimip2b:variable",
    },
    constants={"isimip2b:simulation_round": "ISIMIP2b"},
)
