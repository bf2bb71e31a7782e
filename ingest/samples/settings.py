"""What a sample archive covers: grids, periods, seed, families of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from cube.errors import Problem, SpecError

FAMILIES = (
    "tamsat-native",
    "tamsat-v31",
    "cru-ncep",
    "cru-jra",
    "haduk",
    "isimip2b",
    "smap",
    "tropomi-sif",
    "jules",
    "statics",
)
SCENARIOS = ("rcp26", "rcp60", "rcp85")
LAST_HISTORICAL_YEAR = 2005  # of ISIMIP2b; its scenarios start on 1 January 2006
_UK_RESOLUTIONS = {1_000: "1km", 5_000: "5km", 12_000: "12km", 25_000: "25km", 60_000: "60km"}


@dataclass(frozen=True)
class LatLonGrid:
    """A regular grid by the centre of its south-western cell, degrees."""

    south: float
    west: float
    step: float
    rows: int
    columns: int

    @classmethod
    def africa(cls, step: float = 5.0) -> LatLonGrid:
        """Africa's box, 35.875 S to 39.125 N and 18.875 W to 51.125 E. 5 degrees give 210 cells, 0.25 give 84,000."""
        rows, columns = round(75 / step), round(70 / step)
        return cls(-35.875 + step / 2, -18.875 + step / 2, step, rows, columns)

    @property
    def latitude(self) -> NDArray[np.float64]:
        """Ascending, shape (rows,)."""
        return self.south + self.step * np.arange(self.rows, dtype=np.float64)

    @property
    def longitude(self) -> NDArray[np.float64]:
        return self.west + self.step * np.arange(self.columns, dtype=np.float64)


@dataclass(frozen=True)
class OsgbGrid:
    """A grid in metres of the British national grid (EPSG:27700), by the centre of its south-western cell.

    The default window (south-west England, south Wales and the Channel) has 16 cells, about a dozen of them land.
    """

    south: int = 30_000
    west: int = 270_000
    step: int = 60_000
    rows: int = 4
    columns: int = 4

    @property
    def resolution(self) -> str:
        """As spelled in HadUK-Grid file names."""
        return _UK_RESOLUTIONS[self.step]

    @property
    def y(self) -> NDArray[np.float64]:
        return self.south + self.step * np.arange(self.rows, dtype=np.float64)

    @property
    def x(self) -> NDArray[np.float64]:
        return self.west + self.step * np.arange(self.columns, dtype=np.float64)


@dataclass(frozen=True)
class SampleSettings:
    """All years are inclusive.

    seed                 every value in the archive follows from it
    africa, uk           grids of all African and all British files (SMAP and SIF keep their own global grids)
    observation_years    TAMSAT native, CRU-JRA, JULES over Africa
    tamsat_v31_years     how many of the last observation years also exist as v3.1 files: a file takes
                         8.7 kB however small the grid (HDF5 keeps dimension scales in a heap of 4 kB)
    tamsat_native_years  how many of the first observation years exist as native files; None means all
    cru_ncep_years       how many of the first observation years CRU-NCEP covers
    haduk_years          how many of the last observation years HadUK-Grid and JULES over the UK cover
    historical_start     first year of the climate model's historical run, which ends in 2005
    scenario_end         last year of the scenarios, which start in 2006
    sif_months           TROPOMI months, from July of the last observation year
    smap_days            SMAP days, from 1 August of the last observation year
    families             which families of files to write
    """

    seed: int = 2021
    africa: LatLonGrid = field(default_factory=LatLonGrid.africa)
    uk: OsgbGrid = field(default_factory=OsgbGrid)
    observation_years: tuple[int, int] = (2000, 2019)
    tamsat_native_years: int | None = None
    tamsat_v31_years: int = 1
    cru_ncep_years: int = 3
    haduk_years: int = 5
    historical_start: int = 1991
    scenario_end: int = 2030
    sif_months: int = 3
    smap_days: int = 4
    families: tuple[str, ...] = FAMILIES

    def __post_init__(self) -> None:
        first, last = self.observation_years
        checks = {
            f"observation_years {first}..{last} run backwards": last < first,
            f"families {sorted(set(self.families) - set(FAMILIES))} are unknown": not set(self.families)
            <= set(FAMILIES),
            f"historical_start {self.historical_start} is after {LAST_HISTORICAL_YEAR}": (
                self.historical_start > LAST_HISTORICAL_YEAR
            ),
            f"scenario_end {self.scenario_end} is not after {LAST_HISTORICAL_YEAR}": (
                self.scenario_end <= LAST_HISTORICAL_YEAR
            ),
            f"uk step {self.uk.step} m is none of HadUK-Grid's": self.uk.step not in _UK_RESOLUTIONS,
            f"sif_months {self.sif_months} is not within 0..6": not 0 <= self.sif_months <= 6,
            f"smap_days {self.smap_days} is not within 0..31": not 0 <= self.smap_days <= 31,
            f"seed {self.seed} is negative": self.seed < 0,
        }
        wrong = [what for what, is_wrong in checks.items() if is_wrong]
        if wrong:
            raise SpecError(
                Problem("samples-settings", what, "sample archive", fix=f"families: {', '.join(FAMILIES)}")
                if what.startswith("families")
                else Problem("samples-settings", what, "sample archive")
                for what in wrong
            )

    def _first_years(self, count: int | None) -> range:
        first, last = self.observation_years
        return range(first, last + 1) if count is None else range(first, min(last, first + count - 1) + 1)

    def _last_years(self, count: int) -> range:
        first, last = self.observation_years
        return range(max(first, last - count + 1), last + 1)

    @property
    def observed(self) -> range:
        return self._first_years(None)

    @property
    def tamsat_native(self) -> range:
        return self._first_years(self.tamsat_native_years)

    @property
    def tamsat_v31(self) -> range:
        return self._last_years(self.tamsat_v31_years)

    @property
    def cru_ncep(self) -> range:
        return self._first_years(self.cru_ncep_years)

    @property
    def haduk(self) -> range:
        return self._last_years(self.haduk_years)

    @property
    def sif(self) -> list[date]:
        """First days of the TROPOMI months."""
        return [date(self.observation_years[1], 7 + month, 1) for month in range(self.sif_months)]

    @property
    def smap(self) -> list[date]:
        return [date(self.observation_years[1], 8, 1 + day) for day in range(self.smap_days)]

    def decades(self, scenario: str) -> list[tuple[int, int]]:
        """Years of the ISIMIP2b files of one run: 2001-2005 and 2006-2010 are cut where historical ends."""
        past = scenario == "historical"
        first = self.historical_start if past else LAST_HISTORICAL_YEAR + 1
        last = LAST_HISTORICAL_YEAR if past else self.scenario_end
        starts = [first, *range((first - 1) // 10 * 10 + 11, last + 1, 10)]
        return [(start, min(last, (start - 1) // 10 * 10 + 10)) for start in starts]
