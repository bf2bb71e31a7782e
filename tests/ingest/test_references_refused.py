"""Archives that one set of references cannot stand for: each is refused, with the reason and the files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from ingest.references import ReferencesRefused, build_references
from ingest.references.proof import differences, ranges_outside
from ingest.references.scan import scan
from ingest.references.writing import reference_set

from .reference_archive import LAT, build, field, referenced, refusals, write_days


def pair(folder: Path, first: dict[str, Any] | None = None, second: dict[str, Any] | None = None) -> list[Path]:
    """Two consecutive files of three days, written as told."""
    return [write_days(folder / "a.nc", 0, 3, **(first or {})), write_days(folder / "b.nc", 3, 3, **(second or {}))]


PACKED: dict[str, Any] = {"dtype": "i2", "fill": -1, "values": np.ones((3, 6, 8), "i2")}


@pytest.mark.parametrize(
    ("code", "words", "first", "second"),
    [
        ("references-packing", "scale_factor of rain is 0.1 in a.nc; 0.2 in b.nc",
         {"scale_factor": 0.1}, {"scale_factor": 0.2}),
        ("references-packing", "add_offset of rain is absent in a.nc; 273.15 in b.nc", {}, {"add_offset": 273.15}),
        ("references-packing", "_Unsigned of rain is true in a.nc; absent in b.nc", {"_Unsigned": "true"}, {}),
        ("references-fill", "missing_value of rain is -2 in a.nc; -3 in b.nc",
         {"missing_value": np.int16(-2)}, {"missing_value": np.int16(-3)}),
        ("references-units", "units of rain is mm in a.nc; mm d-1 in b.nc", {}, {"units": "mm d-1"}),
    ],
)  # fmt: skip
def test_decoding_that_differs_is_not_taken_from_the_first(
    tmp_path: Path, code: str, words: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    reasons = refusals(pair(tmp_path, PACKED | {"attrs": first}, PACKED | {"attrs": second}))
    assert set(reasons) == {code}
    assert words in reasons[code]


@pytest.mark.parametrize(
    ("code", "words", "first", "second"),
    [
        ("references-fill", "_FillValue of rain is -9999.0 in a.nc; 1.0000000200408773e+20 in b.nc",
         {}, {"fill": 1e20}),
        ("references-fill", "_FillValue of rain is -9999.0 in a.nc; absent in b.nc", {}, {"fill": None}),
        ("references-type", "type of rain is <f4 in a.nc; <f8 in b.nc", {}, {"dtype": "f8"}),
        ("references-codec", "codec of rain", {"zlib": True}, {"zlib": True, "complevel": 9}),
        ("references-codec", "codec of rain", {}, {"form": "NETCDF3_CLASSIC"}),
        ("references-chunks", "chunk shape of rain is (1, 6, 8) in a.nc; (1, 3, 8) in b.nc", {}, {"chunks": (1, 3, 8)}),
        ("references-calendar", "calendar is standard in a.nc; 360_day in b.nc", {}, {"calendar": "360_day"}),
        ("references-calendar", "standard in a.nc; proleptic_gregorian", {}, {"calendar": "proleptic_gregorian"}),
        ("references-grid", "coordinate lat differs between files: one in a.nc; one in b.nc", {}, {"lat": LAT + 1e-9}),
        ("references-shape", "length along lat of rain is 6 in a.nc; 5 in b.nc", {},
         {"lat": LAT[:5], "values": field(3, 3)[:, :5]}),
    ],
)  # fmt: skip
def test_storage_or_axes_that_differ(
    tmp_path: Path, code: str, words: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    chunks = (1, 5, 8) if "lat" in second and second["lat"].size == 5 else (1, 6, 8)
    reasons = refusals(pair(tmp_path, {"chunks": chunks} | first, {"chunks": chunks} | second))
    assert words in reasons[code]


def test_file_that_ends_inside_a_chunk_would_shift_all_that_follows(tmp_path: Path) -> None:
    options: dict[str, Any] = {"chunks": (4, 6, 8), "zlib": True}
    paths = [
        write_days(tmp_path / f"{n}.nc", first, steps, **options)
        for n, first, steps in ((0, 0, 4), (1, 4, 3), (2, 7, 4))
    ]
    reasons = refusals(paths)
    assert set(reasons) == {"references-chunks"}
    assert "rain ends inside a chunk: 3 steps in chunks of 4 in 1.nc" in reasons["references-chunks"]


def test_contiguous_files_of_unequal_length(tmp_path: Path) -> None:
    options: dict[str, Any] = {"chunks": None, "contiguous": True, "unlimited": False}
    paths = [write_days(tmp_path / "a.nc", 0, 31, **options), write_days(tmp_path / "b.nc", 31, 28, **options)]
    assert "(31, 6, 8) in a.nc; (28, 6, 8) in b.nc" in refusals(paths)["references-chunks"]


def test_every_reason_is_given_at_once(tmp_path: Path) -> None:
    paths = pair(tmp_path, {"attrs": {"units": "m"}}, {"fill": 0.0, "lat": LAT[::-1], "calendar": "noleap"})
    assert set(refusals(paths)) == {"references-units", "references-fill", "references-grid", "references-calendar"}


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([(0, 4), (3, 3)], "1.nc: it begins at 1970-01-04T12:00:00, though 0.nc before it reaches 1970-01-04T12:00:00"),
        ([(3, 3), (0, 3)], "1.nc: it begins at 1970-01-01T12:00:00, though 0.nc before it reaches 1970-01-06T12:00:00"),
        ([(0, 3), (10, 3), (3, 3)], "2.nc: it begins at 1970-01-04T12:00:00"),
    ],
)
def test_files_that_overlap_or_are_out_of_order(tmp_path: Path, days: list[tuple[int, int]], words: str) -> None:
    paths = [write_days(tmp_path / f"{n}.nc", first, steps) for n, (first, steps) in enumerate(days)]
    assert words in refusals(paths)["references-time"]


def test_time_that_does_not_increase_inside_a_file(tmp_path: Path) -> None:
    paths = pair(tmp_path)
    with netCDF4.Dataset(paths[1], "a") as dataset:
        dataset["time"][:] = [3.5, 3.5, 4.5]
    assert "b.nc: its own steps do not increase" in refusals(paths)["references-time"]


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"units": "years since 1661-1-1"}, "cannot be decoded"),
        ({"calendar": "martian"}, "calendar 'martian' is not one of CF's"),
        ({"scale_factor": 2.0}, "it is packed"),
        ({"units": "days"}, "rain has no time axis"),
    ],
)
def test_time_that_cannot_be_decoded(tmp_path: Path, attrs: dict[str, Any], words: str) -> None:
    paths = pair(tmp_path)
    for path in paths:
        with netCDF4.Dataset(path, "a") as dataset:
            dataset["time"].setncatts(attrs)
    assert words in refusals(paths)["references-time"]


def test_missing_time(tmp_path: Path) -> None:
    paths = pair(tmp_path)
    with netCDF4.Dataset(paths[1], "a") as dataset:
        dataset["time"][1] = np.nan
    assert "b.nc: its time axis cannot be decoded: a time is missing" in refusals(paths)["references-time"]


def test_variable_that_one_file_lacks_is_named_with_the_file(tmp_path: Path) -> None:
    paths = [*pair(tmp_path), write_days(tmp_path / "c.nc", 6, 3), write_days(tmp_path / "d.nc", 9, 3)]
    for path in paths[1:3]:
        with netCDF4.Dataset(path, "a") as dataset:
            dataset.renameVariable("rain", "pr")
    assert refusals(paths)["references-variable"] == "b.nc, c.nc: it has no variable 'rain'"


@pytest.mark.parametrize("kind", [str, "S1"])
def test_text_is_not_referred_to(tmp_path: Path, kind: Any) -> None:
    paths = pair(tmp_path)
    for path in paths:
        with netCDF4.Dataset(path, "a") as dataset:
            dataset.createVariable("expver", kind, ("time",))[:] = np.array(["1"] * 3, object if kind is str else "S1")
    assert "expver holds text" in refusals(paths, "expver")["references-type"]


def test_stations_in_another_order(tmp_path: Path) -> None:
    paths = []
    for number, names in enumerate((["Accra", "Montréal"], ["Montréal", "Accra"])):
        paths.append(tmp_path / f"{number}.nc")
        with netCDF4.Dataset(paths[-1], "w") as dataset:
            dataset.createDimension("location", 2)
            dataset.createDimension("time", 3)
            dataset.createVariable("location", str, ("location",))[:] = np.array(names, dtype=object)
            time = dataset.createVariable("time", "i4", ("time",))
            time.units = "days since 2000-01-01"
            time[:] = np.arange(3) + 3 * number
            dataset.createVariable("rain", "f4", ("location", "time"))[:] = 1.0
    assert "coordinate location differs" in refusals(paths)["references-grid"]


def _with_dataset(path: Path, name: str, **options: Any) -> Path:
    """The file with one more variable, made by h5py, which can do what netCDF4 cannot."""
    write_days(path, 0, 3)
    with h5py.File(path, "a") as opened:
        if options.pop("compact", False):
            created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            created.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple((3, 6, 8))
            identity = h5py.h5d.create(opened.id, name.encode(), h5py.h5t.NATIVE_INT32, space, created)
            dataset = h5py.Dataset(identity)
            dataset[...] = 1
        else:
            dataset = opened.create_dataset(name, (3, 6, 8), "i4", **options)
            if options.get("chunks") != (3, 6, 4):
                dataset[...] = 1
            else:
                dataset[:, :, :4] = 1
        for number, dim in enumerate(("time", "lat", "lon")):
            dataset.dims[number].attach_scale(opened[dim])
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compact": True}, "odd is stored in the file's header (compact)"),
        ({"chunks": (3, 6, 8), "scaleoffset": 4}, "odd is stored with the filter scaleoffset"),
        ({"chunks": (3, 6, 8), "compression": "lzf"}, "odd is stored with the filter number 32000"),
        ({"chunks": (3, 6, 4)}, "odd has 1 chunks where 2 are needed"),
    ],
)
def test_storage_without_plain_byte_ranges(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    paths = [_with_dataset(tmp_path / "a.nc", "odd", **options)]
    assert words in refusals(paths, "odd")["references-storage"]


def test_chunk_stored_without_its_filter_is_not_decoded_by_it(tmp_path: Path) -> None:
    path = write_days(tmp_path / "a.nc", 0, 3, zlib=True, shuffle=False)
    with h5py.File(path, "a") as opened:
        opened["rain"].id.write_direct_chunk((1, 0, 0), field(1, 1).tobytes(), filter_mask=1)
    assert "rain has 1 chunks that skip a filter" in refusals([path])["references-storage"]


def test_contiguous_variable_never_written(tmp_path: Path) -> None:
    path = write_days(tmp_path / "a.nc", 0, 3)
    with h5py.File(path, "a") as opened:
        dataset = opened.create_dataset("odd", (3, 6, 8), "f4")
        for number, dim in enumerate(("time", "lat", "lon")):
            dataset.dims[number].attach_scale(opened[dim])
    assert "odd was never written" in refusals([path], "odd")["references-storage"]


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_file_cut_short_after_it_was_counted(tmp_path: Path, form: str) -> None:
    paths = pair(tmp_path, {"form": form}, {"form": form})
    files = referenced(paths)
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    with pytest.raises(ReferencesRefused, match=r"b\.nc: it has \d+ bytes where \d+ were expected"):
        build_references(files, ["rain"], smallest_chunk=1)


def test_file_cut_short_in_the_archive(tmp_path: Path) -> None:
    paths = pair(tmp_path, {"form": "NETCDF3_CLASSIC"}, {"form": "NETCDF3_CLASSIC"})
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    assert "b.nc" in refusals(paths)["references-file"]


def test_byte_range_after_the_end_of_the_file(tmp_path: Path) -> None:
    files = referenced(pair(tmp_path))
    scans = [scan(file, file.path.name, ["rain"], True) for file in files]
    short = [files[0], dataclasses.replace(files[1], bytes=files[1].bytes // 2)]
    found = ranges_outside(reference_set(scans, ["rain"]), short, ["a.nc", "b.nc"])
    assert [problem.where for problem in found] == ["b.nc"]


def test_other_content(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(b"GRIB" * 10)
    assert "a.nc: it is neither NetCDF-3 nor NetCDF-4" in refusals([tmp_path / "a.nc"])["references-file"]


def test_missing_file_does_not_tell_where_it_was_looked_for(tmp_path: Path) -> None:
    files = referenced(pair(tmp_path))
    files[1].path.unlink()
    with pytest.raises(ReferencesRefused) as refused:
        build_references(files, ["rain"], smallest_chunk=1)
    assert "b.nc: it cannot be described" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize(
    ("href", "words"),
    [
        ("/archive/b.nc", "scheme none"),
        ("file:///archive/b.nc", "scheme file"),
        ("https:///b.nc", "scheme https"),
        ("https://me:hunter2@data.example.org/b.nc", "more than host and path"),
        ("https://data.example.org/b.nc?signature=hunter2", "more than host and path"),
        ("https://data.example.org/archive/a.nc", "two files have this address"),
    ],
)
def test_address_that_is_private_or_not_unique(tmp_path: Path, href: str, words: str) -> None:
    files = referenced(pair(tmp_path))
    files[1] = dataclasses.replace(files[1], href=href)
    with pytest.raises(ReferencesRefused) as refused:
        build_references(files, ["rain"], smallest_chunk=1)
    assert [problem.code for problem in refused.value.problems] == ["references-href"]
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_attribute_that_tells_a_local_path(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    write_days(path, 0, 3, attrs={"source_file": str(path)})
    assert "local path" in refusals([path])["references-path"]


def test_nothing_to_refer_to() -> None:
    with pytest.raises(ReferencesRefused, match="no file or no variable"):
        build_references([], ["rain"])


def test_small_chunks_are_refused_with_their_numbers_before_other_files_are_read(tmp_path: Path) -> None:
    files = referenced(pair(tmp_path))
    files[1].path.unlink()
    with pytest.raises(ReferencesRefused) as refused:
        build_references(files, ["rain"])
    assert "rain is stored in chunks of 192 bytes (3 of them in a.nc), where 4,096 bytes" in str(refused.value)


def test_more_references_than_are_worth_it(tmp_path: Path) -> None:
    assert (
        "6 references would be needed (rain 6), where 5" in refusals(pair(tmp_path), most_entries=5)["references-many"]
    )
    assert build(pair(tmp_path), most_entries=6).entries == 6


@pytest.mark.parametrize("tamper", ["swap", "shift", "time", "lat", "fill", "units", "lost"])
def test_proof_finds_references_that_read_otherwise(tmp_path: Path, tamper: str) -> None:
    files = referenced([write_days(tmp_path / f"{n}.nc", 3 * n, 3) for n in range(3)])
    scans = [scan(file, file.path.name, ["rain"], True) for file in files]
    references = reference_set(scans, ["rain"])
    assert differences(references, scans, files, ["rain"]) == []
    if tamper == "swap":
        references["rain/1.0.0"], references["rain/7.0.0"] = references["rain/7.0.0"], references["rain/1.0.0"]
    elif tamper == "shift":
        references["rain/8.0.0"] = [references["rain/8.0.0"][0], references["rain/8.0.0"][1] + 4, 192]
    elif tamper == "time":
        references["time/.zattrs"] = references["time/.zattrs"].replace("hours since", "days since")
    elif tamper == "lat":
        references["lat/0"] = references["lon/0"][: len(references["lat/0"])]
    elif tamper == "fill":
        references["rain/.zarray"] = references["rain/.zarray"].replace("-9999.0", "null")
    elif tamper == "units":
        references["rain/.zattrs"] = references["rain/.zattrs"].replace("mm", "m")
    else:
        del references["rain/4.0.0"]
    found = differences(references, scans, files, ["rain"])
    assert {problem.code for problem in found} == {"references-values"}


def test_proof_looks_into_many_files_of_a_long_series(tmp_path: Path) -> None:
    files = referenced([write_days(tmp_path / f"{n:03}.nc", n, 1) for n in range(80)])
    scans = [scan(file, file.path.name, ["rain"], number == 0) for number, file in enumerate(files)]
    references = reference_set(scans, ["rain"])
    wrong = {f"rain/{n}.0.0": references[f"rain/{n}.0.0"] for n in range(80)}
    shuffled = dict(zip(wrong, [*list(wrong.values())[1:], wrong["rain/0.0.0"]], strict=True))
    found = differences(references | shuffled, scans, files, ["rain"])
    assert len(found) == 32
    assert found == differences(references | shuffled, scans, files, ["rain"])
