"""Hand-written manifests, one for each kind of product."""

from __future__ import annotations

import copy
from typing import Any

import cftime
import pyproj

from cube.axes import Step, TimeAxis, ordinal_of

VERSION = "0123456789ab-1"

CC_BY = {
    "licence": "CC-BY-4.0",
    "licence_url": None,
    "providers": [
        {"name": "University of Reading", "roles": ["producer", "licensor"], "url": "https://www.tamsat.org.uk"}
    ],
    "citations": [
        {"doi": "10.1038/sdata.2017.63", "text": "Maidment et al. (2017) Scientific Data 4, 170063"},
        {"doi": None, "text": "Tarnavsky et al. (2014) J. Appl. Meteorol. Climatol."},
    ],
    "redistribution": "yes",
    "ancestors": [],
}


def time_extent(step: str, calendar: str, start: tuple[int, int, int], count: int) -> dict[str, Any]:
    first = ordinal_of(cftime.datetime(*start, calendar=calendar), Step.parse(step), calendar)
    axis = TimeAxis(first, count, Step.parse(step), calendar)
    after = TimeAxis(first, count + 1, Step.parse(step), calendar)
    return {**axis.to_json(), "start": axis.text(0), "end": axis.text(-1), "end_bound": after.text(-1)}


def coordinate(dims: list[str], shape: list[int], extent: list[float] | None, step: float | None, **attrs: Any) -> Any:
    return {"dims": dims, "shape": shape, "dtype": "float64", "attrs": attrs, "extent": extent, "step": step}


def lat_lon(lat: list[float], lon: list[float], step: float) -> dict[str, Any]:
    return {
        name: coordinate(
            [name], [round((high - low) / step) + 1], [low, high], step, standard_name=standard, units=unit
        )
        for name, (low, high), standard, unit in (
            ("lat", lat, "latitude", "degrees_north"),
            ("lon", lon, "longitude", "degrees_east"),
        )
    }


def variable(dims: list[str], shape: list[int], dtype: str = "float32", **attrs: Any) -> dict[str, Any]:
    return {"dims": dims, "shape": shape, "dtype": dtype, "chunks": shape, "shards": shape, "attrs": attrs}


def manifest(product: str, collection: str = "inputs", **parts: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "schema": 1,
        "product": product,
        "collection": collection,
        "title": product.replace("-", " ").capitalize(),
        "description": "What it is.",
        "keywords": ["rainfall", "Africa"],
        "job": "ingest",
        "revision": 1,
        "options": {},
        "fingerprint": "0123456789ab" + "0" * 52,
        "inputs": {"files": [{"name": "a/rfe.nc", "bytes": 10, "sha256": "0" * 64}], "products": []},
        "packages": {"zarr": "3.4.2", "numpy": "2.5.5"},
        "layout": {},
        "blocks": {},
        "objects": {
            "time.zarr/zarr.json": {"bytes": 100, "sha256": "a" * 64},
            "time.zarr/pr/c/0": {"bytes": 23, "sha256": "b" * 64},
        },
        "missing": {"pr": {"missing": 2, "cells": 8}},
        "extent": {"time": None, "bbox": None, "spatial": {}},
        "gaps": [],
        "notes": [],
        "variables": {},
        "coordinates": {},
        "crs": {"epsg": None, "wkt": None},
        "provenance": copy.deepcopy(CC_BY),
        "references": None,
        "map": False,
        "properties": {},
    }
    return {**base, **parts}


def rain_360_day() -> dict[str, Any]:
    time = time_extent("day", "360_day", (2005, 12, 1), 720)
    return manifest(
        "rain-hadgem2-es",
        extent={"time": time, "bbox": [30.0, -6.0, 34.0, -2.0], "spatial": {}},
        variables={
            "pr": variable(
                ["time", "lat", "lon"],
                [720, 2, 2],
                standard_name="lwe_precipitation_rate",
                long_name="rain",
                units="mm d-1",
                cell_methods="time: mean",
            )
        },
        coordinates={
            **lat_lon([-5.0, -3.0], [31.0, 33.0], 2.0),
            "time_bnds": {"dims": ["time", "bnds"], "shape": [720, 2], "dtype": "int64", "attrs": {}},
        },
        gaps=[["2006-01-04", "2006-01-05"]],
        references={"refused": ["scale_factor differs between files"]},
        notes=["rain days run 06-06 UTC"],
    )


def uk_osgb() -> dict[str, Any]:
    metres = {"units": "m", "axis": "X", "standard_name": "projection_x_coordinate"}
    return manifest(
        "haduk-rainfall",
        "uk",
        extent={
            "time": time_extent("day", "standard", (2000, 1, 1), 366),
            "bbox": [-8.7, 49.8, 1.8, 60.9],
            "spatial": {},
        },
        variables={
            "pr": variable(
                ["time", "y", "x"],
                [366, 4, 3],
                units="mm d-1",
                standard_name="lwe_precipitation_rate",
                grid_mapping="crs",
            )
        },
        coordinates={
            "x": coordinate(["x"], [3], [6000.0, 30000.0], 12000.0, **metres),
            "y": coordinate(
                ["y"],
                [4],
                [6000.0, 42000.0],
                12000.0,
                **{**metres, "axis": "Y", "standard_name": "projection_y_coordinate"},
            ),
            "latitude": {"dims": ["y", "x"], "shape": [4, 3], "dtype": "float64", "attrs": {"units": "degrees_north"}},
            "crs": {"dims": [], "shape": [], "dtype": "int32", "attrs": {"grid_mapping_name": "transverse_mercator"}},
        },
        crs={"epsg": 27700, "wkt": pyproj.CRS.from_epsg(27700).to_wkt()},
        provenance={
            **copy.deepcopy(CC_BY),
            "licence": "other",
            "licence_url": "https://example.org/ogl",
            "citations": [],
        },
    )


def monthly() -> dict[str, Any]:
    return manifest(
        "tamsat-monthly",
        extent={
            "time": time_extent("month", "proleptic_gregorian", (2017, 9, 1), 6),
            "bbox": [-19.0, -36.0, 52.0, 38.0],
            "spatial": {},
        },
        variables={"rfe": variable(["time", "lat", "lon"], [6, 3, 3], units="mm d-1", _FillValue=float("-inf"))},
        coordinates=lat_lon([-18.0, -8.0], [22.0, 32.0], 5.0),
        references={"href": "references.json", "format": "json", "base_url": "https://data.example.org/tamsat/"},
        objects={
            "time.zarr/zarr.json": {"bytes": 7, "sha256": "a" * 64},
            "references.json": {"bytes": 5, "sha256": "c" * 64},
        },
        map=True,
    )


def timeless() -> dict[str, Any]:
    return manifest(
        "soil-properties",
        extent={"time": None, "bbox": [-180.0, -90.0, 180.0, 90.0], "spatial": {}},
        variables={
            "b": variable(["depth", "lat", "lon"], [4, 181, 361], units="1"),
            "land": variable(["lat", "lon"], [181, 361], "bool"),
        },
        coordinates={
            **lat_lon([-90.0, 90.0], [-180.0, 180.0], 1.0),
            "depth": {
                **coordinate(["depth"], [4], [0.05, 2.0], None, positive="down", units="m"),
                "values": [0.05, 0.225, 0.675, 2.0],
            },
        },
        inputs={"files": [], "products": []},
    )


def derived() -> dict[str, Any]:
    ancestors = [
        {"product": "tamsat-monthly", "licence": "CC-BY-4.0", "citations": CC_BY["citations"]},
        {
            "product": "rain-hadgem2-es",
            "licence": "other",
            "licence_url": "https://example.org/cmip5-terms",
            "citations": [{"doi": "https://doi.org/10.5194/gmd-4-543-2011", "text": "Collins et al. (2011)"}],
        },
    ]
    return manifest(
        "dry-days",
        "metrics",
        job="metric",
        extent={
            "time": time_extent("year", "360_day", (2006, 1, 1), 2),
            "bbox": [177.0, -20.0, -178.0, -12.0],
            "spatial": {},
        },
        variables={"dry_days": variable(["time", "lat", "lon"], [2, 2, 2], "int16", units="d", _FillValue=-1)},
        coordinates=lat_lon([-18.0, -14.0], [178.0, 181.0], 1.0),
        inputs={
            "files": [],
            "products": [
                {"name": "rain-hadgem2-es", "collection": "inputs", "version": VERSION, "fingerprint": "0" * 64}
            ],
        },
        provenance={
            "licence": "other",
            "licence_url": None,
            "providers": [
                *CC_BY["providers"],
                {"name": "Met Office", "roles": ["producer"], "url": "https://www.metoffice.gov.uk"},
            ],
            "citations": [],
            "redistribution": "unknown",
            "ancestors": ancestors,
        },
    )


def isimip() -> dict[str, Any]:
    rain = rain_360_day()
    properties = {
        "isimip2b:climate_scenario": "rcp60",
        "isimip2b:climate_forcing": "hadgem2-es",
        "isimip2b:simulation_round": "ISIMIP2b",
        "source_id": "HadGEM2-ES",
        "experiment_id": "rcp60",
        "variable_id": "pr",
        "version": "forged",
        "cic:fingerprint": "forged",
        "isimip2b:baseline": float("nan"),
    }
    return {**rain, "product": "isimip-rcp60", "properties": properties, "references": None}


def lambert_without_epsg() -> dict[str, Any]:
    crs = pyproj.CRS.from_proj4("+proj=laea +lat_0=5 +lon_0=20 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs")
    made = uk_osgb()
    return {**made, "product": "equal-area", "crs": {"epsg": None, "wkt": crs.to_wkt()}}


def point() -> dict[str, Any]:
    return manifest(
        "jules-mead",
        "jules",
        extent={
            "time": time_extent("day", "standard", (2008, 1, 1), 365),
            "bbox": [-96.4766, 41.1651, -96.4766, 41.1651],
            "spatial": {},
        },
        variables={"smcl": variable(["time", "soil", "cell"], [365, 4, 1], units="kg m-2")},
    )


MAKERS = (rain_360_day, uk_osgb, monthly, timeless, derived, isimip, lambert_without_epsg, point)
