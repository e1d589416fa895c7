"""Bad input through the real commands: one clear line, a non-zero exit, nothing half-written."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.e2e


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_archive(path, images: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in images.items():
            archive.writestr(name, content)
    return path


CLASSES = ("AnnualCrop", "PermanentCrop", "Pasture", "Forest")
IMAGES = {
    f"top/{name}/{name}_{index}.jpg": jpeg(index * 10 + k) for k, name in enumerate(CLASSES) for index in range(3)
}


def failure(home, **environment: str) -> str:
    output = home.materialize("key:eurosat/tile_cube", ok=False, **environment)
    assert not (home.data / "eurosat" / "cube" / "archive.zarr").exists()
    assert not (home.data / "eurosat" / "receipts" / "tile_cube").exists()
    return output


def test_unset_archive_variable(home):
    assert "AGRI_EUROSAT is not set; export AGRI_EUROSAT=" in failure(home)


def test_one_broken_image_is_named(home, tmp_path):
    broken = {**IMAGES, "top/Forest/Forest_9.jpg": jpeg(99)[:100]}
    assert "Forest_9.jpg" in failure(home, AGRI_EUROSAT=str(write_archive(tmp_path / "a.zip", broken)))


def test_list_that_names_absent_tiles(home, tmp_path):
    archive = write_archive(tmp_path / "a.zip", IMAGES)
    (tmp_path / "train.txt").write_text("Forest_1.jpg\nForest_77.jpg\n")
    output = failure(home, AGRI_EUROSAT=str(archive), AGRI_EUROSAT_TRAIN=str(tmp_path / "train.txt"))
    assert "Forest_77.jpg" in output


def test_unknown_key_is_named_with_its_line(home):
    path = home.folder / "collections.yaml"
    text = path.read_text().replace("    tile_size: 32\n", "    tile_size: 32\n    tile_sice: 32\n")
    path.write_text(text)
    line = text.splitlines().index("    tile_sice: 32") + 1
    output = home.materialize("key:sample/tile_catalog", ok=False)
    assert f"collections.yaml:{line}: unknown key 'tile_sice'" in output
    assert not home.data.exists()


def test_samples_refuses_a_bad_tile_in_one_line(home):
    done = home.run("agri-assets", "samples", "out", "--tiles", "99ZZZ", "--size", "384", ok=False)
    assert len(done.stdout.strip().splitlines()) == 1
    assert "99ZZZ" in done.stdout


def test_plain_training_without_a_split_says_what_to_do(home):
    done = home.run("python", "-m", "agri_assets.training", "--collection", "sample", "--model", "resnet50", ok=False)
    assert "key:sample/" in done.stdout.strip().splitlines()[-1]
