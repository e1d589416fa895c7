"""The made landscape: for any block of ground, what covers each pixel, how it varies, and how high it stands.

Everything here is the same on every date; `spectra` turns it into reflectance for one day of the year.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agri_assets.samples import relief
from agri_assets.samples.covers import BUILT, FIRST_PARCEL, FIXED_CODE, USE_CODE, VARIANTS, Fixed, Use, fixed_row
from agri_assets.samples.ground import Block
from agri_assets.samples.noise import Floats, Words, mix, normal, smoothstep, stream
from agri_assets.samples.parcels import FARM_LEVEL, ParcelMap, Parcels, farm_field, map_parcels

FIELD_STEP, FINE_STEP = 8, 4
"""Pixels between the nodes of the smooth fields, and of those with finer features."""

TREE_HEIGHT_M, HEDGE_HEIGHT_M, HOUSE_HEIGHT_M = 18, 8, 9
"""Heights that cast the shadows seen at the edge of woods, hedges and houses."""


@dataclass(frozen=True)
class Land:
    """The ground of one block; arrays have the block's shape unless said otherwise.

    Attributes:
        block: Where it lies.
        parcels: The parcels in it.
        row: Row of the spectral table that each pixel takes (`covers`).
        code: WorldCover code.
        vigour: How much better or worse plants grow here than on average; about standard normal.
        stripe: The stripes that machines leave, in [-1, 1], rows of one parcel in step.
        grain: Pixel-to-pixel variation, standard normal.
        road: Share of the pixel under asphalt, 0 to 1.
        margin: Share of the pixel that is grassy field edge, 0 to 1.
        height: Metres of trees and houses above the ground.
        slope_east: Rise of the ground per metre eastwards.
        slope_north: Rise of the ground per metre northwards.
    """

    block: Block
    parcels: Parcels
    row: NDArray[np.int32]
    code: NDArray[np.uint8]
    vigour: Floats
    stripe: Floats
    grain: Floats
    road: Floats
    margin: Floats
    height: NDArray[np.uint8]
    slope_east: Floats
    slope_north: Floats


class _Canvas:
    """A block under construction: later paint covers earlier."""

    def __init__(self, block: Block, seed: int) -> None:
        self.block, self.seed = block, seed
        self.map: ParcelMap = map_parcels(*block.xy, seed)
        self.row = self.map.number + np.int32(FIRST_PARCEL)
        self.code = USE_CODE[self.map.parcels.use][self.map.number]
        self.height = np.zeros(self.row.shape, np.uint8)
        self.road = np.zeros(self.row.shape, np.float32)
        self.dice: Words = mix(block.cols, block.rows, stream(seed, "dice"))

    def paint(self, where: NDArray[np.bool_], cover: Fixed, tone: Words | None = None, height: int = 0) -> None:
        """Cover the pixels of `where`; `tone` picks the variant, pixel by pixel."""
        tone = self.dice if tone is None else tone
        self.row[where] = fixed_row(cover, tone[where])
        self.code[where] = FIXED_CODE[cover]
        self.height[where] = height


def make_land(block: Block, seed: int) -> Land:
    """The landscape of a block; the same ground gives the same land whatever block it is asked for in."""
    canvas = _Canvas(block, seed)
    _plant(canvas)
    _build(canvas)
    _flood(canvas)
    _pave(canvas)
    nodes = block.nodes(FIELD_STEP)
    _, east, north = relief.slopes(relief.elevation_field(seed), *nodes.xy)
    parcel_map = canvas.map
    phase = parcel_map.across * (np.float32(2 * np.pi) / parcel_map.parcels.row_period)[parcel_map.number]
    return Land(
        block=block,
        parcels=parcel_map.parcels,
        row=canvas.row,
        code=canvas.code,
        vigour=block.field(FINE_STEP, relief.soil_field(seed)),
        stripe=np.sin(phase),
        grain=normal(block.cols, block.rows, stream(seed, f"grain/{block.epsg}")),
        road=canvas.road,
        margin=np.clip(np.float32(1.1) - parcel_map.edge * np.float32(1 / 7), 0, 1),
        height=canvas.height,
        slope_east=nodes.spread(east),
        slope_north=nodes.spread(north),
    )


def _plant(canvas: _Canvas) -> None:
    """Woods where the country is not ploughed, copses where it is, hedges around pasture."""
    block, seed, land = canvas.block, canvas.seed, canvas.map
    wood = block.field(FINE_STEP, relief.wood_field(seed))
    use = land.parcels.use[land.number]
    farmed = smoothstep(block.field(FIELD_STEP, farm_field(seed)), FARM_LEVEL - 0.22, FARM_LEVEL + 0.16)
    level = np.float32(0.05) + np.float32(1.75) * farmed
    forest = wood > level
    conifer = block.field(FIELD_STEP, relief.river_field(seed + 1)) > 0.7
    tone = land.estate + (canvas.dice >> np.uint32(30))
    canvas.paint((wood > level - np.float32(0.09)) & ~forest & (farmed < 0.5), Fixed.SCRUB, height=2)
    canvas.paint(forest & ~conifer, Fixed.DECIDUOUS, tone, TREE_HEIGHT_M)
    canvas.paint(forest & conifer, Fixed.CONIFER, tone, TREE_HEIGHT_M)
    fenced = ((use == Use.PASTURE) | (use == Use.MEADOW)) & (land.parcels.key % np.uint32(5) < 2)[land.number]
    grown = (canvas.dice & np.uint32(0xFF)) < 175
    canvas.paint(fenced & (land.edge < 6.5) & grown & ~forest, Fixed.DECIDUOUS, height=HEDGE_HEIGHT_M)


def _build(canvas: _Canvas) -> None:
    """Streets, houses, sheds and gardens inside towns and villages, denser towards their middle."""
    land, seed = canvas.map, canvas.seed
    edge = canvas.block.field(FIELD_STEP, relief.town_field(seed))
    inside = edge < 0
    if not inside.any():
        return
    across, along = land.across[inside], land.along[inside]
    estate, depth = land.estate[inside], -edge[inside]
    works = (estate % np.uint32(7) == 0) & (depth > 60)
    plot_w, plot_l = np.where(works, 64, 17).astype(np.float32), np.where(works, 46, 14).astype(np.float32)
    plot = mix(
        np.floor(across / plot_w).astype(np.int64) + estate,
        np.floor(along / plot_l).astype(np.int64),
        stream(seed, "plot"),
    )
    draw = (plot >> np.uint32(16)).astype(np.float32) * np.float32(2.0**-16)
    built = np.float32(0.28) + np.float32(0.5) * np.minimum(depth / 600, 1)
    street = (np.mod(across, 104) < 11) | (np.mod(along, 156) < 11)
    house = draw < built
    pale = works | (plot % np.uint32(4) == 0)
    for cover, chosen, height in (
        (Fixed.GARDEN, ~house, 3),
        (Fixed.TILE_ROOF, house & ~pale, HOUSE_HEIGHT_M),
        (Fixed.PALE_ROOF, house & pale, HOUSE_HEIGHT_M),
        (Fixed.ASPHALT, street, 0),
    ):
        where = np.zeros(inside.shape, bool)
        where[inside] = chosen
        tone = np.zeros(inside.shape, np.uint32)
        tone[inside] = plot >> np.uint32(3)
        canvas.paint(where, cover, tone, height)
    canvas.code[inside & (edge < -25)] = BUILT


def _flood(canvas: _Canvas) -> None:
    """Rivers with wooded banks, and lakes with beaches and reeds."""
    block, seed = canvas.block, canvas.seed
    nodes = block.nodes(FIELD_STEP)
    river = np.abs(nodes.spread(relief.distance_to_zero(relief.river_field(seed), *nodes.xy)))
    width = np.float32(17) + np.float32(7) * nodes.spread(relief.soil_field(seed + 5)(*nodes.xy))
    trees = river < width + 22 + (canvas.dice & np.uint32(15)).astype(np.float32)
    canvas.paint(trees & ((canvas.dice & np.uint32(7)) > 0), Fixed.DECIDUOUS, height=TREE_HEIGHT_M - 4)
    bars = nodes.spread(relief.soil_field(seed + 7)(*nodes.xy)) > 1.0
    canvas.paint((river < width + 14) & bars, Fixed.SHORE)
    canvas.paint(river < width, Fixed.TURBID, canvas.dice * np.uint32(0))
    lake = nodes.spread(relief.lake_field(seed)(*nodes.xy))
    marsh = nodes.spread(relief.soil_field(seed + 9)(*nodes.xy)) > 0
    canvas.paint((lake > -0.13) & marsh, Fixed.REEDS, height=2)
    canvas.paint((lake > -0.035) & ~marsh, Fixed.SHORE)
    canvas.paint(lake > 0, Fixed.WATER, canvas.dice * np.uint32(0))


def _pave(canvas: _Canvas) -> None:
    """Country lanes along estate borders, tracks between fields, and main roads across the country."""
    block, seed, land = canvas.block, canvas.seed, canvas.map
    lane = np.clip(np.float32(1.0) - land.lane * np.float32(1 / 9), 0, 1) * np.float32(0.55)
    nodes = block.nodes(FIELD_STEP)
    highway = np.abs(nodes.spread(relief.distance_to_zero(relief.highway_field(seed), *nodes.xy)))
    main = np.clip(np.float32(2.2) - highway * np.float32(1 / 9), 0, 1)
    dry = (canvas.row < Fixed.WATER * VARIANTS) | (canvas.row >= Fixed.SHORE * VARIANTS)
    canvas.road = np.where(dry, np.maximum(lane, main), main)
    canvas.code[main > 0.6] = BUILT
    canvas.height[canvas.road > 0.3] = 0
