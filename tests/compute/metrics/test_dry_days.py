"""Dry days against xclim and a plain count, in every calendar, with gaps, ocean and incomplete years."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from compute.metrics.job import MetricJob
from compute.metrics.options import MetricOptions
from cube.axes import Step, TimeAxis, ordinal_of
from cube.errors import InputError, SpecError
from cube.job import JobContext, ProductView
from cube.options import LayoutOptions
from cube.provenance import Provenance
from cube.template import ArraySpec, Template

CELLS = (2, 3)
MISSING = -32768


def view_of(axis, units="mm d-1", dtype="float32", names=("pr",)):
    spec = ArraySpec(("time", "lat", "lon"), (axis.count, *CELLS), np.dtype(dtype), {"units": units})
    coords = xr.Dataset(coords={"lat": np.arange(2.0), "lon": np.arange(3.0)})
    template = Template(dict.fromkeys(names, spec), coords, axis, ("lat", "lon"), tuple((name,) for name in names))
    layout = template.layout(LayoutOptions(segment="1 years"))
    keys = {block.id: block.id for block in layout.blocks()}
    return ProductView("rain", "inputs", template, layout, keys, Provenance("CC-BY-4.0", "yes"), "f" * 64)


def job_for(view, tmp_path, threshold="1 mm d-1", **options):
    given = MetricOptions(metric="dry_days", input="rain", threshold=threshold, **options)
    return MetricJob.create(given, JobContext(tmp_path, {"rain": view}))


def run(job, values):
    """All blocks of the job over an input held in memory."""
    template = job.template()
    layout = template.layout(LayoutOptions())
    out = {name: np.full(spec.shape, -9, spec.dtype) for name, spec in template.arrays.items()}
    axis = job.series.days
    for block in layout.blocks():
        group = layout.group(block.group)
        slices = group.slices(block)
        if "time" not in slices:
            continue
        window = job.reads(group, slices)["rain"]
        cut = tuple(window.slices.get(dim, slice(None)) for dim in ("time", "lat", "lon"))
        data = xr.Dataset({"pr": (("time", "lat", "lon"), values[cut])}, {"time": axis.encoded()[cut[0]]})
        made = job.compute(group, slices, {"rain": data})
        for name, whole in out.items():
            if name in made:
                whole[tuple(slices[dim] for dim in ("time", "lat", "lon"))] = made[name].transpose("time", "lat", "lon")
    return out


def daily(calendar, start, years, seed=1):
    first = xr.date_range(f"{start}-01-01", periods=1, freq="D", calendar=calendar, use_cftime=True)[0]
    last = f"{start + years - 1}-12-{30 if calendar == '360_day' else 31}"
    days = xr.date_range(f"{start}-01-01", last, freq="D", calendar=calendar, use_cftime=True)
    axis = TimeAxis(ordinal_of(first, Step("day"), calendar), len(days), Step("day"), calendar)
    values = np.random.default_rng(seed).gamma(0.4, 5.0, (len(days), *CELLS)).astype("float32")
    return axis, days, values


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "proleptic_gregorian"])
def test_count_differs_from_xclim(tmp_path, calendar):
    xclim = pytest.importorskip("xclim")
    axis, days, values = daily(calendar, 2001, 5)
    found = run(job_for(view_of(axis), tmp_path), values)
    array = xr.DataArray(values, dims=("time", "lat", "lon"), coords={"time": days}, attrs={"units": "mm/day"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = xclim.indices.dry_days(array, thresh="1 mm/day", freq="YS")
    np.testing.assert_array_equal(found["dry_days"], expected.values)
    np.testing.assert_array_equal(
        found["valid_days"], np.full_like(found["valid_days"], 0) + lengths(days)[:, None, None]
    )


def lengths(days):
    years = np.array([day.year for day in days])
    return np.array([np.count_nonzero(years == year) for year in np.unique(years)])


def test_ocean_or_a_year_with_holes_counts_as_dry_or_wet(tmp_path):
    axis, _, values = daily("noleap", 2001, 3)
    values[:, 0, 0] = np.nan
    values[365 : 365 + 18, 1, 1] = np.nan  # 347 of 365 days: just enough
    values[365 : 365 + 19, 1, 2] = np.nan  # 346: too few
    found = run(job_for(view_of(axis), tmp_path), values)
    assert (found["dry_days"][:, 0, 0] == MISSING).all()
    assert (found["valid_days"][:, 0, 0] == 0).all()
    assert found["dry_days"][1, 1, 1] == np.count_nonzero(values[365:730, 1, 1] < 1)
    assert found["dry_days"][1, 1, 2] == MISSING
    assert found["valid_days"][1, 1, 2] == 346


def test_year_that_is_not_whole_has_a_number(tmp_path):
    axis, _, values = daily("standard", 2001, 3)
    cut = TimeAxis(axis.first + 100, axis.count - 150, axis.step, axis.calendar)
    job = job_for(view_of(cut), tmp_path)
    assert [job.kind.periods.text(0), job.kind.periods.count] == ["2002-01-01", 1]
    found = run(job, values[100:-50])
    np.testing.assert_array_equal(found["dry_days"][0], np.count_nonzero(values[365:730] < 1, axis=0))
    for first, count in ((1, 364), (200, 300), (364, 365)):
        part = TimeAxis(axis.first + first, count, axis.step, axis.calendar)
        with pytest.raises(InputError, match="no year"):
            job_for(view_of(part), tmp_path)


def test_value_at_the_threshold_counts(tmp_path):
    axis, _, values = daily("noleap", 2001, 1)
    values[:] = 1.0
    assert (run(job_for(view_of(axis), tmp_path), values)["dry_days"] == 0).all()


def test_threshold_in_other_units_counts_other_days(tmp_path):
    axis, _, values = daily("noleap", 2001, 1)
    job = job_for(view_of(axis, units="kg m-2 s-1"), tmp_path)
    expected = np.count_nonzero(values < 1, axis=0)
    np.testing.assert_array_equal(run(job, values / np.float32(86400))["dry_days"][0], expected)


def test_input_that_is_not_daily_is_counted(tmp_path):
    for axis in (None, TimeAxis(0, 30, Step("month"), "standard")):
        view = view_of(TimeAxis(0, 30, Step("day"), "standard"))
        template = Template(view.template.arrays, view.template.coords, axis, view.template.space, view.template.groups)
        other = ProductView("rain", "inputs", template, view.layout, {}, view.provenance, "f" * 64)
        with pytest.raises(InputError) as caught:
            job_for(other, tmp_path)
        assert "step: day" in caught.value.problems[0].fix


def test_one_of_several_variables_is_guessed(tmp_path):
    view = view_of(TimeAxis(0, 800, Step("day"), "standard"), names=("pr", "tas"))
    with pytest.raises(InputError, match="pr, tas"):
        job_for(view, tmp_path)
    with pytest.raises(InputError, match="huss"):
        job_for(view, tmp_path, variable="huss")
    assert job_for(view, tmp_path, variable="pr").template().arrays["dry_days"].shape == (2, *CELLS)


def test_threshold_of_another_kind_is_taken(tmp_path):
    with pytest.raises(SpecError):
        job_for(view_of(TimeAxis(0, 800, Step("day"), "standard")), tmp_path, threshold="1 K")
    with pytest.raises(ValueError, match="unit"):
        MetricOptions(metric="dry_days", input="rain", threshold="1")


def test_key_misses_what_a_block_reads(tmp_path):
    job = job_for(view_of(TimeAxis(0, 800, Step("day"), "standard")), tmp_path)
    layout = job.template().layout(LayoutOptions())
    group = layout.groups[0]
    for block in (each for each in layout.blocks() if each.group == group.name):
        window = job.reads(group, group.slices(block))["rain"]
        touched = {b.id for b in job.inputs["rain"].layout.overlapping("pr", window.slices)}
        assert {each.split(":")[2] for each in job.identities(group, group.slices(block))} == touched


def test_results_change_without_a_new_revision(tmp_path):
    axis, _, values = daily("360_day", 2001, 4)
    found = run(job_for(view_of(axis), tmp_path), values)
    # A plain second implementation; whoever changes what it expects raises `revision`.
    expected = [
        [[sum(day < 1 for day in values[360 * y : 360 * (y + 1), i, j]) for j in range(3)] for i in range(2)]
        for y in range(4)
    ]
    assert found["dry_days"].tolist() == expected
    assert MetricJob.revision == 3
