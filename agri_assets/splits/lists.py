"""Splits of a labelled archive: published lists where they are given, the rest carved out of train by content hash."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agri_assets.splits.assign import Texts, cell_fraction, decided, refusals, role_of
from agri_assets.splits.settings import Role, SplitSettings
from agri_assets.splits.summary import Proof


def assign_archive(index: pd.DataFrame, listed: tuple[Role, ...], settings: SplitSettings) -> pd.DataFrame:
    """Assign every sample of an archive.

    With a train list, samples on no list are in no split; without one, they are train. A role without a list is carved
    out of train by the hash of each sample's content. Samples with the same pixels in two splits are dropped from
    train first, then from val.

    Args:
        index: The archive's index; `listed` is the role whose list names the sample, `cell` its content hash.
        listed: Roles for which a list is given.
        settings: Shares, seed and thresholds.

    Returns:
        Columns `split` and `reason`, in the order of `index`.
    """
    split = index["listed"].astype(object).fillna("").to_numpy(object, copy=True)
    reason, absent = refusals(index, settings), split == ""
    if "train" in listed:
        reason[absent & (reason == "")] = "not listed"
    else:
        split[absent] = "train"
    _carve(split, index["cell"].to_numpy(object), listed, settings)
    usable = reason == ""
    reason[usable & _duplicated(split, index["cell"], usable)] = "same pixels in another split"
    return decided(split, reason)


def list_proof(listed: tuple[Role, ...]) -> tuple[Proof, dict[str, Proof]]:
    """The proof of an archive's split, overall (that of test) and per pair of roles.

    Two roles are `given` apart when different lists name them (the rest counts as train's); they are not (`none`) when
    one was carved out of the other's list.
    """
    origin = {role: role if role in listed else "train" for role in ("train", "val", "test")}
    pairs = (("train", "val"), ("train", "test"), ("val", "test"))
    detail: dict[str, Proof] = {
        f"{one}/{other}": "given" if origin[one] != origin[other] else "none" for one, other in pairs
    }
    return ("given" if "test" in listed else "none"), detail


def list_warnings(detail: dict[str, Proof]) -> tuple[str, ...]:
    """What must be said beside scores of a split that is not proved."""
    texts = []
    for role in ("val", "test"):
        if detail[f"train/{role}"] == "given":
            text = f"the {role} split follows published lists, not proved disjoint from train on the ground: scores on "
            texts.append(f"{text}{role} may be optimistic")
        else:
            text = f"the {role} split was carved out of train at random, so its neighbours are in train: scores on "
            texts.append(f"{text}{role} are optimistic")
    return tuple(texts)


def _carve(split: Texts, cell: Texts, listed: tuple[Role, ...], settings: SplitSettings) -> None:
    """Move samples of train to the roles that have no list, in place."""
    val = 0.0 if "val" in listed else settings.val
    test = 0.0 if "test" in listed else settings.test
    for row in np.flatnonzero(split == "train"):
        split[row] = role_of(cell_fraction(settings.seed, str(cell[row])), val, test)


def _duplicated(split: Texts, cell: "pd.Series[str]", usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Samples of train whose pixels are also in val or test, and of val whose pixels are also in test."""
    in_val = cell.isin(cell[usable & (split == "val")]).to_numpy(bool)
    in_test = cell.isin(cell[usable & (split == "test")]).to_numpy(bool)
    return np.asarray(((split == "train") & (in_val | in_test)) | ((split == "val") & in_test))
