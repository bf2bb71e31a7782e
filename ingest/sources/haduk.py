"""HadUK-Grid: observations of the United Kingdom on the British national grid, monthly files of daily fields."""

from ingest.conventions import RAIN_UNITS
from ingest.declaration import Daily, GridRule, Source, Variable
from ingest.selection import Citation, Provider


def _temperature(name: str, long_name: str, daily: Daily) -> Variable:
    return Variable(
        name=name,
        archive=(name,),
        units="K",
        standard_name="air_temperature",
        long_name=long_name,
        cell_methods=f"time: {daily}",
        dtype="float32",
        daily=daily,
    )


HADUK = Source(
    name="haduk",
    revision=1,
    title="HadUK-Grid",
    description="Gridded climate observations of the United Kingdom, interpolated from stations by the Met Office.",
    keywords=("rainfall", "air temperature", "United Kingdom", "observations"),
    licence="OGL-UK-3.0",
    licence_url="https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/",
    redistribution="yes",
    providers=(
        Provider(
            name="Met Office", roles=("producer", "licensor"), url="https://www.metoffice.gov.uk/hadobs/hadukgrid/"
        ),
    ),
    citations=(
        Citation(
            text="Hollis, D., McCarthy, M., Kendon, M., Legg, T., Simpson, I. (2019): HadUK-Grid - A new UK dataset of "
            "gridded climate observations. Geoscience Data Journal 6, 151-159; cite the version's own DOI besides",
            doi="10.1002/gdj3.78",
        ),
    ),
    variables=(
        Variable(
            name="pr",
            archive=("rainfall",),
            units=RAIN_UNITS,
            kind="accumulation",
            standard_name="lwe_precipitation_rate",
            long_name="rainfall",
            cell_methods="time: mean",
            archive_units="mm",
            dtype="float32",
            attrs={"day_begins": "09:00"},
        ),
        _temperature("tasmax", "highest air temperature", "maximum"),
        _temperature("tasmin", "lowest air temperature", "minimum"),
        _temperature("tas", "air temperature", "mean"),
    ),
    grid=GridRule(epsg=27700),
    patterns=(
        r"[a-zA-Z]+_hadukgrid_uk_(?P<resolution>\d+km)_(?P<frequency>[a-z]+)_(?P<first>\d{6,8})-(?P<last>\d{6,8})\.nc",
    ),
    uniform=("resolution", "frequency"),
    notes=("Rain days run from 09 to 09 UTC. Provisional months are revised later.",),
)
