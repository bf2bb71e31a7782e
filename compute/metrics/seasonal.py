"""What metrics of seasons have in common: how onset, cessation and length are told."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.metrics.kind import Arrays, Made, YearlyKind, counted, retained
from compute.seasons.reasons import MISSING, flag_attrs
from compute.seasons.years import Years
from cube.axes import EPOCH_YEAR, GREGORIAN, Step, TimeAxis

SEASON = "season"
FLAG = "season_flag"


NO_DATE: Final = -(2**31)
"""What stands for missing in int32 dates."""


class SeasonalKind(YearlyKind):
    """Seasons labelled with the calendar year that their climatological start, or the search for them, lies in.

    seasons  how many a year may have; with one the arrays have no dimension `season`
    """

    seasons: int = 2

    @property
    def dims(self) -> tuple[str, ...]:
        return (SEASON,) if self.seasons > 1 else ()

    @cached_property
    def periods(self) -> TimeAxis:
        """All calendar years that lie wholly in the days."""
        first, last = self.years.whole
        if last < first:
            raise ValueError(f"no year lies wholly in {self.days.text(0)} to {self.days.text(-1)}")
        return TimeAxis(first - EPOCH_YEAR, last - first + 1, Step("year"), self.days.calendar)

    def coords(self) -> dict[str, xr.Variable]:
        if self.seasons == 1:
            return {}
        numbers = np.arange(1, self.seasons + 1, dtype=np.int32)
        attrs = {
            "long_name": "number of the season",
            "units": "1",
            "comment": "1 is the only season of a year, or the longer one of two in the reference; 2 the other",
        }
        return {SEASON: xr.Variable((SEASON,), numbers, attrs)}

    @property
    def label(self) -> str:
        """What year a season is labelled with."""
        return "labelled with the calendar year of its climatological start"

    def _dated(self) -> dict[str, Any]:
        """Attributes of dates. Readers have no missing dates but in Gregorian calendars: others get plain days."""
        calendar, since = self.days.calendar, self.periods.units
        if calendar in GREGORIAN:
            return {"units": since, "calendar": calendar, "_FillValue": NO_DATE}
        return {"units": "d", "comment": f"{since} in the calendar {calendar}", "_FillValue": NO_DATE}

    def arrays(self) -> dict[str, Made]:
        dims = self.dims
        shared = {**self.told(), "ancillary_variables": FLAG}
        offset = (
            f"days from 1 January of the label year, 0 for that day, 29 February left out; {self.label}; below 0 or "
            "beyond the year where the season lies in the year before or after"
        )
        dated = {**self._dated(), **shared}
        return {
            "onset": Made(dims, "int16", counted("first day of the season", comment=offset, **shared)),
            "cessation": Made(dims, "int16", counted("last day of the season", comment=offset, **shared)),
            "length": Made(
                dims,
                "int16",
                counted(
                    "length of the season",
                    comment="cessation - onset + 1: both days belong to it; 29 February is not counted",
                    **shared,
                ),
            ),
            "onset_date": Made(dims, "int32", {"long_name": "date of the first day of the season", **dated}),
            "cessation_date": Made(dims, "int32", {"long_name": "date of the last day of the season", **dated}),
            FLAG: Made(dims, "int8", {**flag_attrs(), **self.told()}),
        }

    def unfinished(self) -> dict[str, Made]:
        told = f"provisional, from the days to {self.days.text(-1)}: {{}} of the latest season that is not yet whole"
        shared = self.told()
        dated = {**self._dated(), **shared}
        return {
            "provisional_year": Made(
                self.dims, "int16", {**counted(told.format("label year"), **shared), "units": "1"}
            ),
            "provisional_onset": Made(self.dims, "int16", counted(told.format("first day"), **shared)),
            "provisional_onset_date": Made(self.dims, "int32", {"long_name": told.format("first day"), **dated}),
            "provisional_cessation": Made(self.dims, "int16", counted(told.format("last day"), **shared)),
            "provisional_flag": Made(self.dims, "int8", {**flag_attrs(), **shared}),
        }

    def reads(self, start: int, stop: int) -> slice:
        first = self.periods.first + EPOCH_YEAR
        return self.window(first + start, first + stop - 1)

    def reads_unfinished(self) -> slice:
        last = self.days.date(self.days.count - 1).year
        return self.window(last - 1, last)

    @abstractmethod
    def found(self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays) -> tuple[Any, ...]:
        """onset, cessation, length (int16) and flag (int8), each (years, *dims, cells), of retained days.

        starts  position in them of 1 January of each year
        """

    @abstractmethod
    def found_so_far(
        self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays
    ) -> tuple[Any, ...]:
        """onset, cessation and flag of years whose season is cut by the end of the days: INCOMPLETE where it has not
        begun, or has ended."""

    def of_periods(self, values: NDArray[np.float32], start: int, stop: int, reference: Arrays) -> Arrays:
        years = self.part(self.reads(start, stop))
        labels = np.arange(start, stop) + self.periods.first + EPOCH_YEAR
        starts = np.array([years.start(int(year)) for year in labels], np.int64)
        kept = retained(values, years)
        onset, cessation, length, flag = self.found(kept, starts, reference)
        return {
            "onset": onset,
            "cessation": cessation,
            "length": length,
            "onset_date": _dates(onset, starts, years),
            "cessation_date": _dates(cessation, starts, years),
            FLAG: flag,
        }

    def of_unfinished(self, values: NDArray[np.float32], reference: Arrays) -> Arrays:
        read = self.reads_unfinished()
        years = self.part(read)
        last = self.days.date(self.days.count - 1).year
        labels = np.array([last - 1, last])
        starts = np.array([years.start(int(year)) for year in labels], np.int64)
        kept = retained(values, years)
        onset, cessation, flag = self.found_so_far(kept, starts, reference)
        dates = _dates(onset, starts, years)
        # The latest season that has begun, and is not whole yet.
        going = onset != MISSING
        chosen = np.where(going[1], 1, 0)[None]

        def latest(each: NDArray[Any], missing: int) -> NDArray[Any]:
            taken = np.take_along_axis(each, chosen, axis=0)[0]
            return np.where(going.any(axis=0), taken, np.array(missing, each.dtype)).astype(each.dtype)

        label = np.broadcast_to(labels.astype(np.int16).reshape(-1, *(1,) * (onset.ndim - 1)), onset.shape)
        return {
            "provisional_year": latest(label, MISSING),
            "provisional_onset": latest(onset, MISSING),
            "provisional_onset_date": latest(dates, NO_DATE),
            "provisional_cessation": latest(cessation, MISSING),
            "provisional_flag": np.where(going.any(axis=0), np.take_along_axis(flag, chosen, axis=0)[0], flag[1]),
        }


def _dates(offsets: NDArray[Any], starts: NDArray[np.int64], years: Years) -> NDArray[np.int32]:
    """Days since 1970-01-01 of offsets from 1 January of each year, shape (years, ..., cells)."""
    places = offsets.astype(np.int64) + starts.reshape(-1, *(1,) * (offsets.ndim - 1))
    found = years.ordinal(places)
    return np.where(offsets == MISSING, NO_DATE, found).astype(np.int32)
