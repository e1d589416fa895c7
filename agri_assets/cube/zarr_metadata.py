"""The Zarr metadata that follows from a cube's description, and the values of its coordinates."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from pyproj import CRS
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import MemoryStore

from agri_assets.cube.pipeline import plain_pipeline
from agri_assets.cube.schema import ATTRIBUTE, BANDS_ARRAY, CLASSES_ARRAY, CubeInfo

WAVELENGTHS_NM = {
    **{"B01": 442.7, "B02": 492.7, "B03": 559.8, "B04": 664.6, "B05": 704.1, "B06": 740.5, "B07": 782.8},
    **{"B08": 832.8, "B8A": 864.7, "B09": 945.1, "B10": 1373.5, "B11": 1613.7, "B12": 2202.4},
}
"""Central wavelengths of Sentinel-2A's MSI; source: ESA, Sentinel-2 spectral response functions, version 4.0."""


def root_document(info: CubeInfo) -> dict[str, Any]:
    """The root `zarr.json` of a cube: a group with consolidated metadata for as many slots as `info` has.

    The arrays are made in a memory store by zarr itself, so that the document is what zarr would have written.
    """
    with plain_pipeline():
        group = zarr.create_group(MemoryStore(), zarr_format=3)
        for name, options in _arrays(info).items():
            group.create_array(name, **options)
        members = {name: array.metadata.to_dict() for name, array in sorted(group.arrays())}
    document = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {ATTRIBUTE: info.model_dump(mode="json")},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": members},
    }
    plain: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return plain


def coordinates(info: CubeInfo) -> dict[str, npt.NDArray[Any]]:
    """Values of every coordinate except time, by name."""
    values: dict[str, npt.NDArray[Any]] = {
        "band": np.array(info.bands, dtype=np.dtypes.StringDType()),
        "wavelength": np.array([WAVELENGTHS_NM.get(band, 0.0) for band in info.bands], dtype=np.float64),
    }
    if info.grid is not None:
        a, _, left, _, e, top = info.grid.transform
        values["y"] = top + e * (np.arange(info.height) + 0.5)
        values["x"] = left + a * (np.arange(info.width) + 0.5)
        values["spatial_ref"] = np.array(0, dtype=np.int64)
    return values


def _arrays(info: CubeInfo) -> dict[str, dict[str, Any]]:
    """Arguments of `create_array` for every array of the cube."""
    georeferenced = info.grid is not None
    place = {"coordinates": "wavelength spatial_ref", "grid_mapping": "spatial_ref"} if georeferenced else {}
    arrays = {BANDS_ARRAY: _bulk(info, "uint16", len(info.bands), {**_pixel_attributes(info), **place})}
    for name, values in coordinates(info).items():
        dims = {"y": ("y",), "x": ("x",), "spatial_ref": ()}.get(name, ("band",))
        dtype = "str" if name == "band" else values.dtype
        arrays[name] = _coordinate(values.shape, values.shape, dtype, dims, _coordinate_attributes(info, name))
    if info.grid is not None:
        arrays[CLASSES_ARRAY] = _bulk(info, "uint8", None, {"long_name": "scene classification", **place})
        days = {"standard_name": "time", "units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
        arrays["time"] = _coordinate((len(info.slots),), (1,), "int64", ("time",), days)
    return arrays


def _bulk(info: CubeInfo, dtype: str, bands: int | None, attributes: dict[str, Any]) -> dict[str, Any]:
    depth, names = ((bands,), ("band",)) if bands else ((), ())
    return {
        "shape": (len(info.slots), *depth, info.height, info.width),
        "chunks": (1, *depth, info.tile_size, info.tile_size),
        "shards": (1, *depth, info.shard_size, info.shard_size),
        "dtype": dtype,
        "fill_value": 0,
        "compressors": [BloscCodec(cname="lz4", clevel=3, shuffle="bitshuffle"), Crc32cCodec()],
        "dimension_names": ("time", *names, "y", "x"),
        "attributes": attributes,
    }


def _coordinate(
    shape: tuple[int, ...], chunks: tuple[int, ...], dtype: Any, dims: tuple[str, ...], attributes: dict[str, Any]
) -> dict[str, Any]:
    return {
        "shape": shape,
        "chunks": chunks,
        "dtype": dtype,
        "compressors": None,
        "dimension_names": dims,
        "attributes": attributes,
    }


def _pixel_attributes(info: CubeInfo) -> dict[str, Any]:
    if info.units == "dn8":
        return {"units": "dn8", "long_name": "8-bit picture value", "coordinates": "wavelength"}
    # not `scale_factor`: xarray would decode to float64
    return {
        "units": "reflectance",
        "long_name": "surface reflectance times 10000",
        "reflectance_scale": 0.0001,
        "offset_convention": "removed: a valid pixel is max(1, DN + offset)",
        "nodata": 0,
        # of two methods after a change, while not every date could be built anew
        "resampling": ", ".join(sorted({slot.resampling for slot in info.active} or {info.resampling})),
        "coordinates": "wavelength",
    }


def _coordinate_attributes(info: CubeInfo, name: str) -> dict[str, Any]:
    if name == "spatial_ref" and info.grid is not None:
        a, b, c, d, e, f = info.grid.transform
        crs = CRS.from_user_input(info.grid.crs)
        return {**crs.to_cf(), "spatial_ref": crs.to_wkt(), "GeoTransform": f"{c} {a} {b} {f} {d} {e}"}
    axis = {"standard_name": f"projection_{name}_coordinate", "long_name": f"{name} of pixel centres", "units": "m"}
    known = {"y": axis, "x": axis, "wavelength": {"long_name": "central wavelength; 0: unknown", "units": "nm"}}
    return known.get(name, {})
