"""Proof of an archive's split: against its lists, and on the ground where that is known.

Independent of the assigner: outlines come from the index and are measured pair by pair on the plane that touches the
WGS 84 ellipsoid between them (`tangent`), not in UTM zones.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from agri_assets.errors import SplitError
from agri_assets.splits.apart import SCALE_TOLERANCE
from agri_assets.splits.archive_rows import INDEX_REMEDY, refuse_rows, require_one_split
from agri_assets.splits.proof import Terms
from agri_assets.splits.settings import PAIRS, ROLES, Role
from agri_assets.splits.summary import Proof
from agri_assets.splits.tangent import Close, Nearest, nearest

Texts = NDArray[np.object_]

BASIS = {
    "ground": "by geometry",
    "lists": "by published lists",
    "groups": "by product: groups are kept together",
    "random": "at random",
    "ground or groups": "by geometry where the ground is known, elsewhere by product",
    "ground or random": "by geometry where the ground is known, elsewhere at random",
}


@dataclass(frozen=True)
class ArchiveProof:
    """What is known of an archive's split.

    Attributes:
        proof: Overall: that of the test split, the weaker of its two pairs.
        detail: Per pair of roles.
        basis: Per pair, in words.
        least_m: Least distance in metres per pair, of samples on known ground; None beyond two diagonals of the larger.
        warnings: What must be said wherever scores are shown.
    """

    proof: Proof
    detail: dict[str, Proof]
    basis: dict[str, str]
    least_m: dict[str, float | None]
    warnings: tuple[str, ...]


def prove_archive(rows: pd.DataFrame, listed: tuple[Role, ...]) -> ArchiveProof:
    """Check an archive's splits against its lists and measure them on the ground.

    Two roles are `proved` apart where the ground of all their samples is known and no two lie nearer than one diagonal
    of the larger of the two; else `given` where different lists name them (the rest counts as train's); else `none`.

    Args:
        rows: What `prove_rows` returned.
        listed: Roles for which a list is given.

    Raises:
        SplitError: A sample is in another split than its list says, the same pixels are in two splits, what is carved
            tears a cell or a product apart, or comes too near; or an outline covers no ground.
    """
    require_one_split(rows, "content", "content")
    _prove_lists(rows, listed)
    shapes = _outlines(rows)
    refuse_rows(
        rows[~shapely.is_missing(shapes) & ~(shapely.area(shapes) > 0)], "its outline covers no ground", INDEX_REMEDY
    )
    _prove_together(rows, shapes, listed)
    measured = _measure(rows, shapes)
    detail: dict[str, Proof] = {}
    basis, least, warnings = {}, {}, []
    for pair in PAIRS:
        name, found = "/".join(pair), measured.get(pair)
        if found and found.worst and not {*listed}.issuperset(pair):
            raise SplitError(f"{_closest(rows, pair, found.near, found.worst)}; materialise splits again")
        how = _how(rows, shapes, pair, listed, found)
        basis[name] = BASIS[how]
        detail[name] = "proved" if how == "ground" else "given" if how == "lists" else "none"
        if found:
            least[name] = found.metres
        warnings.extend(_warnings(rows, pair, how, found))
    weaker = max(("train/test", "val/test"), key=lambda name: ("proved", "given", "none").index(detail[name]))
    return ArchiveProof(detail[weaker], detail, basis, least, tuple(warnings))


def archive_terms(index: pd.DataFrame, listed: tuple[Role, ...]) -> Terms:
    """Words for the refusal of a weak split of an archive."""
    placed = "geometry" in index and bool(index["geometry"].notna().any())
    cells = cell_words(index)
    smaller = "raise split.resolution (smaller cells), " if placed else ""
    remedy: dict[Role, str] = {}
    for role in ROLES:
        share = f"split.{role}" if role != "train" else "split.val and split.test"
        listing = f"give source.{role} a list, " if role != "train" else ""
        carved = f"{listing}{smaller}add images, or change {share} or split.seed"
        remedy[role] = f"correct the list source.{role} or labels.agricultural" if role in listed else carved
    return Terms(cells, remedy)


def cell_words(index: pd.DataFrame) -> str:
    """What the cells of an archive are, in words; an archive may hold several kinds."""
    placed = index["geometry"].notna() if "geometry" in index else pd.Series(False, index=index.index)
    grouped = ~placed & index["group"].notna()
    kinds = {"ground cells": placed, "products": grouped, "distinct images": ~placed & ~grouped}
    return " and ".join(name for name, held in kinds.items() if held.any())


def _outlines(rows: pd.DataFrame) -> Texts:
    if "geometry" not in rows:
        return np.full(len(rows), None, dtype=object)
    known = rows["geometry"].astype(object).where(rows["geometry"].notna(), None)
    return np.asarray(shapely.from_wkb(known.to_numpy(object)), dtype=object)


def _prove_lists(rows: pd.DataFrame, listed: tuple[Role, ...]) -> None:
    on_list = rows["listed"].astype(object).where(rows["listed"].notna(), None)
    free = [role for role in ROLES if role not in listed]
    for role in listed:
        # only train's may have left their list, and only for a role that has none
        left = rows["split"].isin(free if role == "train" else [])
        strayed = (on_list == role) & (rows["split"] != role) & ~left
        refuse_rows(rows[strayed], f"on the {role} list, which is for another split")
        if role != "train":
            refuse_rows(rows[(rows["split"] == role) & (on_list != role)], f"in split {role} but not on its list")
    if "train" in listed:
        refuse_rows(rows[on_list.isna()], "in a split but on no list")


def _prove_together(rows: pd.DataFrame, shapes: Texts, listed: tuple[Role, ...]) -> None:
    """Refuse if train and what was carved out of it share a cell, or a group part of whose ground is not known."""
    pool = rows["split"].isin([role for role in ROLES if role == "train" or role not in listed])
    require_one_split(rows[pool], "cell")
    unplaced = rows.loc[shapely.is_missing(shapes), "group"].dropna()
    require_one_split(rows[pool & rows["group"].isin(unplaced)], "group")


def _measure(rows: pd.DataFrame, shapes: Texts) -> dict[tuple[Role, Role], Nearest]:
    """How near each pair of roles comes; only pairs of which both have samples on known ground."""
    places = {}
    for role in ROLES:
        own = np.flatnonzero((rows["split"] == role).to_numpy(bool) & ~shapely.is_missing(shapes))
        places[role] = own
    return {
        (one, other): nearest(shapes, places[one], places[other], SCALE_TOLERANCE)
        for one, other in PAIRS
        if len(places[one]) and len(places[other])
    }


def _how(
    rows: pd.DataFrame, shapes: Texts, pair: tuple[Role, Role], listed: tuple[Role, ...], found: Nearest | None
) -> str:
    """What keeps a pair apart: a key of `BASIS`."""
    unplaced = rows[rows["split"].isin(pair).to_numpy(bool) & shapely.is_missing(shapes)]
    if found and unplaced.empty and not found.near:
        return "ground"
    one, other = (role if role in listed else "train" for role in pair)
    if one != other:
        return "lists"
    how = "groups" if unplaced["group"].notna().all() else "random"
    return f"ground or {how}" if len(unplaced) < rows["split"].isin(pair).sum() else how


def _warnings(rows: pd.DataFrame, pair: tuple[Role, Role], how: str, found: Nearest | None) -> list[str]:
    one, other = pair
    if how == "ground":
        return []
    near = f", and {_closest(rows, pair, found.near, found.worst)}" if found and found.worst else ""
    if one == "val":
        # what train shares with either is said for each; between the two only what was measured
        return [f"scores on test may be optimistic: {near.removeprefix(', and ')}"] if near else []
    if how == "lists":
        return [
            f"the {other} split follows published lists, not proved disjoint from train on the ground{near}: scores on "
            f"{other} {'are' if near else 'may be'} optimistic"
        ]
    if how == "groups":
        return [
            f"the {other} split was carved out of train by product: groups are kept together, but two products may "
            f"show the same ground: scores on {other} may be optimistic"
        ]
    if how == "random":
        return [
            f"the {other} split was carved out of train at random, so its neighbours are in train: scores on {other} "
            "are optimistic"
        ]
    parts = rows[rows["split"].isin(pair)]
    apart = "by product" if how == "ground or groups" else "at random"
    return [
        f"the {other} split was carved out of train by ground where that is known, {apart} for "
        f"{parts['geometry'].isna().sum()} of {len(parts)} samples of the two, which may show the ground of the other "
        f"split: scores on {other} may be optimistic"
    ]


def _closest(rows: pd.DataFrame, pair: tuple[Role, Role], near: int, worst: Close) -> str:
    one, other = pair
    first, second = (f"{rows['class_name'].iloc[row]}/{rows['name'].iloc[row]}" for row in worst.pair)
    samples = int((rows["split"] == other).sum())
    return (
        f"{near} of {samples} {other} samples lie nearer than one tile diagonal to a {one} sample, the closest "
        f"{second} at {math.floor(worst.metres)} m from {first} (diagonal {worst.diagonal_m:.0f} m)"
    )
