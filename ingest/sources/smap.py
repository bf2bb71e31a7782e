"""SMAP level-3 soil moisture: SPL3SMP (36 km) and SPL3SMP_E (9 km), morning passes, HDF5, a file a day.

As NSIDC documents the products; no file of either was at hand.
"""

from ingest.declaration import GridRule, Source, TimeRule, Variable
from ingest.selection import Citation, Provider

_FILL = (-9999.0,)

SMAP = Source(
    name="smap",
    revision=1,
    title="SMAP soil moisture",
    description="Daily soil moisture of the upper 5 cm from the SMAP radiometer, descending (06:00) passes.",
    keywords=("soil moisture", "satellite", "SMAP", "EASE-Grid 2.0"),
    licence="other",
    licence_url="https://nsidc.org/data/smap",
    redistribution="unknown",
    providers=(
        Provider(name="NASA", roles=("producer", "licensor"), url="https://smap.jpl.nasa.gov"),
        Provider(name="National Snow and Ice Data Center", roles=("host",), url="https://nsidc.org/data/smap"),
    ),
    citations=(
        Citation(
            text="Chan, S. K., et al. (2018): Development and assessment of the SMAP enhanced passive soil moisture "
            "product. Remote Sensing of Environment 204, 931-941",
            doi="10.1016/j.rse.2017.08.025",
        ),
    ),
    group="Soil_Moisture_Retrieval_Data_AM",
    variables=(
        Variable(
            name="soil_moisture",
            archive=("soil_moisture",),
            units="m3 m-3",
            standard_name="volume_fraction_of_condensed_water_in_soil",
            long_name="soil moisture of the upper 5 cm",
            archive_units="m3 m-3",
            spellings={"cm**3/cm**3": "m3 m-3"},
            sentinels=_FILL,
            quality="retrieval_qual_flag",
        ),
        Variable(
            name="retrieval_qual_flag",
            archive=("retrieval_qual_flag",),
            units=None,
            kind="flag",
            long_name="quality of the retrieval; bit 0 clear: recommended",
        ),
    ),
    others="offer",
    time=TimeRule(label="name", step="day"),
    grid=GridRule(kind="ease2", epsg=6933),
    patterns=(
        r"SMAP_L3_SM_(?P<product>P|P_E)_(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)_R(?P<release>\d{5})_\d{3}\.h5",
    ),
    uniform=("product",),
    notes=("Only retrievals that the quality flag allows are kept; the date is that of the file name.",),
)
