"""CRU-NCEP (versions 7 and 8) and CRU-JRA meteorology: six-hourly, 0.5 degrees, years of 365 days.

Names and units as the producers' users document them; no file of either was at hand.
"""

from ingest.conventions import RAIN_UNITS
from ingest.declaration import Source, TimeRule, Variable
from ingest.selection import Citation, Provider

_KELVIN = {"Degrees Kelvin": "K", "degrees Kelvin": "K", "deg K": "K"}
_ENERGY = {"J/m2/6h": "J m-2", "J/m^2/6h": "J m-2", "J m-2 6h-1": "J m-2"}

CRU = Source(
    name="cru",
    revision=1,
    title="CRU meteorology",
    description="Six-hourly meteorology over land: CRU observations joined with the NCEP or JRA reanalysis.",
    keywords=("meteorology", "CRU", "NCEP", "JRA", "forcing"),
    licence="other",
    redistribution="unknown",
    providers=(
        Provider(name="Climatic Research Unit, University of East Anglia", roles=("producer",)),
        Provider(name="Laboratoire des Sciences du Climat et de l'Environnement", roles=("producer",)),
    ),
    citations=(
        Citation(
            text="Viovy, N. (2018): CRUNCEP Version 7 - Atmospheric Forcing Data for the Community Land Model",
            doi="10.5065/PZ8F-F017",
        ),
        Citation(text="Harris, I. C., University of East Anglia Climatic Research Unit: CRU JRA, cited by its version"),
    ),
    variables=(
        Variable(
            "pr",
            ("Total_Precipitation", "rain", "pre"),
            RAIN_UNITS,
            "accumulation",
            "lwe_precipitation_rate",
            "precipitation",
            "time: mean",
            spellings={"mm/6h": "mm", "mm/6hr": "mm", "mm per 6 hours": "mm"},
        ),
        Variable(
            "tas",
            ("Temperature", "tair", "tmp"),
            "K",
            "state",
            "air_temperature",
            "air temperature at 2 m",
            spellings=_KELVIN,
        ),
        Variable(
            "tasmax",
            ("tmax",),
            "K",
            "state",
            "air_temperature",
            "highest air temperature at 2 m",
            "time: maximum",
            spellings=_KELVIN,
            daily="maximum",
        ),
        Variable(
            "tasmin",
            ("tmin",),
            "K",
            "state",
            "air_temperature",
            "lowest air temperature at 2 m",
            "time: minimum",
            spellings=_KELVIN,
            daily="minimum",
        ),
        Variable(
            "rsds",
            ("Incoming_Short_Wave_Radiation", "swdown", "dswrf", "tswrf"),
            "W m-2",
            "accumulation",
            "surface_downwelling_shortwave_flux_in_air",
            "incoming shortwave radiation",
            "time: mean",
            spellings=_ENERGY,
        ),
        Variable(
            "rlds",
            ("Incoming_Long_Wave_Radiation", "lwdown", "dlwrf"),
            "W m-2",
            "accumulation",
            "surface_downwelling_longwave_flux_in_air",
            "incoming longwave radiation",
            "time: mean",
            spellings=_ENERGY,
        ),
        Variable(
            "huss",
            ("Air_Specific_Humidity", "qair", "spfh"),
            "1",
            "state",
            "specific_humidity",
            "specific humidity at 2 m",
            spellings={"g/g": "1"},
        ),
        Variable("ps", ("Pression", "press", "pres"), "Pa", "state", "surface_air_pressure", "surface pressure"),
        Variable("uas", ("U_wind_component", "uwind", "ugrd"), "m s-1", "state", "eastward_wind", "eastward wind"),
        Variable("vas", ("V_wind_component", "vwind", "vgrd"), "m s-1", "state", "northward_wind", "northward wind"),
        Variable("fd", ("fd",), "1", "state", None, "diffuse fraction of shortwave radiation", archive_units="1"),
    ),
    time=TimeRule(step="6 hours"),
    patterns=(
        r"(?P<family>cruncep)(?P<version>v\d+)_[a-z]+_(?P<year>\d{4})\.nc",
        r"(?P<family>crujra)\.(?P<version>v[\d.]+\d)\.?5d\.[a-z]+\.(?P<year>\d{4})\.365d\.noc\.nc",
    ),
    uniform=("family", "version"),
    notes=("The calendar has no 29 February.",),
)
