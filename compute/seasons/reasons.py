"""Why a season has no number: the values of the flag that stands beside onset, cessation and length."""

from __future__ import annotations

from typing import Any, Final

VALID: Final = 0
NO_DATA: Final = 1
ARID: Final = 2
NO_SEASON: Final = 3
INDETERMINATE: Final = 4
INCOMPLETE: Final = 5
MISSING_DAYS: Final = 6
NO_ONSET: Final = 7
NO_CESSATION: Final = 8
NEVER_WET: Final = 9
NEVER_DRY: Final = 10

MEANINGS: Final = (
    "valid",
    "no_data",
    "arid",
    "no_season",
    "indeterminate",
    "incomplete",
    "missing_days",
    "no_onset",
    "no_cessation",
    "never_wet",
    "never_dry",
)
COMMENT: Final = (
    "no_data: outside the mask, or more than 5 % of the reference's days are missing. arid: rain varies too little for "
    "a season. no_season: the reference has no such season (no second one where there is one). indeterminate: onset "
    "scatters too much in the reference. incomplete: the season's window is not wholly in the series. missing_days: "
    "more than 5 % of its days are missing. no_onset, no_cessation: none was found. never_wet, never_dry: the "
    "threshold was never crossed"
)

MISSING: Final = -32768
"""In int16 results: no number, see the flag."""


def flag_attrs() -> dict[str, Any]:
    """CF attributes of the flag."""
    return {
        "long_name": "why there is no season, 0 where there is one",
        "units": "1",
        "flag_values": list(range(len(MEANINGS))),
        "flag_meanings": " ".join(MEANINGS),
        "comment": COMMENT,
    }
