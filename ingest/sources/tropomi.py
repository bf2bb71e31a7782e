"""TROPOMI solar-induced fluorescence, gridded daily at 0.2 degrees by Caltech, a file a month.

As documented; no file was at hand. Negative values are valid: noise of single retrievals.
"""

from ingest.declaration import Source, TimeRule, Variable
from ingest.selection import Citation, Provider

_RADIANCE = "mW m-2 nm-1 sr-1"
_FILL = (-999.9,)


def _variable(name: str, long_name: str, units: str) -> Variable:
    return Variable(
        name=name,
        archive=(name,),
        units=units,
        long_name=long_name,
        archive_units=units,
        spellings={"mW/m2/sr/nm": _RADIANCE, "mW/m^2/sr/nm": _RADIANCE, "-": "1"},
        sentinels=_FILL,
    )


TROPOMI = Source(
    name="tropomi",
    revision=1,
    title="TROPOMI solar-induced fluorescence",
    description="Far-red solar-induced chlorophyll fluorescence from TROPOMI, gridded daily.",
    keywords=("fluorescence", "SIF", "vegetation", "satellite", "TROPOMI"),
    licence="other",
    redistribution="unknown",
    providers=(Provider(name="California Institute of Technology", roles=("producer",)),),
    citations=(
        Citation(
            text="Koehler, P., et al. (2018): Global retrievals of solar-induced chlorophyll fluorescence with "
            "TROPOMI: First results and intersensor comparison to OCO-2. Geophysical Research Letters 45, 10456-10463",
            doi="10.1029/2018GL079031",
        ),
    ),
    variables=(
        _variable("sif", "solar-induced fluorescence at 740 nm", _RADIANCE),
        _variable("dcSIF", "solar-induced fluorescence at 740 nm, corrected for day length", _RADIANCE),
        _variable("sif_err", "standard error of the fluorescence", _RADIANCE),
        _variable("sif_relative", "fluorescence relative to the continuum radiance", "1"),
        _variable("sza", "solar zenith angle", "degrees"),
        _variable("vza", "viewing zenith angle", "degrees"),
        _variable("phase_angle", "phase angle", "degrees"),
        _variable("cloud_fraction", "cloud fraction", "1"),
        _variable("daily_correction_factor", "factor from instantaneous to daily fluorescence", "1"),
        _variable("nir", "near-infrared radiance", _RADIANCE),
        _variable("N", "number of soundings", "1"),
    ),
    time=TimeRule(step="day"),
    patterns=(r"TROPO_SIF_(?P<month>\d\d)-(?P<year>\d{4})\.nc",),
)
