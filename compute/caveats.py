"""What must be said wherever numbers rest on a simplification."""

from __future__ import annotations

from typing import Final

TEMPERATURE_PET: Final = frozenset({"Oudin 2005", "oudin", "Hargreaves 1985"})
"""What arrays say of a potential evaporation that is made from temperature alone."""
TEMPERATURE_ONLY: Final = (
    "Potential evaporation follows from temperature alone, which tends to exaggerate drying in a warmer climate: under "
    "Oudin's formula it rises 13 % for 4 K at 25 degC."
)
