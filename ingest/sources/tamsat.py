"""TAMSAT rainfall over Africa: native daily files of version 3 (whole mm in bytes), version 3.1, monthly files."""

from ingest.conventions import RAIN_UNITS
from ingest.declaration import Source, TimeRule, Variable
from ingest.selection import Citation, Provider

TAMSAT = Source(
    name="tamsat",
    revision=1,
    title="TAMSAT rainfall",
    description="Satellite rainfall estimates over Africa from thermal infrared imagery and gauges, by TAMSAT.",
    keywords=("rainfall", "Africa", "satellite", "TAMSAT"),
    licence="other",
    licence_url="https://research.reading.ac.uk/tamsat/",
    redistribution="no",  # by agreement with the University of Reading
    providers=(
        Provider(
            name="TAMSAT, University of Reading",
            roles=("producer", "licensor"),
            url="https://research.reading.ac.uk/tamsat/",
        ),
    ),
    citations=(
        Citation(
            text="Maidment, R. I., et al. (2017): A new, long-term daily satellite-based rainfall dataset for "
            "operational monitoring in Africa. Scientific Data 4, 170063",
            doi="10.1038/sdata.2017.63",
        ),
        Citation(
            text="Tarnavsky, E., et al. (2014): Extension of the TAMSAT satellite-based rainfall monitoring over "
            "Africa and from 1983 to present. Journal of Applied Meteorology and Climatology",
            doi="10.1175/JAMC-D-14-0016.1",
        ),
    ),
    variables=(
        # rfe has gaps that rfe_filled has not.
        Variable(
            name="pr",
            archive=("rfe_filled", "rfe"),
            units=RAIN_UNITS,
            kind="accumulation",
            standard_name="lwe_precipitation_rate",
            long_name="rainfall estimate",
            cell_methods="time: mean",
            archive_units="mm",
            dtype="float32",
            attrs={"day_begins": "06:15"},
        ),
    ),
    time=TimeRule(step="day"),
    patterns=(
        r"rfe(?P<year>\d{4})_(?P<month>\d\d)_(?P<day>\d\d)\.(?P<version>v[\d.]*\d)\.nc",
        r"rfe(?P<year>\d{4})_(?P<month>\d\d)\.(?P<version>v[\d.]*\d)\.nc",
        r".*\.nc",
    ),
    uniform=("version",),
    notes=("Rain days run from about 06 to 06 UTC and carry the date on which they begin.",),
)
