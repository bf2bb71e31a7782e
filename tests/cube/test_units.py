"""Unit conversions, against numbers from SI and from archives' documentation."""

from __future__ import annotations

import pytest

from cube.errors import SpecError
from cube.units import conversion, parse_unit, quantity


@pytest.mark.parametrize(
    ("source", "target", "factor", "offset"),
    [
        ("kg m-2 s-1", "mm d-1", 86400.0, 0.0),
        ("mm s-1", "mm d-1", 86400.0, 0.0),
        ("mm/day", "mm d-1", 1.0, 0.0),
        ("mm day-1", "kg m-2 s-1", 1 / 86400, 0.0),
        ("kg m-2", "mm", 1.0, 0.0),
        ("degC", "K", 1.0, 273.15),
        ("degrees Celsius", "K", 1.0, 273.15),
        ("degK", "K", 1.0, 0.0),
        ("percent", "1", 0.01, 0.0),
        ("m**3 m**-3", "m3 m-3", 1.0, 0.0),
        ("W m-2", "J m-2 s-1", 1.0, 0.0),
        ("hPa", "Pa", 100.0, 0.0),
        ("mm/6h", "mm d-1", 4.0, 0.0),
    ],
)
def test_spelling_of_an_archive_is_misread(source, target, factor, offset):
    assert conversion(source, target) == pytest.approx((factor, offset), rel=1e-12)


@pytest.mark.parametrize(("source", "target"), [("K", "mm d-1"), ("kg m-2", "mm d-1"), ("m", "m3 m-3"), ("1", "mm")])
def test_units_of_another_kind_do_not_convert(source, target):
    with pytest.raises(ValueError):
        conversion(source, target)


@pytest.mark.parametrize("text", ["bananas", "kg m-2 s-1 please", "m^^2"])
def test_unknown_unit_is_refused(text):
    with pytest.raises(ValueError):
        parse_unit(text)


def test_threshold_in_another_spelling_is_the_same():
    assert quantity("1 mm d-1", "kg m-2 s-1", "threshold") == pytest.approx(1 / 86400)
    assert quantity("25 degC", "K", "threshold") == pytest.approx(298.15)
    assert quantity("1e-1 mm/day", "mm d-1", "threshold") == pytest.approx(0.1)


@pytest.mark.parametrize("text", [1, 0.5, "1", "mm d-1", "one mm d-1", "1 K"])
def test_bare_number_or_wrong_unit_is_refused_with_the_fix(text):
    with pytest.raises(SpecError) as caught:
        quantity(text, "mm d-1", "products.dry-days.threshold")
    assert "mm d-1" in caught.value.problems[0].fix
    assert "products.dry-days.threshold" in str(caught.value)


@pytest.mark.parametrize("text", ["0.51", "0.1", "0.01", "11", "50", "-1.1", "1.", "5-1", "2+1", "1.2.1"])
def test_number_without_a_unit_loses_its_last_digit(text: str) -> None:
    with pytest.raises(SpecError) as refused:
        quantity(text, "1", "missing")
    assert [problem.code for problem in refused.value.problems] == ["unit-missing"]


@pytest.mark.parametrize(("text", "number"), [("0.51 1", 0.51), ("50%", 0.5), ("51 %", 0.51), (" 5e-1  1 ", 0.5)])
def test_number_with_a_unit_is_refused_or_another(text: str, number: float) -> None:
    assert quantity(text, "1", "missing") == pytest.approx(number)
