"""What a metric is: its arrays, what it takes from a reference, and how days become numbers.

A metric knows days and cells only: series of shape (days, cells) in, arrays of shape (..., cells) out. The job feeds it
from the cube, and notebooks from any array, so that both give the same numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.metrics.options import MetricOptions
from compute.seasons.years import Years
from cube.axes import EPOCH_YEAR, Step, TimeAxis, encode
from cube.errors import InputError, Problem
from cube.provenance import Citation
from cube.units import conversion

Arrays = dict[str, NDArray[Any]]

NO_NUMBER: Final = -32768
"""What stands for missing in int16 and int32 arrays."""
RAIN: Final = "rain (mm d-1)"
BETA: Final = "beta (fsmc, 0 to 1)"
_TAKE: Final = {
    RAIN: "take rain, in units that convert to mm d-1",
    BETA: "take beta, such as `fsmc` of a product of the job `simulate` or `emulate`",
}
LONGEST_MARGIN: Final = 2
"""Years that a season may reach beyond the calendar year it is labelled with, generously."""


@dataclass(frozen=True)
class Made:
    """An array of a metric. dims: those besides time and the cells; attrs: CF attributes, `_FillValue` of integers."""

    dims: tuple[str, ...]
    dtype: str
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """What a metric is computed with.

    options  of the metric
    days     of the input
    past     days of the reference, None where the metric has none
    units    of the input's variable
    told     what the reference is called, e.g. "tamsat-rainfall 1991-01-01 to 2020-12-31"
    """

    options: MetricOptions
    days: TimeAxis
    past: TimeAxis | None
    units: str
    told: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)


class Kind(ABC):
    """One metric. All arrays but the reference's are missing where there is no number, never 0."""

    name: ClassVar[str]
    units: ClassVar[str | None] = None
    """What the series must be converted to; None to take it as it is stored."""
    of: ClassVar[str] = ""
    """What the series is of, where it must be converted: RAIN or BETA."""
    citations: ClassVar[tuple[Citation, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()
    """Variables without time that are read of the product `seasons`."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @classmethod
    def refuse_units(cls, variable: str, units: str, where: str) -> None:
        """Raises InputError for a series of another kind than the metric is of."""
        try:
            _ = cls.units is None or conversion(units, cls.units)
        except ValueError:
            what = f"{cls.name} is of {cls.of}, not of {variable} in {units}"
            raise InputError(Problem("unit-unknown", what, where, fix=_TAKE[cls.of])) from None

    @property
    def options(self) -> MetricOptions:
        return self.setting.options

    @property
    def days(self) -> TimeAxis:
        return self.setting.days

    @property
    @abstractmethod
    def periods(self) -> TimeAxis:
        """Years or months that have numbers. Raises ValueError where none lies in the days."""

    @abstractmethod
    def arrays(self) -> dict[str, Made]:
        """With one value a period and cell."""

    def reference(self) -> dict[str, Made]:
        """What is taken from the reference, without time."""
        return {}

    def unfinished(self) -> dict[str, Made]:
        """Provisional numbers of the period in which the days end, without time."""
        return {}

    def coords(self) -> dict[str, xr.Variable]:
        """Coordinates of the dimensions that the arrays name."""
        return {}

    @abstractmethod
    def reads(self, start: int, stop: int) -> slice:
        """Positions of the days that periods [start, stop) are made from."""

    @property
    def idle(self) -> bool:
        """Whether no day of an unfinished period has come, so that nothing need be read for it."""
        return False

    def reads_unfinished(self) -> slice:
        """Positions of the days that the provisional numbers are made from."""
        return slice(0, 0)

    def of_reference(self, values: NDArray[np.float32], fixed: Arrays) -> Arrays:
        """The arrays of `reference` from the days of `past`, shape (days, cells).

        fixed  the variables of `beside`, each (*dims, cells)
        """
        return {}

    @abstractmethod
    def of_periods(self, values: NDArray[np.float32], start: int, stop: int, reference: Arrays) -> Arrays:
        """The arrays of periods [start, stop), each (periods, *dims, cells), from the days that `reads` names.

        reference  its arrays and the variables of `beside`, each (*dims, cells)
        """

    def of_unfinished(self, values: NDArray[np.float32], reference: Arrays) -> Arrays:
        """The provisional arrays, each (*dims, cells), from the days that `reads_unfinished` names."""
        return {}

    def cited(self) -> tuple[Citation, ...]:
        """What must be cited for the method."""
        return self.citations

    def told(self) -> dict[str, Any]:
        """Attributes that every array carries: the method, its thresholds, the reference."""
        return dict(self.setting.attrs)

    def key(self) -> Mapping[str, Any]:
        """What changes values besides what is read. Raises SpecError for a threshold that does not fit the series."""
        return {}


class YearlyKind(Kind):
    """A metric of years of retained days: one number for each calendar year that a season is labelled with."""

    @cached_property
    def years(self) -> Years:
        return Years.of(self.days)

    @cached_property
    def past_years(self) -> Years:
        assert self.setting.past is not None
        return Years.of(self.setting.past)

    def day_of_year(self) -> xr.Variable:
        attrs = {"long_name": "day of the year from 1, 29 February left out", "units": "1"}
        return xr.Variable(("day_of_year",), np.arange(1, self.years.length + 1, dtype=np.int32), attrs)

    def first_whole(self) -> int:
        """Position in the retained days of the reference of the first 1 January among them."""
        return (self.past_years.length - self.past_years.first) % self.past_years.length

    def window(self, first: int, last: int) -> slice:
        """Days from `LONGEST_MARGIN - 1` years before year `first` to LONGEST_MARGIN after year `last`."""
        edges = np.array([first - LONGEST_MARGIN + 1, last + LONGEST_MARGIN + 1]) - EPOCH_YEAR
        low, high = encode(edges, Step("year"), self.days.calendar) - self.days.first
        return slice(int(np.clip(low, 0, self.days.count)), int(np.clip(high, 0, self.days.count)))

    def part(self, read: slice) -> Years:
        """The retained days among those that were read."""
        return Years.of(
            TimeAxis(self.days.first + read.start, read.stop - read.start, self.days.step, self.days.calendar)
        )


def counted(long_name: str, **attrs: Any) -> dict[str, Any]:
    """CF attributes of whole days that can be missing."""
    return {"long_name": long_name, "units": "d", "_FillValue": NO_NUMBER, **attrs}


def retained(values: NDArray[np.float32], years: Years) -> NDArray[np.float32]:
    """The retained days of a series: itself where none is left out."""
    return values if years.count == len(values) else values[years.kept]
