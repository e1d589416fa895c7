"""The georeference of a remote raster that does not carry its own: GDAL's `.aux.xml` beside it."""

from urllib.parse import urlsplit, urlunsplit
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from agri_assets.remote.client import client

BESIDE = ".aux.xml"
"""What GDAL adds to a raster's name for what the raster itself cannot hold."""

SIZE_LIMIT = 1 << 20
"""Largest such file read, in bytes; real ones have some kilobytes."""

KEPT = ("SRS", "GeoTransform")


def georeference_beside(address: str, sign: str = "") -> bytes | None:
    """CRS, grid and nodata value of the `.aux.xml` beside a raster, as such a file; None where there is none.

    Everything else in it is left out: it might name other files, which GDAL would then open.

    Raises:
        RemoteError: The host does not answer.
    """
    parts = urlsplit(address)
    beside = urlunsplit(parts._replace(path=parts.path + BESIDE))
    if not client().exists(beside, sign):
        return None
    try:
        root = fromstring(client().read(beside, 0, SIZE_LIMIT, sign))
    except (ParseError, DefusedXmlException, ValueError):
        return None
    kept = Element("PAMDataset")
    for name in KEPT:
        if (found := root.find(name)) is not None:
            SubElement(kept, name, found.attrib).text = found.text
    if (nodata := root.find("PAMRasterBand/NoDataValue")) is not None:
        SubElement(SubElement(kept, "PAMRasterBand", {"band": "1"}), "NoDataValue").text = nodata.text
    return tostring(kept)
