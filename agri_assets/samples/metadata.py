"""The metadata documents of a product, in the structure of processing baseline 05.09.

Written after real MTD_MSIL2A.xml and MTD_TL.xml files (product specification 14.9): same elements, order and
attributes; what a made scene cannot have (auxiliary files, spectral responses) is left out.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from agri_assets.samples.passes import BASELINE, Pass, compact
from agri_assets.samples.rasters import IMAGES
from agri_assets.samples.render import CENTRE_NM, OFFSET, QUANTIFICATION
from agri_assets.samples.sky import sun_angles, sun_distance_factor
from agri_assets.samples.tiles import PIXEL_M, Window, lonlat
from agri_assets.samples.xml import Element, add, add_all, document

XSI = "http://www.w3.org/2001/XMLSchema-instance"
PRODUCT_NS = "https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd"
TILE_NS = "https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd"
SENSOR_BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
"""The instrument's thirteen bands; their position is the `band_id` of the metadata."""
ANGLE_STEP_M = 5000
"""Distance between the nodes of the angle grids."""
VIEW_ZENITH, VIEW_AZIMUTH = 4.2, 286.0
"""View angles in degrees written for every band: a place somewhat east of the track."""
PROCESSOR = "2APS"
SCL_NAMES = (
    "NODATA", "SATURATED_DEFECTIVE", "DARK_FEATURE_SHADOW", "CLOUD_SHADOW", "VEGETATION", "NOT_VEGETATED",
    "WATER", "UNCLASSIFIED", "CLOUD_MEDIUM_PROBA", "CLOUD_HIGH_PROBA", "THIN_CIRRUS", "SNOW_ICE",
)  # fmt: skip
_SOLAR_IRRADIANCE = (
    1884.69, 1959.66, 1823.24, 1512.06, 1424.64, 1287.61, 1162.08, 1041.63, 955.32, 812.92, 367.15, 245.59, 85.25,
)  # fmt: skip
_WIDTH_NM = (44, 77, 45, 38, 19, 18, 28, 147, 44, 26, 75, 143, 242)
_CENTRES = [*list(CENTRE_NM.values())[:10], 1373.5, CENTRE_NM["B11"], CENTRE_NM["B12"]]


@dataclass(frozen=True)
class SceneFacts:
    """What the documents of one product state.

    Attributes:
        window: The ground it covers.
        overpass: The pass that saw it.
        scl: Pixels of each scene class, 12 counts.
    """

    window: Window
    overpass: Pass
    scl: NDArray[np.int64]

    def percent(self, *classes: int) -> float:
        """Share of classified pixels in any of `classes`, percent."""
        return float(self.scl[list(classes)].sum() / max(int(self.scl[1:].sum()), 1) * 100)

    @property
    def cloud(self) -> float:
        """Cloud cover, percent: medium and high probability, and cirrus."""
        return self.percent(8, 9, 10)

    @property
    def datastrip(self) -> str:
        """Identifier of the data strip."""
        sensed = compact(self.overpass.sensed(self.window.tile))
        spacecraft = self.overpass.spacecraft
        return f"{spacecraft}_OPER_MSI_L2A_DS_{PROCESSOR}_{compact(self.overpass.generated)}_S{sensed}_N{BASELINE}"

    @property
    def tile_id(self) -> str:
        """Identifier of the granule."""
        where = f"A{self.overpass.absolute_orbit:06d}_T{self.window.tile.name}_N{BASELINE}"
        return f"{self.overpass.spacecraft}_OPER_MSI_L2A_TL_{PROCESSOR}_{compact(self.overpass.generated)}_{where}"


def iso(when: datetime) -> str:
    """A time as the metadata spells it, to the millisecond."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def product_document(facts: SceneFacts) -> bytes:
    """MTD_MSIL2A.xml."""
    root = Element("n1:Level-2A_User_Product", {"xmlns:n1": PRODUCT_NS, "xmlns:xsi": XSI})
    root.set("xsi:schemaLocation", f"{PRODUCT_NS} {PRODUCT_NS}")
    general = add(root, "n1:General_Info")
    _product_info(general, facts)
    _image_characteristics(general, facts)
    _footprint(add(root, "n1:Geometric_Info"), facts)
    auxiliary = add(root, "n1:Auxiliary_Data_Info")
    add(auxiliary, "GIPP_List")
    add(auxiliary, "PRODUCTION_DEM_TYPE", "None: made landscape")
    quality = add(root, "n1:Quality_Indicators_Info")
    add(quality, "Cloud_Coverage_Assessment", f"{facts.cloud:.6f}")
    technical = add(quality, "Technical_Quality_Assessment")
    add_all(technical, {"DEGRADED_ANC_DATA_PERCENTAGE": "0.0", "DEGRADED_MSI_DATA_PERCENTAGE": "0"})
    add(add(quality, "Quality_Control_Checks"), "Failed_Inspections")
    content = _content(facts)
    for only_in_tile in ("CLOUDY_PIXEL_PERCENTAGE", "DEGRADED_MSI_DATA_PERCENTAGE"):
        content.pop(only_in_tile)
    add_all(add(quality, "Image_Content_QI"), content)
    return document(root)


def _product_info(general: Element, facts: SceneFacts) -> None:
    """Names, times, orbit and the list of images."""
    overpass, window = facts.overpass, facts.window
    info = add(general, "Product_Info")
    add_all(
        info,
        {
            "PRODUCT_START_TIME": iso(overpass.start),
            "PRODUCT_STOP_TIME": iso(overpass.start),
            "PRODUCT_URI": overpass.product_name(window.tile),
            "PROCESSING_LEVEL": "Level-2A",
            "PRODUCT_TYPE": "S2MSI2A",
            "PROCESSING_BASELINE": BASELINE,
            "GENERATION_TIME": iso(overpass.generated),
            "PREVIEW_IMAGE_URL": "Not applicable",
            "PREVIEW_GEO_INFO": "Not applicable",
        },
    )
    take = f"G{overpass.spacecraft}_{compact(overpass.start)}_{overpass.absolute_orbit:06d}_N{BASELINE}"
    datatake = add(info, "Datatake", datatakeIdentifier=take)
    add_all(
        datatake,
        {
            "SPACECRAFT_NAME": f"Sentinel-{overpass.spacecraft[1:]}",
            "DATATAKE_TYPE": "INS-NOBS",
            "DATATAKE_SENSING_START": iso(overpass.start),
            "SENSING_ORBIT_NUMBER": overpass.relative_orbit,
            "SENSING_ORBIT_DIRECTION": "DESCENDING",
        },
    )
    add(add(info, "Query_Options", completeSingleTile="true"), "PRODUCT_FORMAT", "SAFE_COMPACT")
    granule = add(
        add(add(info, "Product_Organisation"), "Granule_List"),
        "Granule",
        datastripIdentifier=facts.datastrip,
        granuleIdentifier=facts.tile_id,
        imageFormat="JPEG2000",
    )
    folder = f"GRANULE/{overpass.granule_name(window.tile)}/IMG_DATA"
    for image, resolution in sorted(IMAGES.items(), key=lambda item: (item[1], item[0] == "SCL", item[0])):
        name = f"T{window.tile.name}_{compact(overpass.start)}_{image}_{resolution}m"
        add(granule, "IMAGE_FILE", f"{folder}/R{resolution}m/{name}")


def _image_characteristics(general: Element, facts: SceneFacts) -> None:
    """Special values, scale and offset, solar irradiance, wavelengths and the names of scene classes."""
    image = add(general, "Product_Image_Characteristics")
    for meaning, index in (("NODATA", 0), ("SATURATED", 65535)):
        add_all(add(image, "Special_Values"), {"SPECIAL_VALUE_TEXT": meaning, "SPECIAL_VALUE_INDEX": index})
    display = {"RED_CHANNEL": 3, "GREEN_CHANNEL": 2, "BLUE_CHANNEL": 1}
    add_all(add(image, "Image_Display_Order"), dict(display))
    scales = add(image, "QUANTIFICATION_VALUES_LIST")
    add(scales, "BOA_QUANTIFICATION_VALUE", QUANTIFICATION, unit="none")
    add(scales, "AOT_QUANTIFICATION_VALUE", "1000.0", unit="none")
    add(scales, "WVP_QUANTIFICATION_VALUE", "1000.0", unit="cm")
    offsets = add(image, "BOA_ADD_OFFSET_VALUES_LIST")
    for number in range(len(SENSOR_BANDS)):
        add(offsets, "BOA_ADD_OFFSET", -OFFSET, band_id=number)
    conversion = add(image, "Reflectance_Conversion")
    add(conversion, "U", repr(sun_distance_factor(facts.overpass.start)))
    irradiances = add(conversion, "Solar_Irradiance_List")
    for number, value in enumerate(_SOLAR_IRRADIANCE):
        add(irradiances, "SOLAR_IRRADIANCE", value, bandId=number, unit="W/m²/µm")
    spectral = add(image, "Spectral_Information_List")
    for number, band in enumerate(SENSOR_BANDS):
        _wavelengths(spectral, number, band)
    add(image, "REFERENCE_BAND", 3)
    classes = add(image, "Scene_Classification_List")
    for number, name in enumerate(SCL_NAMES):
        entry = {"SCENE_CLASSIFICATION_TEXT": f"SC_{name}", "SCENE_CLASSIFICATION_INDEX": number}
        add_all(add(classes, "Scene_Classification_ID"), dict(entry))


def _wavelengths(parent: Element, number: int, band: str) -> None:
    """Resolution and wavelengths of one band."""
    information = add(parent, "Spectral_Information", bandId=number, physicalBand=band)
    add(information, "RESOLUTION", 10 if number in (1, 2, 3, 7) else 60 if number in (0, 9, 10) else 20)
    wavelength = add(information, "Wavelength")
    half = _WIDTH_NM[number] / 2
    add(wavelength, "MIN", round(_CENTRES[number] - half), unit="nm")
    add(wavelength, "MAX", round(_CENTRES[number] + half), unit="nm")
    add(wavelength, "CENTRAL", _CENTRES[number], unit="nm")


def _footprint(geometric: Element, facts: SceneFacts) -> None:
    """The outline in latitude and longitude, closed, and the reference system."""
    outer = add(geometric, "Product_Footprint")
    corners = facts.window.corners()
    points = " ".join(f"{lat:.12f} {lon:.12f}" for lon, lat in [*corners, corners[0]])
    add(add(add(outer, "Product_Footprint"), "Global_Footprint"), "EXT_POS_LIST", points)
    add_all(outer, {"RASTER_CS_TYPE": "POINT", "PIXEL_ORIGIN": 1})
    reference = add(geometric, "Coordinate_Reference_System")
    add(reference, "GEO_TABLES", "EPSG", version=1)
    add(reference, "HORIZONTAL_CS_TYPE", "GEOGRAPHIC")


def _content(facts: SceneFacts) -> dict[str, object]:
    """Percentages of the scene classes, counted from the pixels."""
    land = int(facts.scl[1:].sum() - facts.scl[6])
    clouds = int(facts.scl[[8, 9, 10]].sum())
    shares = {
        "CLOUDY_PIXEL_PERCENTAGE": facts.cloud,
        "CLOUDY_PIXEL_OVER_LAND_PERCENTAGE": clouds / max(land, 1) * 100,
        "DEGRADED_MSI_DATA_PERCENTAGE": 0.0,
        "NODATA_PIXEL_PERCENTAGE": float(facts.scl[0] / facts.scl.sum() * 100),
        "SATURATED_DEFECTIVE_PIXEL_PERCENTAGE": facts.percent(1),
        "DARK_FEATURES_PERCENTAGE": facts.percent(2),
        "CLOUD_SHADOW_PERCENTAGE": facts.percent(3),
        "VEGETATION_PERCENTAGE": facts.percent(4),
        "NOT_VEGETATED_PERCENTAGE": facts.percent(5),
        "WATER_PERCENTAGE": facts.percent(6),
        "UNCLASSIFIED_PERCENTAGE": facts.percent(7),
        "MEDIUM_PROBA_CLOUDS_PERCENTAGE": facts.percent(8),
        "HIGH_PROBA_CLOUDS_PERCENTAGE": facts.percent(9),
        "THIN_CIRRUS_PERCENTAGE": facts.percent(10),
        "SNOW_ICE_PERCENTAGE": facts.percent(11),
    }
    return {tag: f"{share:.6f}" for tag, share in shares.items()}


def tile_document(facts: SceneFacts) -> bytes:
    """MTD_TL.xml."""
    overpass, tile = facts.overpass, facts.window.tile
    root = Element("n1:Level-2A_Tile_ID", {"xmlns:n1": TILE_NS, "xmlns:xsi": XSI})
    root.set("xsi:schemaLocation", f"{TILE_NS} {TILE_NS}")
    general = add(root, "n1:General_Info")
    add(general, "L1C_TILE_ID", facts.tile_id.replace("L2A", "L1C"), metadataLevel="Brief")
    add(general, "TILE_ID", facts.tile_id, metadataLevel="Brief")
    add(general, "DATASTRIP_ID", facts.datastrip, metadataLevel="Standard")
    add(general, "DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard")
    add(general, "SENSING_TIME", iso(overpass.sensed(tile)), metadataLevel="Standard")
    archiving = add(general, "Archiving_Info", metadataLevel="Expertise")
    add_all(archiving, {"ARCHIVING_CENTRE": PROCESSOR, "ARCHIVING_TIME": iso(overpass.generated)})
    geometric = add(root, "n1:Geometric_Info")
    _geocoding(geometric, facts.window)
    _angles(geometric, facts)
    quality = add(root, "n1:Quality_Indicators_Info", metadataLevel="Standard")
    add_all(add(quality, "Image_Content_QI"), _content(facts))
    return document(root)


def _geocoding(parent: Element, window: Window) -> None:
    """Reference system, sizes and origins of the three grids."""
    tile = window.tile
    geocoding = add(parent, "Tile_Geocoding", metadataLevel="Brief")
    name = f"WGS84 / UTM zone {tile.zone:02d}{'S' if tile.south else 'N'}"
    add_all(geocoding, {"HORIZONTAL_CS_NAME": name, "HORIZONTAL_CS_CODE": f"EPSG:{tile.epsg}"})
    for resolution in (10, 20, 60):
        pixels = window.side(resolution)
        add_all(add(geocoding, "Size", resolution=resolution), {"NROWS": pixels, "NCOLS": pixels})
    for resolution in (10, 20, 60):
        origin = {"ULX": window.ulx, "ULY": window.uly, "XDIM": resolution, "YDIM": -resolution}
        add_all(add(geocoding, "Geoposition", resolution=resolution), dict(origin))


def _angles(parent: Element, facts: SceneFacts) -> None:
    """Sun angles every 5 km and in the mean; mean view angles of every band."""
    window, seen = facts.window, facts.overpass.sensed(facts.window.tile)
    nodes = -(-window.size * PIXEL_M // ANGLE_STEP_M) + 1
    grid = np.empty((2, nodes, nodes))
    for row in range(nodes):
        for col in range(nodes):
            place = lonlat(window.tile.epsg, window.ulx + col * ANGLE_STEP_M, window.uly - row * ANGLE_STEP_M)
            grid[:, row, col] = sun_angles(seen, *place)
    angles = add(parent, "Tile_Angles", metadataLevel="Standard")
    sun = add(angles, "Sun_Angles_Grid")
    for name, values in zip(("Zenith", "Azimuth"), grid, strict=True):
        lines = add(sun, name)
        add(lines, "COL_STEP", ANGLE_STEP_M, unit="m")
        add(lines, "ROW_STEP", ANGLE_STEP_M, unit="m")
        holder = add(lines, "Values_List")
        for row in range(nodes):
            add(holder, "VALUES", " ".join(f"{value:.6g}" for value in values[row]))
    half = window.size * PIXEL_M / 2
    zenith, azimuth = sun_angles(seen, *lonlat(window.tile.epsg, window.ulx + half, window.uly - half))
    mean = add(angles, "Mean_Sun_Angle")
    add(mean, "ZENITH_ANGLE", f"{zenith:.10f}", unit="deg")
    add(mean, "AZIMUTH_ANGLE", f"{azimuth:.10f}", unit="deg")
    views = add(angles, "Mean_Viewing_Incidence_Angle_List")
    for number in range(len(SENSOR_BANDS)):
        view = add(views, "Mean_Viewing_Incidence_Angle", bandId=number)
        add(view, "ZENITH_ANGLE", VIEW_ZENITH, unit="deg")
        add(view, "AZIMUTH_ANGLE", VIEW_AZIMUTH, unit="deg")


def datastrip_document(facts: SceneFacts) -> bytes:
    """MTD_DS.xml: who saw what when, without the telemetry that a made scene has not."""
    namespace = "https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Datastrip_Metadata.xsd"
    root = Element("n1:Level-2A_DataStrip_ID", {"xmlns:n1": namespace})
    general = add(root, "n1:General_Info")
    overpass = facts.overpass
    start, sensed = iso(overpass.start), iso(overpass.sensed(facts.window.tile))
    take = f"G{overpass.spacecraft}_{compact(overpass.start)}_{overpass.absolute_orbit:06d}_N{BASELINE}"
    datatake = add(general, "Datatake_Info", datatakeIdentifier=take)
    add_all(
        datatake,
        {
            "SPACECRAFT_NAME": f"Sentinel-{overpass.spacecraft[1:]}",
            "DATATAKE_TYPE": "INS-NOBS",
            "DATATAKE_SENSING_START": start,
            "SENSING_ORBIT_NUMBER": overpass.relative_orbit,
            "SENSING_ORBIT_DIRECTION": "DESCENDING",
        },
    )
    times = {"DATASTRIP_SENSING_START": sensed, "DATASTRIP_SENSING_STOP": sensed}
    add_all(add(general, "Datastrip_Time_Info"), dict(times))
    add_all(
        add(general, "Processing_Info"), {"PROCESSING_BASELINE": BASELINE, "UTC_DATE_TIME": iso(overpass.generated)}
    )
    return document(root)
