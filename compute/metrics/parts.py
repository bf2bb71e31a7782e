"""Years that begin with any month, whole or in named parts, as positions in an axis of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.metrics.options import months_of
from cube.axes import Step, TimeAxis, encode, ordinal_of


@dataclass(frozen=True)
class Parts:
    """days: an axis of days; month: the first of each year, from 1; names: parts such as MAM, none for whole years."""

    days: TimeAxis
    month: int
    names: Sequence[str] = ()

    @property
    def dims(self) -> tuple[str, ...]:
        return ("months",) if self.names else ()

    @cached_property
    def years(self) -> TimeAxis:
        """The years that lie wholly in the days. Raises ValueError where none does."""
        step = Step("year", month=self.month)
        first = ordinal_of(self.days.date(0), step, self.days.calendar)
        first += int(self._start(first) < 0)
        stop = ordinal_of(self.days.date(self.days.count), step, self.days.calendar)
        if stop <= first:
            raise ValueError(f"no year lies wholly in {self.days.text(0)} to {self.days.text(-1)}")
        return TimeAxis(first, stop - first, step, self.days.calendar)

    def _start(self, ordinal: int) -> int:
        step = Step("year", month=self.month)
        return int(encode(np.array([ordinal]), step, self.days.calendar)[0]) - self.days.first

    def edges(self, start: int, stop: int) -> NDArray[np.int64]:
        """[first, stop) positions in the days of the parts of years [start, stop), shape (years, parts, 2)."""
        return self._edges(np.arange(self.years.first + start, self.years.first + stop))

    def _edges(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        spans = [((months_of(name)[0] - self.month) % 12, len(name)) for name in self.names] or [(0, 12)]
        begins = ordinals[:, None] * 12 + self.month - 1 + np.array([first for first, _ in spans])
        ends = begins + np.array([length for _, length in spans])
        months = np.stack([begins, ends], axis=-1)
        found = encode(months.ravel(), Step("month"), self.days.calendar).reshape(months.shape) - self.days.first
        return np.asarray(found, np.int64)

    def reads(self, start: int, stop: int) -> slice:
        edges = self.edges(start, stop)
        return slice(int(edges[..., 0].min()), int(edges[..., 1].max()))

    @property
    def _unfinished(self) -> int:
        return self.years.stop

    def edges_unfinished(self) -> NDArray[np.int64]:
        """The same of the year in which the days end, cut there; empty parts where it has none."""
        return np.minimum(self._edges(np.array([self._unfinished])), self.days.count)

    def reads_unfinished(self) -> slice:
        # At least one day: nothing at all cannot be read.
        edges = self.edges_unfinished()
        return slice(min(int(edges[..., 0].min()), self.days.count - 1), self.days.count)

    @property
    def idle(self) -> bool:
        """Whether the days end with a year."""
        return self._start(self._unfinished) >= self.days.count

    @property
    def unfinished_text(self) -> str:
        """Which days the provisional numbers are of."""
        if self.idle:
            return "no days yet"
        return f"{self.days.text(self._start(self._unfinished))} to {self.days.text(-1)}"

    def coords(self) -> dict[str, xr.Variable]:
        if not self.names:
            return {}
        numbers = np.arange(len(self.names), dtype=np.int32)
        attrs = {
            "long_name": "part of the year, by the initials of its months",
            "flag_values": numbers.tolist(),
            "flag_meanings": " ".join(self.names),
        }
        return {"months": xr.Variable(("months",), numbers, attrs)}

    def key(self) -> dict[str, Any]:
        return {"starts": self.month, "months": list(self.names)}
