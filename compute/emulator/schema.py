"""What a trained emulator says of itself: what it wants to see, what it yields, what it stands for, and how well.

The schema is JSON inside the model's file, so that the two cannot be parted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from compute.emulator.features import FEATURES, YEAR_LENGTHS
from cube.errors import Problem

FORMAT: Final = 1
TARGETS: Final = ("sat_1", "sat_2", "sat_3", "sat_4", "beta")
"""Saturation of the four soil layers from the top, and soil moisture availability, all with units 1, from 0 to 1."""

_SEASON = ("season_sin", "season_cos")
_SAME: Final = (
    ("emulator-pet", "pet", "compute potential evaporation as the model's training did"),
    ("emulator-pedotransfer", "pedotransfer", "use the model's variant in the soil product, or train the model again"),
    ("emulator-statics", "statics", "use the soil product that the model was trained with, or train the model again"),
    ("emulator-baseline", "baseline", "take mean annual rain of the same baseline, or train the model again"),
)
"""Code, field of a setting that must be equal, what to do where it is not."""


@dataclass(frozen=True)
class Column:
    """A feature as the model knows it.

    units      as CF has them
    low, high  least and largest value in the training data
    """

    name: str
    units: str
    low: float
    high: float


@dataclass(frozen=True)
class Setting:
    """What must be the same where a model is trained and where it is used.

    calendars     of the forcing, as `cube.axes` names them
    pet           formula of potential evaporation, e.g. "oudin"
    pedotransfer  variant that soil properties were made with, e.g. "cosby_jules"
    statics       source and version of texture and leaf area
    baseline      of the mean annual rain, e.g. "own historical 1976-2005"
    features      units by name, in order
    """

    calendars: tuple[str, ...]
    pet: str
    pedotransfer: str
    statics: str
    baseline: str
    features: Mapping[str, str] = field(default_factory=lambda: {each.name: each.units for each in FEATURES})


@dataclass(frozen=True)
class Schema:
    """Everything that is stored with a model.

    columns    the features in the order of the forest's columns
    setting    what it was trained with
    emulates   the model that it stands for, e.g. "column" or "JULES vn7.0"
    targets    what it yields, in order
    buckets    coefficients of the regression on the buckets alone, see `baselines`, shape (5, targets)
    scores     by name, of places and years held out
    training   what it was trained on and how: sites, rows, periods, options
    """

    columns: tuple[Column, ...]
    setting: Setting
    emulates: str
    targets: tuple[str, ...] = TARGETS
    buckets: tuple[tuple[float, ...], ...] = ()
    scores: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bounds(self) -> NDArray[np.float32]:
        """Least and largest value of each feature in the training data, shape (2, features)."""
        return np.array([[each.low for each in self.columns], [each.high for each in self.columns]], np.float32)

    def to_json(self) -> str:
        """Sorted JSON, the same for the same schema."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError, KeyError or TypeError for anything that `to_json` did not write."""
        values = json.loads(text)
        if values.pop("format") != FORMAT:
            raise ValueError(f"the format of its schema is not {FORMAT}")
        columns = tuple(Column(**each) for each in values.pop("columns"))
        setting = values.pop("setting")
        # Sorted JSON lost the order of the features.
        features = {each.name: setting["features"][each.name] for each in columns}
        setting |= {"calendars": tuple(setting["calendars"]), "features": features}
        buckets = tuple(tuple(row) for row in values.pop("buckets"))
        return cls(
            columns=columns,
            setting=Setting(**setting),
            targets=tuple(values.pop("targets")),
            buckets=buckets,
            **values,
        )


def columns_of(low: NDArray[Any], high: NDArray[Any]) -> tuple[Column, ...]:
    """Columns of the features with their ranges, shape (29,) each, in the training data."""
    # The season is periodic: days that thinning left out are not new to the model.
    bounds = [
        (-1.0, 1.0) if each.name in _SEASON else (float(np.float32(least)), float(np.float32(most)))
        for each, least, most in zip(FEATURES, low, high, strict=True)
    ]
    return tuple(Column(each.name, each.units, *found) for each, found in zip(FEATURES, bounds, strict=True))


def mismatches(schema: Schema, wanted: Setting, where: str = "") -> list[Problem]:
    """All reasons not to use a model in a setting other than its own. where: the product or file of the use."""
    problems: list[Problem] = []

    def differ(code: str, what: str, fix: str) -> None:
        problems.append(Problem(code, what, where, "the numbers would look right and be wrong", fix))

    own = schema.setting
    known = {each.name: each.units for each in schema.columns}
    if list(known) != list(wanted.features):
        lacking = [name for name in known if name not in wanted.features]
        beyond = [name for name in wanted.features if name not in known]
        parts = [f"lacks {', '.join(lacking)}"] * bool(lacking) + [f"adds {', '.join(beyond)}"] * bool(beyond)
        found = " and ".join(parts) or "has the same in another order"
        differ("emulator-features", f"the model sees {len(known)} features; the use {found}", "train it again")
    units = [
        f"{name} is in {given}, the model wants {known[name]}"
        for name, given in wanted.features.items()
        if name in known and known[name] != given
    ]
    if units:
        differ("emulator-units", "; ".join(units), "convert the forcing before, or train the model again")
    lengths = {YEAR_LENGTHS[each] for each in own.calendars}
    strange = [each for each in wanted.calendars if YEAR_LENGTHS.get(each) not in lengths]
    if strange:
        found = f"forcing in the calendar {', '.join(strange)}, the model was trained in {', '.join(own.calendars)}"
        differ("emulator-calendar", found, "train it with forcing of this calendar too, or align with `calendar:`")
    for code, name, fix in _SAME:
        if getattr(own, name) != getattr(wanted, name):
            what = f"{name} is {getattr(wanted, name)!r}, the model was trained with {getattr(own, name)!r}"
            differ(code, what, fix)
    return problems
