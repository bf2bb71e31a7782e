"""Maps of the job against plain scores of the same products; what is left out; and all that is refused at once."""

from __future__ import annotations

import numpy as np
import pytest

from compute.evaluation import structure
from compute.evaluation.baselines import HALF_WINDOW
from compute.evaluation.days import Seasons
from compute.evaluation.scores import SCORES
from cube.errors import InputError
from cube.layout import Block
from cube.options import LayoutOptions
from cube.soil_layers import SOIL_LAYERS

from . import plain
from .products import CELLS, COLUMN, EMULATOR, LAT, LON, Product, days, evaluate, maps, water
from .test_baselines import dates_of

CELL = (1, 2)


def both(calendar="standard", count=1500, **sim):
    """A reference, and a simulation that starts 400 days later, with one missing cell each."""
    axis = days("2001-03-01", count, calendar)
    season = 360 if calendar == "360_day" else 365
    told, made = water(count, 1, season=season), water(count, 1, noise=0.005, season=season)
    told["smcl"][:, :, 0, 0] = np.nan
    made["smcl"][:, :, 0, 1] = np.nan
    late = type(axis)(axis.first + 400, count - 400, axis.step, calendar)
    reference = Product("column", told, axis, attrs=COLUMN)
    simulation = Product("emulated", {k: v[400:] for k, v in made.items()}, late, attrs=EMULATOR, **sim)
    return simulation, reference


def theta(product, layer):
    thickness = product.view.template.coords["depth_bnds"].values
    return (product.values["smcl"][:, layer] / (1000 * np.diff(thickness)[layer])).astype("f4")


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_maps_differ_from_plain_scores(calendar):
    simulation, reference = both(calendar)
    soil = Product("soil", {"sm_sat": np.full(CELLS, 0.4, "f4")})
    buckets = Product(
        "buckets", {k: v[50:700] for k, v in water(1100, 1, 0.02).items()}, days("2002-06-20", 650, calendar)
    )
    period = {"start": "2002-06-01", "end": "2004-11-30"}
    products = (simulation, reference, buckets, soil)
    job = evaluate(*products, period=period, soil="soil", baselines=["buckets"])
    found = maps(job, *products)
    compared = job.compared
    dates = dates_of(compared.days)
    assert [(d.year, d.month, d.day) for d in (dates[0], dates[-1])] == [(2002, 6, 1), (2004, 11, 30)]
    start, stop = (compared.days.first - reference.view.template.time.first, compared.days.count)
    season = Seasons.of(compared.days).day
    series = {"theta_2": theta(reference, 1), "beta": reference.values["fsmc"][:, 0]}
    own = {"theta_2": theta(simulation, 1), "beta": simulation.values["fsmc"][:, 0]}
    other = {"theta_2": theta(buckets, 1), "beta": buckets.values["fsmc"][:, 0]}
    for place, name in ((1, "theta_2"), (4, "beta")):
        o = series[name][(slice(start, start + stop), *CELL)].astype("f8")
        s = own[name][(slice(start - 400, start - 400 + stop), *CELL)].astype("f8")
        threshold = 0.5 if name == "beta" else np.percentile(o, 20)
        assert float(found[structure.THRESHOLD][place][CELL]) == pytest.approx(threshold, rel=1e-6)
        climate = plain.climatology(
            series[name][(slice(None), *CELL)].astype("f8"),
            list(dates_of(reference.template.time)),
            list(range(start, start + stop)),
        )
        whole = np.full(stop, np.nan)
        shift = buckets.template.time.first - compared.days.first
        whole[shift : shift + 650] = other[name][(slice(None), *CELL)]
        before = Seasons.of(compared.days).before - reference.template.time.first
        earlier = series[name][(np.maximum(before, 0), *CELL)].astype("f8")
        earlier[before < 0] = np.nan
        predicted = {
            "simulation": s,
            "climatology": climate.astype("f4").astype("f8"),
            "persistence": earlier,
            "buckets": whole,
        }
        for row, (predictor, p) in enumerate(predicted.items()):
            expected = plain.scores(p, o, season, threshold)
            if predictor == "climatology":
                del expected["anomaly_r"]
                assert np.isnan(found["anomaly_r"][row, place]).all()
            for score, value in expected.items():
                assert float(found[score][row, place][CELL]) == pytest.approx(value, rel=2e-5, abs=1e-7), (
                    predictor,
                    score,
                )
            same = np.isfinite(p) & np.isfinite(o)
            rmse = np.sqrt(((s - o)[same] ** 2).mean())
            assert float(found["simulation_rmse"][row, place][CELL]) == pytest.approx(rmse, rel=1e-5)
            low, high = np.percentile(o, [5, 95])
            scale = high - low if name == "beta" else 0.4
            assert float(found["nrmse"][row, place][CELL]) == pytest.approx(expected["rmse"] / scale, rel=1e-5)
    assert (found["paired_days"].values[:, :4, 0, 0] == 0).all()
    assert (found["paired_days"].values[:, :4, 0, 1] == 0).all()
    assert (found["paired_days"].values[:, 4, 0, 0] > 0).all()
    assert np.isnan(found["rmse"].values[:, :4, 0, :2]).all()


def test_scores_depend_on_the_cut_into_blocks():
    simulation, reference = both()
    simulation.values["smcl"][200:230, :, 2] = np.nan
    job = evaluate(simulation, reference)
    whole = maps(job, simulation, reference)
    for cells in (1, 2, 3):
        cut = maps(job, simulation, reference, cells=cells)
        for name in structure.MAPS:
            assert cut[name].values.tobytes() == whole[name].values.tobytes(), name


def test_surface_soil_moisture_is_compared_with_another_layer_or_unit():
    simulation, _ = both()
    rng = np.random.default_rng(5)
    retrieved = (20 + 8 * rng.random((1100, *CELLS))).astype("f4")
    retrieved[rng.random(retrieved.shape) < 0.5] = np.nan
    axis = simulation.template.time
    smap = Product("smap", {"soil_moisture": retrieved}, axis, units={"soil_moisture": "%"})
    job = evaluate(simulation, smap, variables=[{"simulation": "smcl", "reference": "soil_moisture", "depth": "5 cm"}])
    (target,) = job.compared.targets
    assert (target.name, target.units) == ("soil_moisture", "m3 m-3")
    assert target.long_name.endswith("from 0 to 0.1 m, against soil_moisture of the reference down to 0.05 m")
    assert job.compared.windows({})["emulated"].slices["depth"] == slice(0, 1)
    found = maps(job, simulation, smap)
    expected = plain.scores(
        theta(simulation, 0)[(slice(None), *CELL)],
        (retrieved[(slice(None), *CELL)] * np.float32(0.01)),
        Seasons.of(axis).day,
        0.25,
    )
    for name in ("paired_days", "rmse", "r", "anomaly_r", "nse"):
        assert float(found[name][0, 0][CELL]) == pytest.approx(expected[name], rel=1e-5), name
    notes = " ".join(job.notes()["notes"])
    assert "down to 0.05 m" in notes
    assert "an estimate with errors of its own" in notes


def test_another_vegetation_or_layer_than_named_is_read():
    simulation, reference = both(pfts=(4,))
    values = {
        "smcl": reference.values["smcl"],
        "fsmc": np.concatenate(
            [np.zeros((1500, 3, *CELLS), "f4"), reference.values["fsmc"], np.ones((1500, 1, *CELLS), "f4")], 1
        ),
    }
    many = Product("jules", values, reference.template.time, pfts=(1, 2, 3, 4, 5), units={"smcl": "mm"})
    pairs = [{"simulation": "fsmc", "reference": "fsmc"}, {"simulation": "smcl", "reference": "smcl"}]
    job = evaluate(simulation, many, variables=pairs)
    assert job.compared.windows({})["jules"].slices["pft"] == slice(3, 4)
    assert [each.name for each in job.compared.targets] == ["beta", "theta_1", "theta_2", "theta_3", "theta_4"]
    found, plainer = maps(job, simulation, many), maps(evaluate(simulation, reference), simulation, reference)
    np.testing.assert_array_equal(found["rmse"][0, 0], plainer["rmse"][0, 4])
    np.testing.assert_array_equal(found["rmse"][0, 1:], plainer["rmse"][0, :4])
    one = evaluate(simulation, many, variables=[{"simulation": "fsmc", "reference": "fsmc", "pft": 4}])
    np.testing.assert_array_equal(maps(one, simulation, many)["rmse"][0, 0], found["rmse"][0, 0])


def sample(cells, shift=0.0):
    lat, lon = np.meshgrid(LAT, LON, indexing="ij")
    values = {"cell": np.array(cells), "latitude": lat.reshape(-1)[cells] + shift, "longitude": lon.reshape(-1)[cells]}
    return Product("sites", values)


def test_cells_that_a_model_was_trained_on_are_evaluated():
    simulation, reference = both()
    sites = sample([2, 7, 11])
    products = (simulation, reference, sites)
    for cells in (2, 100):
        found = maps(evaluate(*products, trained_on="sites"), *products, cells=cells)
        plainer = maps(evaluate(simulation, reference), simulation, reference)
        seen = np.isin(np.arange(12), [2, 7, 11]).reshape(CELLS)
        assert (found["paired_days"].values[..., seen] == 0).all()
        assert np.isnan(found["rmse"].values[..., seen]).all()
        np.testing.assert_array_equal(found["rmse"].values[..., ~seen], plainer["rmse"].values[..., ~seen])
    job = evaluate(simulation, reference, sample([2, 7], 0.5), trained_on="sites")
    with pytest.raises(InputError) as refused:
        maps(job, simulation, reference, sample([2, 7], 0.5))
    assert refused.value.problems[0].code == "cells-differ"


def test_a_single_year_has_anomalies():
    simulation, reference = both()
    job = evaluate(simulation, reference, period={"start": "2003", "end": "2003"})
    found = maps(job, simulation, reference)
    assert np.isnan(found["anomaly_r"]).all()
    assert np.isfinite(found["r"].values[(slice(None), 2, *CELL)]).all()
    assert any("anomalies" in note for note in job.notes()["notes"])
    alone = evaluate(
        simulation, reference, period={"start": "2003", "end": "2003"}, climatology={"start": "2003", "end": "2003"}
    )
    made = maps(alone, simulation, reference)
    assert (made["paired_days"].values[1] == 0).all()
    assert any("climatology" in note for note in alone.notes()["notes"])


def test_more_of_the_reference_is_read_than_is_used():
    simulation, reference = both()
    job = evaluate(
        simulation, reference, period={"start": "2003", "end": "2003"}, climatology={"start": "2002", "end": "2003"}
    )
    read = job.compared.windows({"lat": slice(0, 1), "lon": slice(0, 4)})
    # 2001-03-01 is 306 days before 2002; the simulation starts 400 days later.
    assert read["column"].slices["time"] == slice(306, 306 + 730)
    assert read["emulated"].slices["time"] == slice(306 + 365 - 400, 306 + 730 - 400)
    assert HALF_WINDOW == 7  # told in the attributes and the report


def problems(*products, **options):
    with pytest.raises(InputError) as refused:
        evaluate(*products, **options)
    return {(each.code, each.where) for each in refused.value.problems}


def test_problems_are_told_one_by_one():
    simulation, reference = both(pfts=(5,))
    wrong = Product("wrong", {"fsmc": reference.values["fsmc"]}, reference.template.time, lat=(20.0, 20.5, 21.0))
    soil = Product("soil", {"clay": np.zeros(CELLS, "f4")})
    assert problems(simulation, wrong, soil, soil="soil") == {
        ("cells-differ", "wrong (with emulated)"),
        ("variable-unknown", "wrong"),
        ("variable-unknown", "emulated"),
        ("statics-missing", "soil"),
    }


def test_products_that_cannot_be_compared_are():
    simulation, reference = both()
    values = water(1500, 2)
    axis = reference.template.time
    other = Product("other", values, days("2001-03-01", 1500, "noleap"))
    assert problems(simulation, other) == {("calendars-differ", "emulated, other")}
    thick = Product("thick", values, axis, layers=(0.1, 0.25, 0.65, 1.0))
    assert problems(simulation, thick) == {("soil-layers-differ", "thick")}
    fewer = Product("fewer", {"smcl": values["smcl"][:, :3]}, axis, layers=SOIL_LAYERS[:3])
    assert problems(simulation, reference, fewer, baselines=["fewer"]) == {
        ("soil-layers-differ", "fewer"),
        ("variable-unknown", "fewer"),
    }
    late = Product("late", values, days("2011-03-01", 1500))
    assert problems(simulation, late) == {("no-common-days", "emulated, late")}
    assert problems(simulation, reference, late, baselines=["late"]) == {("no-common-days", "late")}
    assert problems(simulation, reference, period={"start": "1990", "end": "1991"}) == {
        ("no-common-days", "emulated, column")
    }
    assert problems(simulation, reference, climatology={"end": "1991"}) == {("reference-not-covered", "column")}
    unit = Product("unit", values, axis, units={"smcl": "K"})
    assert problems(simulation, unit) == {("unit-unknown", "unit")}
    soil = Product("soil", {"sm_sat": np.zeros(CELLS, "f4")}, attrs={"statics": "hwsd 2", "curve": "brooks_corey"})
    simulation = Product("emulated", simulation.values, simulation.template.time, attrs={"statics": "hwsd 1"})
    assert problems(simulation, reference, soil, soil="soil") == {("soil-mixed", "soil")}
    assert problems(simulation, reference, soil, trained_on="soil") == {("variable-unknown", "soil")}
    monthly = Product("flat", {"smcl": values["smcl"][0], "fsmc": values["fsmc"][0]})
    assert ("not-daily", "flat") in problems(simulation, monthly)


@pytest.mark.parametrize(
    "variables",
    [
        [{"simulation": "smcl", "reference": "fsmc"}],
        [{"simulation": "fsmc", "reference": "soil_moisture", "depth": "5 cm"}],
        [{"simulation": "smcl", "reference": "soil_moisture"}],
        [{"simulation": "smcl", "reference": "soil_moisture", "depth": "0.05"}],
        [{"simulation": "smcl", "reference": "soil_moisture", "depth": "5 K"}],
        [{"simulation": "smcl", "reference": "soil_moisture", "depth": "-5 cm"}],
        [{"simulation": "smcl", "reference": "smcl", "depth": "5 cm"}],
        [{"simulation": "smcl", "reference": "smcl"}, {"simulation": "smcl", "reference": "smcl"}],
        [],
    ],
)
def test_comparison_that_means_nothing_is_taken(variables):
    simulation, reference = both()
    with pytest.raises(ValueError):
        evaluate(simulation, reference, variables=variables)
    with pytest.raises(ValueError, match="named twice"):
        evaluate(simulation, reference, baselines=["column"])


def test_structure_tells_too_little():
    simulation, reference = both()
    job = evaluate(simulation, reference)
    template = job.template()
    layout = template.layout(LayoutOptions())
    assert [len(group.variables) for group in layout.groups] == [len(SCORES) + 1, 2 * len(SCORES) + 1]
    assert template.arrays["rmse"].dims == ("predictor", "target", "lat", "lon")
    assert template.coords["predictor"].attrs["flag_meanings"] == "simulation climatology persistence"
    assert template.coords["target"].attrs["flag_meanings"] == "theta_1 theta_2 theta_3 theta_4 beta"
    assert all({"units", "long_name"} <= set(each.attrs) for each in template.arrays.values())
    assert "5th to its 95th percentile" in template.arrays["nrmse"].attrs["comment"]
    assert "20th percentile" in template.arrays[structure.THRESHOLD].attrs["comment"]
    assert set(map(str, template.coords.variables)) == {"lat", "lon", "predictor", "target", "quantile"}
    assert template.read_bytes == 4 * 5 * (1100 + 1500)
    (report,) = template.files.values()
    assert (report.beside, report.media_type, report.roles) == ("beaten", "text/html", ("overview",))
    summary = layout.group_of("beaten")
    (block,) = (each for each in layout.blocks() if each.group == summary.name)
    assert job.builds_on(layout, [block.id]) == {each.id for each in layout.blocks() if each != block}
    assert job.builds_on(layout, [each.id for each in layout.blocks() if each != block]) == set()


def test_report_of_another_version_is_kept():
    simulation, reference = both()
    newer = Product("column", reference.values, reference.template.time, attrs=COLUMN, fingerprint="e" * 64)
    jobs = evaluate(simulation, reference), evaluate(simulation, newer)
    layout = jobs[0].template().layout(LayoutOptions())
    kept = []
    for name in ("paired_days", "beaten"):
        group = layout.group_of(name)
        slices = group.slices(Block("time", group.name, (0,) * len(group.dims)))
        first, second = (list(job.identities(group, slices)) for job in jobs)
        kept.append(first == second)
    assert kept == [True, False]
    assert jobs[0].key_options() == jobs[1].key_options()
