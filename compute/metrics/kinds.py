"""The metrics by name. A new one is a module of its own and a line here."""

from __future__ import annotations

from compute.metrics.dry_days import DryDays
from compute.metrics.kind import Kind
from compute.metrics.soil_season import SoilSeason
from compute.metrics.ssmi import Ssmi
from compute.metrics.threshold_season import ThresholdSeason
from compute.metrics.wet_season import WetSeason
from compute.metrics.wrsi import Wrsi

KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (DryDays, WetSeason, ThresholdSeason, SoilSeason, Wrsi, Ssmi)
}
