"""What a run writes down of its scenes: each acquisition with the samples that it gave."""

import pytest

from agri_assets.errors import TrainingError
from agri_assets.loading.samples import load_samples
from agri_assets.splits.summary import read_summary
from agri_assets.training.lineage import COLUMNS, read_scenes, write_scenes


def test_every_sample_is_counted_where_it_comes_from(world, tmp_path):
    split = read_summary(world.paths)
    train, val = (load_samples(world.paths, role) for role in ("train", "val"))
    write_scenes(tmp_path, world.paths, split.cubes, train, val)
    scenes = read_scenes(tmp_path)
    assert tuple(scenes.columns) == tuple(COLUMNS)
    (row,) = scenes.to_dict("records")
    assert (row["train_samples"], row["val_samples"]) == (len(train), len(val))
    assert row["cube_version"] == split.cubes["archive"]
    # an archive has no scenes that anything was decided about
    assert scenes["decision"].isna().all()


def test_a_run_of_an_older_version_says_so_in_one_line(tmp_path):
    with pytest.raises(TrainingError, match=r"scenes\.parquet: no such file; an older version") as caught:
        read_scenes(tmp_path)
    assert "\n" not in str(caught.value)
