"""The sources, on a small synthetic archive in their own conventions, compared with other readers."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

from cube.units import parse_unit
from ingest.declaration import Source
from ingest.samples import LatLonGrid, SampleSettings, write_sample_archive
from ingest.sources import SOURCES

from .looking import assert_one_ulp, codes, look, originals, refused, values
from .small_files import write

TINY = SampleSettings(
    africa=LatLonGrid.africa(10.0),
    observation_years=(2003, 2004),
    cru_ncep_years=1,
    haduk_years=1,
    historical_start=2004,
    scenario_end=2007,
    sif_months=2,
    smap_days=3,
)


@pytest.fixture(scope="module")
def archive_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "archive"
    write_sample_archive(folder, TINY)
    return folder


def raw(path: Path, name: str) -> np.ndarray:
    """A variable as stored."""
    with netCDF4.Dataset(path) as dataset:
        dataset.set_auto_maskandscale(False)
        return np.asarray(dataset[name][:])


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_declarations_are_complete(source: Source) -> None:
    assert source.title
    assert source.description
    assert source.redistribution in ("yes", "no", "unknown")
    names = [variable.name for variable in source.variables]
    assert len(names) == len(set(names))
    for variable in source.variables:
        assert variable.archive
        if variable.units is not None:
            parse_unit(variable.units)
        for unit in variable.spellings.values():
            parse_unit(unit)
    if source.name != "cf":
        assert source.citations
        assert source.providers
    assert set(source.aliases.values()) <= set(source.properties.values())


def test_tamsat_native_bytes_over_new_year(archive_folder: Path) -> None:
    months = ("2003/12", "2004/01", "2004/02", "2004/03")
    archive = look(archive_folder, [f"tamsat/v3-native/{month}/*.nc" for month in months], "tamsat")
    time = archive.time
    assert time is not None
    assert (time.count, time.text(0), time.text(-1)) == (122, "2003-12-01", "2004-03-31")
    variable = archive.variables["pr"]
    paths = [path for month in months for path in sorted((archive_folder / "tamsat/v3-native" / month).glob("*.nc"))]
    stored = np.concatenate([raw(path, "rfe") for path in paths])[:, ::-1].astype(np.float32)
    stored[stored == -1] = np.nan
    np.testing.assert_array_equal(values(variable), stored)
    assert variable.attrs["day_begins"] == "06:15"
    assert archive.coords["lat"].values[0] == pytest.approx(TINY.africa.latitude[0], abs=1e-9)
    assert archive.provenance["redistribution"] == "no"


def test_tamsat_prefers_the_filled_estimate(archive_folder: Path) -> None:
    archive = look(archive_folder, "tamsat/v3.1/2004/0[1-4]/*.nc", "tamsat")
    found = values(archive.variables["pr"])
    paths = sorted((archive_folder / "tamsat/v3.1").glob("2004/0[1-4]/*.nc"))
    filled = np.concatenate([xr.open_dataset(path)["rfe_filled"].values for path in paths])[:, ::-1]
    gappy = np.concatenate([xr.open_dataset(path)["rfe"].values for path in paths])[:, ::-1]
    assert np.isnan(gappy).sum() > np.isnan(filled).sum()
    assert_one_ulp(found, filled)


def test_versions_of_tamsat_do_not_mix(archive_folder: Path) -> None:
    patterns = ["tamsat/v3-native/2003/12/*.nc", "tamsat/v3.1/2004/01/*.nc"]
    problems = refused(archive_folder, patterns, "tamsat")
    assert [problem.code for problem in problems] == ["name-mixed"]
    assert "version" in problems[0].what


@pytest.mark.parametrize("months", [2, 5])
def test_tamsat_months_a_file_each(tmp_path: Path, months: int) -> None:
    ends = [30, 58, 89, 119, 150]
    for month in range(months):
        write(tmp_path / f"rfe2001_{month + 1:02d}.v3.1.nc", np.full((1, 3, 4), 62.0), name="rfe_filled",
              times=[float(ends[month])], attrs={"units": "mm"})  # fmt: skip
    archive = look(tmp_path, "*.nc", "tamsat")
    time = archive.time
    assert time is not None
    assert (time.count, str(time.step), time.text(0)) == (months, "month", "2001-01-01")
    np.testing.assert_allclose(values(archive.variables["pr"])[:2, 0, 0], [2, 62 / 28], rtol=1e-7)


def test_a_tamsat_file_with_the_name_of_another_day(archive_folder: Path, tmp_path: Path) -> None:
    for day in ("2003_01_01", "2003_01_02", "2003_01_03"):
        source = archive_folder / f"tamsat/v3-native/2003/01/rfe{day}.v3.nc"
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "rfe2003_01_03.v3.nc").rename(tmp_path / "rfe2003_01_04.v3.nc")
    (problem,) = refused(tmp_path, "*.nc", "tamsat")
    assert (problem.code, problem.where) == ("name-false", "rfe2003_01_04.v3.nc")
    assert look(tmp_path, "*.nc", "tamsat", names="ignore").time is not None


def test_cru_ncep_six_hours_of_noleap_years(archive_folder: Path) -> None:
    archive = look(archive_folder, "cru-ncep/*.nc", "cru")
    time = archive.time
    assert time is not None
    assert (time.count, time.calendar, str(time.step)) == (1460, "noleap", "6 hours")
    rain = raw(archive_folder / "cru-ncep/cruncepv7_rain_2003.nc", "Total_Precipitation")[:, ::-1].astype(float)
    rain[np.isclose(rain, -999.9)] = np.nan
    np.testing.assert_allclose(values(archive.variables["pr"]), rain * 4, rtol=1e-6)
    assert archive.variables["tas"].attrs["units"] == "K"


def test_cru_jra_daily(archive_folder: Path) -> None:
    archive = look(archive_folder, "cru-jra/*.nc", "cru", step="day")
    time = archive.time
    assert time is not None
    assert (time.count, time.calendar, time.text(0)) == (730, "noleap", "2003-01-01")
    steps = np.concatenate([raw(path, "pre") for path in sorted((archive_folder / "cru-jra").glob("*pre*"))])
    daily = steps.astype(float).reshape(730, 4, *steps.shape[1:]).sum(axis=1)
    daily[daily > 1e19] = np.nan
    np.testing.assert_allclose(values(archive.variables["pr"]), daily, rtol=1e-6)
    warm = np.concatenate([raw(path, "tmp") for path in sorted((archive_folder / "cru-jra").glob("*tmp*"))])
    mean = warm.astype(float).reshape(730, 4, *warm.shape[1:]).mean(axis=1)
    mean[mean > 1e19] = np.nan
    np.testing.assert_allclose(values(archive.variables["tas"]), mean, rtol=1e-6)


def test_cru_families_do_not_mix(archive_folder: Path) -> None:
    problems = refused(archive_folder, ["cru-ncep/*tair*.nc", "cru-jra/*tmp*.nc"], "cru")
    assert "name-mixed" in codes(problems)


def test_haduk_on_the_national_grid(archive_folder: Path) -> None:
    archive = look(archive_folder, "haduk/**/*.nc", "haduk")
    assert set(archive.variables) == {"pr", "tasmax", "tasmin"}
    time = archive.time
    assert time is not None
    assert (time.text(0), time.text(-1)) == ("2004-01-01", "2004-12-31")
    assert archive.coords["y"].values.tolist() == TINY.uk.y.tolist()
    assert archive.attrs["crs"]["epsg"] == 27700
    rain = archive.variables["pr"]
    assert (rain.dims, rain.dtype, rain.attrs["day_begins"]) == (("time", "y", "x"), np.float32, "09:00")
    assert "day_begins" not in archive.variables["tasmax"].attrs
    paths = sorted((archive_folder / "haduk/rainfall").glob("*.nc"))
    stored = np.concatenate([xr.open_dataset(path)["rainfall"].values for path in paths])
    assert_one_ulp(values(rain), stored.astype(np.float32))
    paths = sorted((archive_folder / "haduk/tasmax").glob("*.nc"))
    stored = np.concatenate([xr.open_dataset(path)["tasmax"].values for path in paths])
    np.testing.assert_allclose(values(archive.variables["tasmax"]), stored + 273.15, rtol=1e-7)


def test_a_missing_month_of_haduk(archive_folder: Path) -> None:
    folder = archive_folder / "haduk"
    names = [str(path.relative_to(folder)) for path in folder.rglob("*.nc")]
    (problem,) = refused(folder, [name for name in names if "rainfall" not in name or "20040601" not in name], "haduk")
    assert problem.code == "time-gap"
    assert "pr: 30 steps missing in 1 hole: 2004-06-01 to 2004-06-30" in problem.what


def test_isimip_properties_are_the_specifiers_of_the_names(archive_folder: Path) -> None:
    archive = look(archive_folder, "isimip2b/HadGEM2-ES/rcp26/*.nc4", "isimip")
    assert archive.properties == {
        "isimip2b:simulation_round": "ISIMIP2b",
        "isimip2b:climate_forcing": "hadgem2-es",
        "isimip2b:climate_scenario": "rcp26",
        "isimip2b:bias_adjustment": "ewembi",
        "isimip2b:time_step": "day",
        "source_id": "hadgem2-es",
        "experiment_id": "rcp26",
    }
    rain = originals(archive_folder, "isimip2b/HadGEM2-ES/rcp26/pr*.nc4", "pr").astype(float)
    np.testing.assert_allclose(values(archive.variables["pr"]), rain * 86400, rtol=2e-7)
    assert_one_ulp(values(archive.variables["tas"]), originals(archive_folder, "isimip2b/HadGEM2-ES/rcp26/tas*", "tas"))
    one = look(archive_folder, "isimip2b/HadGEM2-ES/rcp26/tas*.nc4", "isimip")
    assert one.properties["isimip2b:variable"] == "tas"


def test_isimip_scenarios_do_not_mix(archive_folder: Path) -> None:
    problems = refused(archive_folder, "isimip2b/**/*.nc4", "isimip")
    assert [problem.code for problem in problems] == ["name-mixed"]
    assert "scenario" in problems[0].what


def test_isimip_needs_its_names(tmp_path: Path) -> None:
    write(tmp_path / "my_tas.nc", times=range(3))
    assert codes(refused(tmp_path, "*.nc", "isimip")) == ["name-unknown"]
    assert look(tmp_path, "*.nc", "isimip", names="ignore").properties == {"isimip2b:simulation_round": "ISIMIP2b"}


@pytest.mark.parametrize(
    ("product", "stem", "shape"), [("SPL3SMP", "P", (406, 964)), ("SPL3SMP_E", "P_E", (1624, 3856))]
)
def test_smap_days_on_their_grid(archive_folder: Path, product: str, stem: str, shape: tuple[int, int]) -> None:
    archive = look(archive_folder, f"smap/{product}/*.h5", "smap", variables=["soil_moisture"])
    time = archive.time
    assert time is not None
    assert (time.count, time.text(0)) == (3, "2004-08-01")
    variable = archive.variables["soil_moisture"]
    assert variable.shape == (3, *shape)
    found = values(variable)
    for day, path in enumerate(sorted((archive_folder / "smap" / product).glob("*.h5"))):
        with h5py.File(path) as file:
            group = file["Soil_Moisture_Retrieval_Data_AM"]
            moisture, flag = group["soil_moisture"][:], group["retrieval_qual_flag"][:]
        moisture[(moisture == -9999) | (flag & 1 != 0)] = np.nan
        np.testing.assert_array_equal(found[day], moisture[::-1])
    # SCIENCE 1.4: the corner of the grid
    assert archive.coords["x_bnds"].values[0, 0] == pytest.approx(-17367530.45, abs=0.01)
    assert archive.coords["y_bnds"].values[-1, 1] == pytest.approx(7314540.83, abs=0.01)
    assert archive.attrs["crs"]["epsg"] == 6933


def test_smap_strict_quality_keeps_less(archive_folder: Path) -> None:
    kept = [
        np.isfinite(
            values(look(archive_folder, "smap/SPL3SMP/*.h5", "smap", quality=quality).variables["soil_moisture"])
        )
        for quality in ("recommended", "strict")
    ]
    assert kept[0].sum() > kept[1].sum() > 0
    assert not (kept[1] & ~kept[0]).any()


def test_smap_flag_keeps_its_integers(archive_folder: Path) -> None:
    variable = look(archive_folder, "smap/SPL3SMP/*.h5", "smap").variables["retrieval_qual_flag"]
    assert (variable.dtype, variable.fill) == (np.uint16, 65534)


@pytest.mark.shared
def test_smap_grid_is_that_of_nsidc(archive_folder: Path, shared: Path) -> None:
    path = shared / "data/ease2-grid-36km/NSIDC0772_LatLon_EASE2_M36km_v1.0.nc"
    archive = look(archive_folder, "smap/SPL3SMP/*.h5", "smap", variables=["soil_moisture"])
    with netCDF4.Dataset(path) as dataset:
        np.testing.assert_allclose(archive.coords["x"], dataset["x"][:], atol=1e-3)
        np.testing.assert_allclose(archive.coords["y"], dataset["y"][::-1], atol=1e-3)


def test_tropomi_keeps_negative_values(archive_folder: Path) -> None:
    box = {"lat": [-10, 10], "lon": [10, 40]}
    archive = look(archive_folder, "tropomi-sif/*.nc", "tropomi", variables=["sif"], area=box)
    time = archive.time
    assert time is not None
    assert (time.text(0), time.text(-1)) == ("2004-07-01", "2004-08-31")
    found = values(archive.variables["sif"])
    paths = sorted((archive_folder / "tropomi-sif").glob("*.nc"))
    boxes = [xr.open_dataset(path)["sif"].sel(lat=slice(*box["lat"]), lon=slice(*box["lon"])) for path in paths]
    expected = np.concatenate([each.values for each in boxes])
    assert_one_ulp(found, expected)
    assert np.nanmin(found) < 0
    assert archive.variables["sif"].attrs["units"] == "mW m-2 nm-1 sr-1"


def test_a_tropomi_month_under_the_name_of_another(archive_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "TROPO_SIF_09-2004.nc").write_bytes((archive_folder / "tropomi-sif/TROPO_SIF_08-2004.nc").read_bytes())
    assert codes(refused(tmp_path, "*.nc", "tropomi", variables=["sif"])) == ["name-false"]


def test_jules_maps(archive_folder: Path) -> None:
    archive = look(archive_folder, "jules/africa/*.nc", "jules")
    time = archive.time
    assert time is not None
    assert (time.text(0), time.text(-1)) == ("2003-01-01", "2004-12-31")
    variable = archive.variables["smcl"]
    assert variable.dims == ("time", "depth", "lat", "lon")
    paths = sorted((archive_folder / "jules/africa").glob("*.nc"))
    stored = np.concatenate([raw(path, "smcl") for path in paths])
    stored[stored < -1e19] = np.nan
    np.testing.assert_array_equal(values(variable), stored)
    assert variable.attrs["day_begins"] == "06:00"
    assert archive.coords["lat"].values[0] == pytest.approx(TINY.africa.latitude[0], abs=1e-4)


def test_jules_land_points_are_put_on_their_map(archive_folder: Path) -> None:
    archive = look(archive_folder, "jules/uk/*.nc", "jules")
    variable = archive.variables["smcl"]
    assert variable.dims == ("time", "depth", "y", "x")
    found = values(variable)
    (path,) = sorted((archive_folder / "jules/uk").glob("*.nc"))
    stored, north, east = raw(path, "smcl"), raw(path, "latitude").ravel(), raw(path, "longitude").ravel()
    assert np.isfinite(found[0, 0]).sum() == len(north)
    import pyproj

    to_grid = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:27700", always_xy=True)
    for point, (x, y) in enumerate(zip(*to_grid.transform(east.astype(float), north.astype(float)), strict=True)):
        row = int(np.abs(archive.coords["y"].values - y).argmin())
        column = int(np.abs(archive.coords["x"].values - x).argmin())
        np.testing.assert_array_equal(found[:, :, row, column], stored[:, :, 0, point])


def test_jules_land_points_on_a_map_of_degrees(tmp_path: Path) -> None:
    north = np.array([5.25, 5.25, 5.75, 6.75], np.float32)
    east = np.array([-1.25, -0.25, -0.75, -0.25], np.float32)
    with netCDF4.Dataset(tmp_path / "run.daily.nc", "w", format="NETCDF3_CLASSIC") as dataset:
        for name, size in {"time": None, "y": 1, "x": 4, "nt": 2}.items():
            dataset.createDimension(name, size)
        for name, data in (("latitude", north), ("longitude", east)):
            variable = dataset.createVariable(name, "f4", ("y", "x"))
            variable.units = "degrees"
            variable[:] = data[None]
        time = dataset.createVariable("time", "f4", ("time",))
        time.setncatts({"units": "seconds since 2008-01-01 00:00:00", "bounds": "time_bounds"})
        time[:] = [86400, 172800]
        dataset.createVariable("time_bounds", "f4", ("time", "nt"))[:] = [[0, 86400], [86400, 172800]]
        beta = dataset.createVariable("beta", "f4", ("time", "y", "x"), fill_value=-1e20)
        beta[:] = [[[1, 2, 3, 4]], [[5, 6, 7, -1e20]]]
    archive = look(tmp_path, "*.nc", "jules")
    assert archive.coords["lat"].values.tolist() == [5.25, 5.75, 6.25, 6.75]
    assert archive.coords["lon"].values.tolist() == [-1.25, -0.75, -0.25]
    gap = np.nan
    expected = [
        [[1, gap, 2], [gap, 3, gap], [gap] * 3, [gap, gap, 4]],
        [[5, gap, 6], [gap, 7, gap], [gap] * 3, [gap] * 3],
    ]
    np.testing.assert_array_equal(values(archive.variables["beta"]), expected)
    assert archive.variables["beta"].source_chunk == (1, 4, 3)
    part = look(tmp_path, "*.nc", "jules", area={"lat": [5.5, 7], "lon": [-1, 0]})
    np.testing.assert_array_equal(values(part.variables["beta"]), np.array(expected)[:, 1:, 1:])


def test_jules_maps_of_the_national_grid(tmp_path: Path) -> None:
    import pyproj

    east, north = np.meshgrid(np.arange(300_500, 305_000, 1000), np.arange(94_500, 90_000, -1000))
    to_degrees = pyproj.Transformer.from_crs("EPSG:27700", "EPSG:4326", always_xy=True)
    longitudes, latitudes = to_degrees.transform(east, north)
    stored = np.arange(25, dtype=np.float32).reshape(5, 5)
    with netCDF4.Dataset(tmp_path / "run.nc", "w") as dataset:
        for name in ("y", "x"):
            dataset.createDimension(name, 5)
        for name, data in (("latitude", latitudes), ("longitude", longitudes), ("smcl", stored)):
            dataset.createVariable(name, "f4", ("y", "x"))[:] = data
    archive = look(tmp_path, "*.nc", "jules")
    assert archive.coords["x"].values.tolist() == east[0].tolist()
    assert archive.coords["y"].values.tolist() == north[::-1, 0].tolist()
    np.testing.assert_array_equal(values(archive.variables["smcl"]), stored[::-1])


def test_the_number_of_soil_layers_must_be_known(archive_folder: Path) -> None:
    problems = refused(archive_folder, "jules/uk/*.nc", "jules", dzsoil=[0.1, 0.9])
    assert codes(problems) == ["soil-layers"]
    assert "dzsoil" in problems[0].fix
    other = look(archive_folder, "jules/uk/*.nc", "jules", dzsoil=[0.1, 0.2, 0.3, 0.4])
    assert other.coords["depth_bnds"].values[-1].tolist() == [0.6, 1.0]


def test_statics_are_products_without_time(archive_folder: Path) -> None:
    archive = look(archive_folder, "statics/africa/soil_texture.nc")
    assert archive.time is None
    assert_one_ulp(
        values(archive.variables["clay"]), originals(archive_folder, "statics/africa/soil_texture.nc", "clay")
    )
