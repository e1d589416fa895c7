"""The band assets of a STAC item: which asset is which band, and where its raster is."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

from agri_assets.errors import SceneError
from agri_assets.remote.address import is_remote, without_signature
from agri_assets.scenes.naming import BANDS, CLASSIFICATION, COMMON_NAMES, native_resolution
from agri_assets.scenes.radiometry import QUANTIFICATION
from agri_assets.scenes.stac_document import Json, StacItem, is_item, read_json_document

RESOLUTION_IN_KEY = re.compile(r"_\d\dm$", re.IGNORECASE)
"""`B05_20m`: providers that keep every resolution of a product name assets as its files are named."""


@dataclass(frozen=True)
class BandAsset:
    """One band's asset.

    Attributes:
        key: Its key in the item.
        href: A local path, or the address without any signature.
        beside: Whether a file beside the item stands in for the remote address.
        resolution: Declared pixel size in metres.
        transform: Declared `proj:transform`, six coefficients; None where there is none.
        shape: Declared `proj:shape`.
        offset: Declared offset in digital numbers; None where there is none.
        nodata: Declared nodata value.
        size: Declared `file:size` in bytes.
        checksum: Declared `file:checksum`, a multihash in hex.
    """

    key: str
    href: str
    beside: bool
    resolution: float
    transform: tuple[float, ...] | None
    shape: tuple[int, int] | None
    offset: int | None
    nodata: int
    size: int | None
    checksum: str | None

    @property
    def local(self) -> bool:
        """Whether `href` is a path."""
        return not is_remote(self.href)


def band_assets(item: StacItem) -> dict[str, BandAsset]:
    """The item's assets by band name (`B02`, ..., and `SCL`), one each: by key, else by the band they describe.

    Raises:
        SceneError: An asset is not what STAC says it is.
    """
    chosen: dict[str, tuple[str, Json]] = {}
    for rank in (_by_key, _by_band_name):
        found: dict[str, list[tuple[str, Json]]] = {}
        for key, asset in item.assets.items():
            if not isinstance(asset, Mapping) or not isinstance(asset.get("href"), str):
                raise SceneError(f"{item.location}: asset {key!r} has no href; the item is broken")
            if (band := rank(key, asset)) is not None and not _is_original(asset, item):
                found.setdefault(band, []).append((key, asset))
        for band, candidates in found.items():
            if band not in chosen:
                # a band that is offered at several resolutions is taken at its finest
                chosen[band] = min(candidates, key=lambda one: _declared_resolution(one[1]))
    return {band: _asset(key, asset, band, item) for band, (key, asset) in chosen.items()}


def resolve(href: str, location: str, size: object = None) -> tuple[str, bool]:
    """(address or path, whether a file beside the item stands in for a remote address).

    A file does that by its name where the item is alone in its folder. Among several items the same name may mean any
    of them, so there the file must also have the size that its own item states.

    Args:
        href: As the item has it: absolute or relative.
        location: The item's own path or address.
        size: `file:size` of the asset.

    Raises:
        SceneError: It names what cannot be read: another kind of storage, or, from another host, a file on this disk.
    """
    scheme = urlsplit(href).scheme
    if is_remote(location):
        address = _join(location, href) if not scheme else href
        if not is_remote(address):
            raise SceneError(f"{location}: {href} is no address (http, https, s3); a remote item cannot name that")
        return without_signature(address), False
    folder = Path(location).parent
    if scheme == "file":
        return unquote(urlsplit(href).path), False
    if not scheme:
        return str((folder / href).resolve()), False
    if not is_remote(href):
        raise SceneError(f"{location}: {href} cannot be read; paths, file:, https: and s3: addresses can")
    copy = folder / PurePosixPath(unquote(urlsplit(href).path)).name
    if copy.is_file() and (copy.stat().st_size == size or _is_alone(Path(location))):
        return str(copy.resolve()), True
    return without_signature(href), False


def _is_alone(path: Path) -> bool:
    """Whether no other item is in an item's folder; one that cannot be read may be one."""
    for other in path.parent.iterdir():
        if other.suffix.lower() not in (".json", ".geojson") or other.name == path.name:
            continue
        try:
            if is_item(read_json_document(other)):
                return False
        except SceneError:
            return False
    return True


def _join(address: str, href: str) -> str:
    """A relative reference resolved; urllib does not know that s3 addresses have paths."""
    scheme, _, rest = address.partition("://")
    return scheme + urljoin(f"https://{rest}", href).removeprefix("https")


def _is_original(asset: Json, item: StacItem) -> bool:
    """Whether an asset is ESA's own JP2 beside COGs from which Earth Search took the offset; its offset is still in."""
    return item.properties.get("earthsearch:boa_offset_applied") is True and asset.get("type") == "image/jp2"


def _by_key(key: str, _: Json) -> str | None:
    key = RESOLUTION_IN_KEY.sub("", key)
    band = COMMON_NAMES.get(key.lower(), key.upper())
    return band if band in BANDS or band == CLASSIFICATION else None


def _by_band_name(key: str, asset: Json) -> str | None:
    """By the one band the asset describes (`eo:bands`, or `bands` since STAC 1.1); composites describe several."""
    described = asset.get("eo:bands") or asset.get("bands") or []
    if not isinstance(described, list) or len(described) != 1 or not isinstance(described[0], Mapping):
        return None
    if "thumbnail" in (asset.get("roles") or ()):
        return None
    names = (described[0].get(field) for field in ("name", "common_name", "eo:common_name"))
    return next((band for name in names if isinstance(name, str) and (band := _by_key(name, asset))), None)


def _declared_resolution(asset: Json) -> float:
    """For comparison only: what does not say is coarser than what does."""
    stated = [asset.get("gsd"), *(one.get("spatial_resolution") for one in _descriptions(asset))]
    if isinstance(transform := asset.get("proj:transform"), list) and transform:
        stated.insert(0, transform[0])
    return next((float(value) for value in stated if isinstance(value, int | float) and value > 0), float("inf"))


def _asset(key: str, asset: Json, band: str, item: StacItem) -> BandAsset:
    try:
        href, beside = resolve(asset["href"], item.location, asset.get("file:size"))
        raster = next(_descriptions(asset), {})
        transform = tuple(float(value) for value in asset.get("proj:transform") or ())[:6]
        shape = tuple(int(value) for value in asset.get("proj:shape") or ())
        resolution = _declared_resolution(asset)
        size, checksum = asset.get("file:size"), asset.get("file:checksum")
        return BandAsset(
            key=key,
            href=href,
            beside=beside,
            resolution=resolution if resolution < float("inf") else native_resolution(band),
            transform=transform if len(transform) == 6 and transform[0] > 0 else None,
            shape=(shape[0], shape[1]) if len(shape) == 2 and min(shape) > 0 else None,
            offset=_offset({**asset, **raster}, band, f"{item.location}: asset {key!r}"),
            nodata=int(raster.get("nodata") or asset.get("nodata") or 0),
            # the size of a file that stands in for the declared one is its own
            size=int(size) if size is not None and not beside else None,
            checksum=str(checksum) if checksum is not None and not beside else None,
        )
    except (TypeError, ValueError, OverflowError, AttributeError, LookupError) as error:
        raise SceneError(
            f"{item.location}: asset {key!r} has a field of the wrong type ({error}); the item is broken"
        ) from None


def _descriptions(asset: Json) -> Iterator[Json]:
    """What the asset says of its raster: `raster:bands`, or `bands` since STAC 1.1."""
    for field in ("raster:bands", "bands"):
        described = asset.get(field)
        if isinstance(described, list):
            yield from (one for one in described if isinstance(one, Mapping))


def _offset(raster: Json, band: str, where: str) -> int | None:
    """The declared offset in digital numbers; reflectance = scale * number + offset, and the scale is one alone."""
    if band == CLASSIFICATION:
        return None
    offset, scale = (raster.get(field, raster.get(f"raster:{field}")) for field in ("offset", "scale"))
    scale = 1 / QUANTIFICATION if scale is None else float(scale)
    if round(scale * QUANTIFICATION, 6) != 1:
        raise SceneError(f"{where} has scale {scale}, expected {1 / QUANTIFICATION}; not usable")
    return None if offset is None else round(float(offset) / scale)
