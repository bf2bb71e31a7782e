"""What a model is trained on and what it is tested on: whole sites, whole years and whole runs are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Splits:
    """Which sites (site,) and which days (sample,) are held out, and which days belong to runs that are."""

    sites: Flags
    years: Flags
    runs: Flags

    @classmethod
    def of(
        cls,
        stratum: NDArray[Any],
        run: NDArray[Any],
        year: NDArray[Any],
        share: float,
        years: Sequence[tuple[int, int]],
        runs: Sequence[int],
        seed: int,
    ) -> Splits:
        """share of the sites of each stratum, so that all climates are tested; at least one site in all."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(stratum))
        order = order[np.argsort(stratum[order], kind="stable")]
        # Every so many sites along the strata: each gives its share however few sites it has.
        count = max(1, round(share * len(order)))
        sites = np.zeros(len(order), bool)
        sites[order[np.linspace(0, len(order) - 1, count).round().astype(int)]] = True
        held = np.zeros(len(year), bool)
        for first, last in years:
            held |= (year >= first) & (year <= last)
        return cls(sites, held, np.isin(run, list(runs)))

    @property
    def training(self) -> tuple[Flags, Flags]:
        """Sites and days that are trained on."""
        return ~self.sites, ~(self.years | self.runs)

    @property
    def tests(self) -> dict[str, tuple[Flags, Flags]]:
        """Sites and days of each test by name: unseen sites in unseen years, and in runs that were held out."""
        return {"unseen": (self.sites, self.years & ~self.runs), "scenario": (self.sites, self.runs)}
