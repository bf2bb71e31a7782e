"""Products as NetCDF-4 files that follow CF-1.11."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pyproj
from numpy.typing import NDArray

from compute.coverage import edges_of
from compute.export.choice import Choice
from compute.export.licence import binding, licence_of
from compute.export.reading import BUDGET, Reader, pieces, steps
from compute.export.stations import Station, cells_of
from compute.summarise.structure import region_attrs
from cube.template import ArraySpec

STATION = "station"
CRS = "crs"
CONVENTIONS = "CF-1.11"
DEFLATE = {"zlib": True, "complevel": 2, "shuffle": True}
NOT_KEPT = ("geospatial_", "time_coverage_")
"""Attributes of the whole product that a part of it does not have."""
OF_TYPE = ("flag_values", "flag_masks", "valid_range", "valid_min", "valid_max", "missing_value", "actual_range")
"""Attributes that CF wants in the type of the variable."""
PLACED = ("coordinates", "grid_mapping", "ancillary_variables", "bounds", "cell_measures", "_FillValue")
"""Attributes that name other variables or are set apart."""

Told = Callable[[int, int], None]


def write(path: Path, reader: Reader, choice: Choice, stations: Sequence[Station] | None, progress: Told) -> int:
    """Writes the file; the number of values. Raises OSError where that fails."""
    try:
        return _written(path, reader, choice, stations, progress)
    except RuntimeError as error:
        # So the library tells of a full disk.
        if str(error).startswith("NetCDF:"):
            raise OSError(str(error)) from error
        raise


def _written(path: Path, reader: Reader, choice: Choice, stations: Sequence[Station] | None, progress: Told) -> int:
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.set_auto_maskandscale(False)
        file.setncatts(_global(choice, stations))
        beside = _Beside(file, choice)
        if stations is None:
            beside.cells()
            beside.regions()
        else:
            beside.stations(stations)
        beside.others()
        for name in choice.variables:
            _define(file, choice, name, stations is not None, beside)
        count = 0
        for number, name in enumerate(choice.variables):

            def told(done: int, of: int, number: int = number) -> None:
                progress(number * of + done, len(choice.variables) * of)

            if stations is None:
                count += _fill_cells(file, reader, choice, name, told)
            else:
                count += _fill_stations(file, reader, choice, name, stations)
                told(1, 1)
    return count


def _global(choice: Choice, stations: Sequence[Station] | None) -> dict[str, Any]:
    """Nothing here tells when, where and by whom the file was written, so that the same export gives the same file."""
    manifest = choice.manifest
    attrs = {name: value for name, value in manifest["attrs"].items() if not name.startswith(NOT_KEPT)}
    attrs["Conventions"] = CONVENTIONS
    provenance = manifest["provenance"]
    attrs["license"] = binding(licence_of(provenance), provenance["redistribution"])
    version = str(manifest["fingerprint"])[:12]
    attrs["source"] = attrs.get("source") or f"climate-impact-cube: {manifest['product']} (job {manifest['job']})"
    attrs["product_version"] = version
    if manifest.get("notes"):
        attrs["comment"] = " ".join(dict.fromkeys([*filter(None, [attrs.get("comment")]), *manifest["notes"]]))
    arrays = choice.view.template.arrays
    series = all({"time"} == set(arrays[name].dims) - set(choice.cells) for name in choice.variables)
    if stations is not None and series:
        attrs["featureType"] = "timeSeries"
    return {name: _plain(value) for name, value in sorted(attrs.items()) if value not in (None, "")}


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and any(isinstance(each, str) for each in value)):
        return json.dumps(value, ensure_ascii=False)
    return np.asarray(value)


class _Beside:
    """Coordinates, bounds and the projection; what of them variables name is in `coordinates` and `mapping`."""

    def __init__(self, file: Any, choice: Choice) -> None:
        self.file, self.choice = file, choice
        self.coordinates: list[str] = []
        self.mapping = ""

    def _variable(
        self,
        name: str,
        dims: Sequence[str],
        values: Any,
        attrs: Mapping[str, Any],
        bounds: Any = None,
        fill: Any = False,
    ) -> None:
        data = np.asarray(values)
        data = data if data.dtype.kind in "OU" else data.astype(data.dtype.newbyteorder("="))
        if data.dtype == np.int64 and (not data.size or np.abs(data).max() < 2**31):
            data = data.astype(np.int32)
        for dim, size in zip(dims, data.shape, strict=True):
            if dim not in self.file.dimensions:
                self.file.createDimension(dim, size)
        kind = str if data.dtype.kind in "OU" else data.dtype
        made = self.file.createVariable(name, kind, tuple(dims), fill_value=fill)
        made.setncatts(_own(attrs, data.dtype))
        made[...] = data
        if bounds is not None:
            self._variable(f"{name}_bnds", (*dims, "bnds"), bounds, {})
            made.bounds = f"{name}_bnds"

    def cells(self) -> None:
        choice, view = self.choice, self.choice.view
        for dim, part in choice.cells.items():
            coord = view.template.coords[dim]
            own = coord.dims == (dim,) and dim in ("lat", "lon", "y", "x")
            bounds = edges_of(view, dim)[part] if own else None
            self._variable(dim, (dim,), coord.values[part], coord.attrs, bounds)
        if choice.cells and not {"lat", "lon"} <= set(choice.cells):
            for name, values in zip(("lat", "lon"), choice.centres, strict=True):
                self._variable(name, tuple(choice.cells), values, _degrees(name))
                self.coordinates.append(name)
        crs = view.template.crs.get("epsg") or view.template.crs.get("wkt")
        if choice.cells and crs:
            attrs = view.template.coords[CRS].attrs if CRS in view.template.coords else pyproj.CRS(crs).to_cf()
            self._variable(CRS, (), np.int32(0), attrs)
            self.mapping = CRS

    def regions(self) -> None:
        """Which region each cell lies in."""
        parts, name = self.choice.parts, self.choice.region_name
        if parts is None:
            return
        attrs: dict[str, Any] = {
            "long_name": f"first region of {parts.regions.source} that the cell's centre lies in",
            **region_attrs(parts.regions),
        }
        self._variable(name, tuple(self.choice.cells), parts.numbers, attrs, fill=np.int32(-1))
        self.coordinates.append(name)

    def stations(self, stations: Sequence[Station]) -> None:
        names = {"long_name": "name of the place", "cf_role": "timeseries_id"}
        self._variable("station_name", (STATION,), np.array([s.place.name for s in stations], dtype=object), names)
        told = {"lat": "latitude", "lon": "longitude"}
        for name, word in told.items():
            cell = np.array([getattr(each.cell, name) for each in stations])
            asked = np.array([getattr(each.place, name) for each in stations])
            self._variable(name, (STATION,), cell, {**_degrees(name), "long_name": f"{word} of the cell"})
            # With the units of a latitude it would be another one.
            place = {"units": "degree", "long_name": f"{word} of the place that was asked for"}
            self._variable(f"place_{name}", (STATION,), asked, place)
        km = {"units": "km", "long_name": "distance of the cell's centre from the place"}
        self._variable("distance", (STATION,), np.array([round(s.cell.km, 3) for s in stations]), km)
        self.coordinates += ["lat", "lon", "station_name"]

    def others(self) -> None:
        """Time, other dimensions, and coordinates that lie along them."""
        choice, template = self.choice, self.choice.view.template
        dims = {dim for name in choice.variables for dim in template.arrays[name].dims} - set(choice.cells)
        axis = choice.axis
        if "time" in dims and axis is not None:
            attrs = {name: value for name, value in axis.attrs().items() if name != "bounds"}
            self._variable("time", ("time",), axis.encoded(), attrs, axis.bounds())
        held = [str(name) for name, each in template.coords.variables.items() if each.dims and set(each.dims) <= dims]
        bounds = {str(template.coords[name].attrs.get("bounds", f"{name}_bnds")): name for name in held}
        for name in held:
            coord = template.coords[name]
            if name in bounds or name == "time":
                continue
            edges = [template.coords[b].values for b, of in bounds.items() if of == name and b in template.coords]
            self._variable(name, [str(dim) for dim in coord.dims], coord.values, coord.attrs, *edges)
            if coord.dims != (name,):
                self.coordinates.append(name)
        for name in choice.variables:
            for dim, size in template.arrays[name].sizes.items():
                if dim in dims and dim not in self.file.dimensions:
                    self.file.createDimension(dim, size)

    def of(self, dims: Sequence[str]) -> dict[str, str]:
        """Attributes by which a variable of these dimensions names them."""
        named = [each for each in self.coordinates if set(self.file.variables[each].dimensions) <= set(dims)]
        mapped = self.mapping and set(self.choice.cells) <= set(dims)
        return {
            **({"coordinates": " ".join(named)} if named else {}),
            **({"grid_mapping": self.mapping} if mapped else {}),
        }


def _degrees(name: str) -> dict[str, str]:
    if name == "lat":
        return {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"}
    return {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"}


def _own(attrs: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Attributes of a variable as NetCDF takes them."""
    found = {}
    for name, value in sorted(attrs.items()):
        if name in PLACED or value is None or value == "":
            continue
        found[name] = np.asarray(value, dtype) if name in OF_TYPE and not isinstance(value, str) else _plain(value)
    return found


def _dims(choice: Choice, name: str, placed: bool) -> tuple[str, ...]:
    dims = choice.view.template.arrays[name].dims
    return (STATION, *(dim for dim in dims if dim not in choice.cells)) if placed else dims


def _define(file: Any, choice: Choice, name: str, placed: bool, beside: _Beside) -> None:
    spec = choice.view.template.arrays[name]
    dims = _dims(choice, name, placed)
    fill = _fill(spec, choice.mask is not None)
    lengths = [len(file.dimensions[dim]) for dim in dims]
    group = choice.view.layout.group_of(name)
    chunks = [min(n, own.chunk if (own := group.dim(dim)) else n) for dim, n in zip(dims, lengths, strict=True)]
    made = file.createVariable(
        name, spec.dtype, dims, fill_value=False if fill is None else fill, chunksizes=chunks or None,
        **(DEFLATE if dims else {}),
    )  # fmt: skip
    attrs = _own(spec.attrs, spec.dtype)
    told = str(spec.attrs.get("ancillary_variables", "")).split()
    if kept := [each for each in told if each in choice.variables]:
        attrs["ancillary_variables"] = " ".join(kept)
    made.setncatts({**attrs, **beside.of(dims)})


def _fill(spec: ArraySpec, masked: bool) -> Any:
    """What is missing; cells outside of a region are, even of a variable that is otherwise whole."""
    if spec.fill is not None or not masked:
        return spec.fill
    return spec.dtype.type(netCDF4.default_fillvals[spec.dtype.str[1:]])


def _fill_cells(file: Any, reader: Reader, choice: Choice, name: str, progress: Told) -> int:
    spec, made = choice.view.template.arrays[name], file.variables[name]
    every = list(pieces(steps(choice.view, (name,), choice.windows, BUDGET), choice.windows, spec.sizes))
    count = 0
    for number, slices in enumerate(every, 1):
        values = reader.read(name, slices)
        if choice.mask is not None and set(choice.cells) <= set(spec.dims):
            values = np.where(_mask(choice, spec, slices), values, _fill(spec, True)).astype(spec.dtype)
        made[tuple(_moved(choice, dim, slices[dim]) for dim in spec.dims)] = values
        count += values.size
        progress(number, len(every))
    return count


def _mask(choice: Choice, spec: ArraySpec, slices: Mapping[str, slice]) -> NDArray[np.bool_]:
    """Which values lie in cells that are exported, broadcast along the variable's other dimensions."""
    assert choice.mask is not None
    space = list(choice.cells)
    cut = choice.mask[tuple(_moved(choice, dim, slices[dim]) for dim in space)]
    order = [space.index(dim) for dim in spec.dims if dim in space]
    turned = cut.transpose(order)
    sizes = iter(turned.shape)
    return np.asarray(turned.reshape([next(sizes) if dim in space else 1 for dim in spec.dims]))


def _moved(choice: Choice, dim: str, part: slice) -> slice:
    start = choice.windows[dim].start if dim in choice.windows else 0
    return slice(part.start - start, part.stop - start)


def _fill_stations(file: Any, reader: Reader, choice: Choice, name: str, stations: Sequence[Station]) -> int:
    spec, made = choice.view.template.arrays[name], file.variables[name]
    rest = [dim for dim in spec.dims if dim not in choice.cells]
    count = 0
    flat = np.array([each.cell.position for each in stations], np.intp)
    for part in cells_of(reader, choice, (name,), flat, BUDGET):
        where = tuple(_moved(choice, dim, part.slices[dim]) for dim in rest)
        for number, values in zip(part.numbers, part.values[name], strict=True):
            made[(int(number), *where)] = values
        count += part.values[name].size
    return count
