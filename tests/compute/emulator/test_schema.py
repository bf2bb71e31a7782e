"""What a model says of itself survives its file, and keeps it from being used where it does not belong."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from compute.emulator.features import FEATURES, NAMES
from compute.emulator.schema import Schema, columns_of, mismatches
from cube.units import parse_unit

from .conftest import SETTING, changed, rows_of, schema_of


def units(**changes):
    return {**{each.name: each.units for each in FEATURES}, **changes}


def test_same_setting_is_refused():
    schema = schema_of(rows_of(50)[0])
    assert mismatches(schema, SETTING) == []
    assert mismatches(Schema.from_json(schema.to_json()), changed(calendars=("noleap",))) == []


@pytest.mark.parametrize(
    ("wanted", "code", "said"),
    [
        (changed(features={k: v for k, v in units().items() if k != "lai"}), "features", "lacks lai"),
        (changed(features=units(frost="1")), "features", "adds frost"),
        (changed(features=dict(reversed(units().items()))), "features", "another order"),
        (changed(features=units(pr="kg m-2 s-1", tas="K")), "units", "pr is in kg m-2 s-1.*wants mm d-1; tas is in K"),
        (changed(calendars=("360_day",)), "calendar", "360_day.*trained in noleap"),
        (changed(calendars=("noleap", "standard")), "calendar", "calendar standard"),
        (changed(pet="hargreaves"), "pet", "hargreaves.*oudin"),
        (changed(pedotransfer="cosby1984"), "pedotransfer", "cosby1984.*cosby_jules"),
        (changed(statics="SoilGrids 2.0"), "statics", "SoilGrids.*made up"),
        (changed(baseline="own 1991-2020"), "baseline", "1991-2020.*1976-2005"),
    ],
)
def test_model_is_used_in_another_setting(wanted, code, said):
    (problem,) = mismatches(schema_of(rows_of(50)[0]), wanted, "emulated-rcp60")
    assert problem.code == f"emulator-{code}"
    assert problem.where == "emulated-rcp60"
    assert re.search(said, problem.what)
    assert problem.danger
    assert problem.fix


def test_first_mismatch_hides_the_others():
    wanted = changed(pet="hargreaves", statics="SoilGrids 2.0", calendars=("360_day",), features=units(pr="m s-1"))
    codes = [problem.code for problem in mismatches(schema_of(rows_of(50)[0]), wanted)]
    assert codes == ["emulator-units", "emulator-calendar", "emulator-pet", "emulator-statics"]


def test_calendars_with_years_of_one_length_are_told_apart():
    schema = schema_of(rows_of(50)[0], setting=changed(calendars=("standard", "360_day")))
    wanted = changed(calendars=("proleptic_gregorian", "360_day"))
    assert mismatches(schema, wanted) == []
    assert [each.code for each in mismatches(schema, changed(calendars=("noleap",)))] == ["emulator-calendar"]


def test_schema_is_another_after_its_json():
    features, _ = rows_of(50)
    schema = schema_of(
        features, buckets=((0.1, 0.2), (0.3, 1 / 3)), scores={"beta": {"rmse": 0.04}}, training={"sites": 1000}
    )
    again = Schema.from_json(schema.to_json())
    assert again == schema
    assert again.to_json() == schema.to_json()
    assert list(again.setting.features) == list(NAMES)
    np.testing.assert_array_equal(again.bounds[:, 5], [features[:, 5].min(), features[:, 5].max()])
    assert json.loads(schema.to_json())["columns"][0] == {
        "name": "pr",
        "units": "mm d-1",
        "low": float(features[:, 0].min()),
        "high": float(features[:, 0].max()),
    }


def test_thinned_days_of_the_year_are_strange_to_the_model():
    columns = columns_of(np.full(29, 0.25), np.full(29, 0.5))
    found = {each.name: (each.low, each.high) for each in columns}
    assert found.pop("season_sin") == found.pop("season_cos") == (-1, 1)
    assert set(found.values()) == {(0.25, 0.5)}


def test_feature_has_units_that_nobody_reads():
    for feature in FEATURES:
        parse_unit(feature.units)
