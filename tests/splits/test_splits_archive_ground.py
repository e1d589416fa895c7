"""A labelled archive from its files to a checked split: by ground, by product, and on both sides of its lists."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from PIL import Image

from agri_assets.config import Collection
from agri_assets.cube.archive import build_archive_cube
from agri_assets.errors import SplitError
from agri_assets.splits.build import build_splits, check_splits
from agri_assets.store.layout import CollectionPaths

SIDE, TILE = 24, 32


def collection(root, source=None, **split):
    return Collection.model_validate(
        {
            "name": "placed",
            "source": {"kind": "archive", "path": str(root / "tiles"), **(source or {})},
            "bands": ["B04"],
            "tile_size": TILE,
            "labels": {"kind": "classes", "agricultural": ["Crop"]},
            "split": {"resolution": 8, "val": 0.2, "test": 0.2, **split},
        }
    )


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """Georeferenced tiles cut side by side, of two classes, and their cube."""
    root, rng = tmp_path_factory.mktemp("placed"), np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": TILE, "height": TILE, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    for number in range(SIDE * SIDE):
        row, col = divmod(number, SIDE)
        path = root / "tiles" / ("Crop" if rng.random() < 0.5 else "Forest") / f"r{row}_c{col}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        transform = rasterio.Affine(10, 0, 500_000 + 320 * col, 0, -10, 5_100_000 - 320 * row)
        with rasterio.open(path, "w", transform=transform, **profile) as dataset:
            dataset.write(rng.integers(1, 9000, (1, TILE, TILE), dtype=np.uint16))
    paths = CollectionPaths(root / "data", "placed")
    build_archive_cube(collection(root), paths)
    return root, paths


def listing(root, name, wanted):
    """A list of the tiles whose column `wanted` takes."""
    names = [path.relative_to(root / "tiles").as_posix() for path in sorted((root / "tiles").rglob("*.tif"))]
    chosen = [entry for entry in names if wanted(int(entry.rsplit("_c", 1)[1].removesuffix(".tif")))]
    path = root / f"{name}.txt"
    path.write_text("\n".join(chosen) + "\n")
    return str(path)


def made(placed, split=None, **lists):
    root, paths = placed
    one = collection(root, lists, **(split or {}))
    build_archive_cube(one, paths)
    outcome = build_splits(one, paths)
    return outcome, check_splits(one, paths), pd.read_parquet(paths.assignments)


def test_known_ground_is_proved_and_drawn(placed):
    outcome, summary, frame = made(placed)
    assert summary.proof == "proved"
    assert summary.warnings == ()
    assert set(summary.proof_basis.values()) == {"by geometry"}
    assert all(value is None or value >= 320 * np.sqrt(2) * 0.999 for value in summary.min_distance_m.values())
    assert summary.dropped["near another split"] > 0
    assert set(frame["reason"].dropna()) == {"near another split"}
    assert outcome.pictures["split map"].stat().st_size < 80_000
    assert outcome.metadata["cells are"] == "ground cells"


def test_lists_apart_are_proved_and_lists_side_by_side_are_not(placed):
    root, _ = placed
    apart = {
        "train": listing(root, "train", lambda col: col < 12),
        "val": listing(root, "val", lambda col: 14 <= col < 18),
        "test": listing(root, "test", lambda col: col >= 20),
    }
    _, summary, frame = made(placed, **apart)
    assert (summary.proof, summary.warnings) == ("proved", ())
    assert summary.min_distance_m["val/test"] == pytest.approx(640, rel=1e-3)
    assert set(frame["reason"].dropna()) == {"not listed"}
    beside = {**apart, "test": listing(root, "beside", lambda col: col >= 18)}
    _, summary, frame = made(placed, **beside)
    assert (summary.proof, summary.proof_detail["train/test"]) == ("given", "proved")
    assert summary.proof_detail["val/test"] == "given"
    assert f"{2 * SIDE} of {6 * SIDE} test samples lie nearer than one tile diagonal to a " in summary.warnings[-1]
    assert summary.warnings[-1].count("(diagonal 453 m)") == 1
    assert set(frame["reason"].dropna()) == {"not listed"}


def test_what_is_carved_beside_a_list_gives_way(placed):
    root, _ = placed
    lists = {
        "train": listing(root, "left", lambda col: col < 18),
        "test": listing(root, "right", lambda col: col >= 20),
    }
    _, summary, frame = made(placed, {"resolution": 7, "min_cells": 1, "seed": 3}, **lists)
    assert summary.proof == "proved"
    assert (frame["split"] == "test").sum() == 4 * SIDE
    assert summary.proof_detail["train/val"] == "proved"


def test_a_moved_row_is_refused(placed):
    root, paths = placed
    _, _, frame = made(placed)
    dropped = frame.index[frame["reason"] == "near another split"]
    role = frame.dropna(subset="split").drop_duplicates("cell").set_index("cell")["split"]
    back = [row for row in dropped if role.get(frame.loc[row, "cell"]) == "train"]
    frame.loc[back, ["split", "reason"]] = ["train", None]
    frame.to_parquet(paths.assignments, index=False)
    with pytest.raises(SplitError, match="lie nearer than one tile diagonal"):
        check_splits(collection(root), paths)


def test_products_without_ground_are_kept_together(tmp_path):
    rng = np.random.default_rng(1)
    for number in range(240):
        kind = "Crop" if number % 3 else "Forest"
        path = tmp_path / "tiles" / kind / f"S2A_product{number % 30}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (TILE, TILE), dtype=np.uint8)).save(path)
    one = collection(tmp_path, {"pattern": r"(?P<group>S2A_product\d+)_(?P<number>\d+)"}, min_cells=3)
    paths = CollectionPaths(tmp_path / "data", "placed")
    build_archive_cube(one, paths)
    outcome = build_splits(one, paths)
    summary = check_splits(one, paths)
    assert summary.proof == "none"
    assert set(summary.proof_basis.values()) == {"by product: groups are kept together"}
    assert sum(count.cells for count in summary.counts.values()) == 30
    assert "split map" not in outcome.pictures
    assert sum(row["products"] for row in outcome.tables["samples per split"].rows) == 30
    assert (outcome.metadata["cells"], outcome.metadata["cells are"]) == (30, "products")
    with pytest.raises(SplitError, match=r"train has too few products for split.min_cells \(25\).*; add images, or"):
        build_splits(collection(tmp_path, one.source.model_dump(include={"pattern"}), min_cells=25, val=0.3), paths)
