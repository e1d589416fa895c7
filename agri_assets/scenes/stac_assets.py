"""The band assets of a STAC item: which asset is which band, and where its raster is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from agri_assets.errors import SceneError
from agri_assets.scenes.naming import BANDS, CLASSIFICATION, COMMON_NAMES, native_resolution
from agri_assets.scenes.radiometry import QUANTIFICATION

Json = Mapping[str, Any]


@dataclass(frozen=True)
class BandAsset:
    """One band's asset.

    Attributes:
        key: Its key in the item.
        href: A local path, or the address as it stands.
        local: Whether `href` is a path.
        beside: Whether a file beside the item stands in for the remote address.
        resolution: Declared pixel size in metres.
        transform: Declared `proj:transform`, six coefficients; None where there is none.
        shape: Declared `proj:shape`.
        offset: Declared offset in digital numbers; None where there is none.
        nodata: Declared nodata value.
    """

    key: str
    href: str
    local: bool
    beside: bool
    resolution: float
    transform: tuple[float, ...] | None
    shape: tuple[int, int] | None
    offset: int | None
    nodata: int


def band_assets(assets: Json, folder: Path, name: str) -> dict[str, BandAsset]:
    """The item's assets by band name (`B02`, ..., and `SCL`), one each.

    Args:
        assets: The item's `assets`.
        folder: Where the item stands: relative addresses count from it.
        name: The item, for messages.

    Raises:
        SceneError: An asset is not what STAC says it is.
    """
    found: dict[str, BandAsset] = {}
    for rank in (_by_key, _by_band_name):
        for key, asset in assets.items():
            if not isinstance(asset, Mapping) or not isinstance(asset.get("href"), str):
                raise SceneError(f"{name}: asset {key!r} has no href; the item is broken")
            band = rank(key, asset)
            if band is not None and band not in found:
                found[band] = _asset(key, asset, band, folder, name)
    return found


def resolve(href: str, folder: Path) -> tuple[str, bool, bool]:
    """(address or path, whether it is a path, whether a file beside the item stands in for a remote address)."""
    parts = urlsplit(href)
    if parts.scheme == "file":
        return unquote(parts.path), True, False
    if not parts.scheme:
        return str((folder / href).resolve()), True, False
    copy = folder / Path(unquote(parts.path)).name
    return (str(copy.resolve()), True, True) if copy.is_file() else (href, False, False)


def _by_key(key: str, _: Json) -> str | None:
    band = COMMON_NAMES.get(key.lower(), key.upper())
    return band if band in BANDS or band == CLASSIFICATION else None


def _by_band_name(key: str, asset: Json) -> str | None:
    """By the one band the asset describes (`eo:bands`, or `bands` since STAC 1.1); composites describe several."""
    described = asset.get("eo:bands") or asset.get("bands") or []
    if len(described) != 1 or not isinstance(described[0], Mapping) or "thumbnail" in (asset.get("roles") or ()):
        return None
    names = (described[0].get(field) for field in ("name", "common_name", "eo:common_name"))
    return next((band for name in names if isinstance(name, str) and (band := _by_key(name, asset))), None)


def _asset(key: str, asset: Json, band: str, folder: Path, name: str) -> BandAsset:
    href, local, beside = resolve(asset["href"], folder)
    try:
        raster = next(_descriptions(asset), {})
        transform = [float(value) for value in asset.get("proj:transform") or ()][:6]
        shape = [int(value) for value in asset.get("proj:shape") or ()]
        gsd = transform[0] if transform else asset.get("gsd") or raster.get("spatial_resolution")
        return BandAsset(
            key=key,
            href=href,
            local=local,
            beside=beside,
            resolution=float(gsd or native_resolution(band)),
            transform=tuple(transform) if len(transform) == 6 else None,
            shape=(shape[0], shape[1]) if len(shape) == 2 else None,
            offset=_offset(raster, band, key, name),
            nodata=int(raster.get("nodata") or 0),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise SceneError(f"{name}: asset {key!r} has a field of the wrong type ({error}); the item is broken") from None


def _descriptions(asset: Json) -> Iterator[Json]:
    """What the asset says of its raster: `raster:bands`, or `bands` since STAC 1.1."""
    yield from asset.get("raster:bands") or ()
    yield from asset.get("bands") or ()


def _offset(raster: Json, band: str, key: str, name: str) -> int | None:
    """The declared offset in digital numbers; reflectance = scale * number + offset."""
    offset = raster.get("offset", raster.get("raster:offset"))
    if offset is None or band == CLASSIFICATION:
        return None
    scale = float(raster.get("scale", raster.get("raster:scale", 1 / QUANTIFICATION)))
    if round(scale * QUANTIFICATION, 6) != 1:
        raise SceneError(f"{name}: asset {key!r} has scale {scale}, expected {1 / QUANTIFICATION}; not usable")
    return round(float(offset) / scale)
