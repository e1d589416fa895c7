"""Splits of a labelled archive: published lists where they are given, the rest carved out of train.

What keeps carved samples together is their `cell`: the ground cell where the ground is known, else the group that they
were cut from, else their content. A list is followed to the letter, whatever it tears apart, but for twins: of samples
with the same pixels in two splits, those of train go first, then those of val.
"""

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from agri_assets.splits.rules import UNUSABLE, cell_fraction, role_of, unusable
from agri_assets.splits.settings import ODD, PAIRS, Role, SplitSettings
from agri_assets.splits.zones import diagonals, near_outlines

Texts = NDArray[np.object_]


def assign_archive(index: pd.DataFrame, listed: tuple[Role, ...], settings: SplitSettings) -> pd.DataFrame:
    """Assign every sample of an archive.

    With a train list, samples on no list are in no split; without one, they are train. A role without a list is carved
    out of train by the hash of each sample's cell. Then, of samples in two splits, those of train are dropped first,
    then those of val: the same pixels; and, of roles without a list only, samples of a product part of whose ground is
    not known, and samples nearer to another split than one diagonal of the larger sample of the two (the larger is
    dropped where it is far larger).

    Args:
        index: The archive's index; `listed` is the role whose list names the sample.
        listed: Roles for which a list is given.
        settings: Shares, seed and thresholds.

    Returns:
        Columns `split` and `reason`, in the order of `index`.
    """
    split = index["listed"].astype(object).fillna("").to_numpy(object, copy=True)
    reason, absent = _refusals(index, settings), split == ""
    if "train" in listed:
        reason[absent & (reason == "")] = "not listed"
    else:
        split[absent] = "train"
    _carve(split, index["cell"].to_numpy(object), listed, settings)
    shapes = outlines(index)
    reason[_shared(split, index["content"], reason == "", PAIRS)] = "same pixels in another split"
    reason[_shared(split, _loose(index, shapes), reason == "", _carved(listed))] = "same group in another split"
    reason[_too_near(split, shapes, reason == "", listed)] = "near another split"
    return _decided(split, reason)


def outlines(index: pd.DataFrame) -> Texts:
    """The outlines of an index's samples, EPSG:4326; None where the ground is not known."""
    if "geometry" not in index:
        return np.full(len(index), None, dtype=object)
    known = index["geometry"].astype(object).where(index["geometry"].notna(), None)
    return np.asarray(shapely.from_wkb(known.to_numpy(object)), dtype=object)


def _refusals(index: pd.DataFrame, settings: SplitSettings) -> Texts:
    """Why each sample cannot be used by itself; "" where it can."""
    valid, clear = (index[name].to_numpy(np.float32) for name in ("valid_fraction", "clear_fraction"))
    ambiguous, unlabelled = index["ambiguous"].to_numpy(bool), index["label"].isna().to_numpy(bool)
    return np.array([*UNUSABLE, ""], dtype=object)[unusable(valid, clear, ambiguous, unlabelled, settings)]


def _decided(split: Texts, reason: Texts) -> pd.DataFrame:
    """A table of `split` and `reason`, one of which is None in every row: `split` where there is a reason."""
    usable = reason == ""
    columns = {"split": np.where(usable, split, np.array(None)), "reason": np.where(usable, np.array(None), reason)}
    return pd.DataFrame(columns, dtype=object)


def _carve(split: Texts, cell: Texts, listed: tuple[Role, ...], settings: SplitSettings) -> None:
    """Move samples of train to the roles that have no list, in place."""
    val = 0.0 if "val" in listed else settings.val
    test = 0.0 if "test" in listed else settings.test
    for row in np.flatnonzero(split == "train"):
        split[row] = role_of(cell_fraction(settings.seed, str(cell[row])), val, test)


def _carved(listed: tuple[Role, ...]) -> tuple[tuple[Role, Role], ...]:
    """Pairs of roles that were made of one pool; the one that gives way stands first."""
    pool = {"train", "val", "test"} - ({*listed} - {"train"})
    return tuple(_giving_way(pair, listed) for pair in PAIRS if pool.issuperset(pair))


def _giving_way(pair: tuple[Role, Role], listed: tuple[Role, ...]) -> tuple[Role, Role]:
    """The pair with the role first whose samples may be dropped: the former, unless a list names it."""
    one, other = pair
    return (other, one) if one in listed else (one, other)


def _loose(index: pd.DataFrame, shapes: Texts) -> "pd.Series[str]":
    """The group of samples whose group holds samples of unknown ground: only the product keeps those together."""
    group = index["group"]
    return group.where(group.isin(group[shapely.is_missing(shapes)].dropna()))


def _shared(
    split: Texts, key: "pd.Series[str]", usable: NDArray[np.bool_], pairs: tuple[tuple[Role, Role], ...]
) -> NDArray[np.bool_]:
    """Usable samples of the first role of a pair whose key stands in the second role too."""
    known = usable & key.notna().to_numpy(bool)
    dropped = np.zeros(len(split), dtype=bool)
    for one, other in pairs:
        dropped |= known & (split == one) & key.isin(key[known & (split == other)]).to_numpy(bool)
    return dropped


def _too_near(split: Texts, shapes: Texts, usable: NDArray[np.bool_], listed: tuple[Role, ...]) -> NDArray[np.bool_]:
    """Samples of roles without a list that lie too near another split, and give way to it."""
    known = ~shapely.is_missing(shapes)
    dropped = np.zeros(len(split), dtype=bool)
    for one, other in (_giving_way(pair, listed) for pair in PAIRS if not {*listed}.issuperset(pair)):
        ours, others = (np.flatnonzero(known & usable & (split == role)) for role in (one, other))
        (mine, my_place), (theirs, their_place) = _distinct(shapes[ours]), _distinct(shapes[others])
        my_m, their_m = diagonals(mine), diagonals(theirs)
        left, right = near_outlines(mine, theirs, my_m, their_m)
        yields = (their_m[right] > ODD * my_m[left]) & (other not in listed)
        dropped[ours] |= np.isin(my_place, left[~yields])
        dropped[others] |= np.isin(their_place, right[yields])
    return dropped


def _distinct(shapes: Texts) -> tuple[Texts, NDArray[np.int64]]:
    """Distinct outlines, and which of them each one is: many dates of one place are one outline."""
    distinct, place = np.unique(shapely.to_wkb(shapes), return_inverse=True)
    return np.asarray(shapely.from_wkb(distinct), dtype=object), place
