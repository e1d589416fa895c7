"""A labelled archive becomes a cube: whole, in an order of its own, or not at all."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agri_assets.cube.archive import build_archive_cube
from agri_assets.cube.archive_files import find_images, open_archive
from agri_assets.cube.archive_lists import assign_lists
from agri_assets.cube.index import read_index
from agri_assets.cube.open import cube_info, open_reflectance
from agri_assets.cube.verify import verify_cube
from agri_assets.errors import ArchiveError
from agri_assets.store.layout import ARCHIVE_TILE, CollectionPaths

PNG = Callable[..., bytes]


def zipped(folder: Path, target: Path, top: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as out:
        out.writestr("__MACOSX/top/Crop/._Crop_0.png", b"no image")
        for file in sorted(folder.rglob("*.png"), reverse=True):
            out.write(file, f"{top}{file.relative_to(folder)}")
    return target


def test_every_image_stands_where_the_index_says(archive):
    outcome = build_archive_cube(archive.collection(), archive.paths)
    cube, index = archive.paths.cube(ARCHIVE_TILE), read_index(archive.paths.tiles(ARCHIVE_TILE))
    info, array = cube_info(cube), open_reflectance(cube)
    assert (info.units, info.width, info.height, info.grid) == ("dn8", 1024, 64, None)
    assert len(index) == 45
    assert index["tile_id"].is_unique
    for row in index.itertuples():
        y, x = row.row * 32, row.col * 32
        with Image.open(archive.folder / row.class_name / row.name) as image:
            expected = np.asarray(image).transpose(2, 0, 1)
        assert (array[0:1, :, y : y + 32, x : x + 32][0] == expected).all()
    assert index["label"].sum() == 15
    assert (index.loc[index["label"] == 1, "class_name"] == "Crop").all()
    assert index["listed"].isna().all()
    assert outcome.metadata["agricultural"] == 15
    assert verify_cube(cube) == []


def test_samples_are_in_order_of_content_so_that_classes_mix(archive):
    build_archive_cube(archive.collection(), archive.paths)
    index = read_index(archive.paths.tiles(ARCHIVE_TILE))
    assert index["cell"].is_monotonic_increasing
    assert index["class_name"].iloc[:15].nunique() > 1


def test_zip_and_directory_give_the_same_version(archive, tmp_path):
    path = zipped(archive.folder, tmp_path / "tiles.zip", top="top/")
    first = build_archive_cube(archive.collection(), archive.paths)
    second = build_archive_cube(archive.collection(path), CollectionPaths(tmp_path / "other", "tiles"))
    assert first.data_version == second.data_version


def test_nothing_new_is_reused_and_new_lists_read_no_image(archive, monkeypatch):
    first = build_archive_cube(archive.collection(), archive.paths)
    assert build_archive_cube(archive.collection(), archive.paths).reused
    monkeypatch.setattr("agri_assets.cube.archive.write_archive", lambda *_: pytest.fail("images were read again"))
    test = archive.listing("test.txt", ["Crop/Crop_3.png", "Water_1.png", "Forest_2.jpg"])
    second = build_archive_cube(archive.collection(source={"test": test}), archive.paths)
    index = read_index(archive.paths.tiles(ARCHIVE_TILE)).set_index("name")["listed"]
    assert sorted(index[index == "test"].index) == ["Crop_3.png", "Forest_2.png", "Water_1.png"]
    assert index.isna().sum() == 42
    assert second.data_version != first.data_version
    assert second.metadata["listed_test"] == 3


def test_identical_images_are_kept_in_a_stable_order(archive):
    shutil.copy(archive.folder / "Crop" / "Crop_0.png", archive.folder / "Crop" / "twin.png")
    build_archive_cube(archive.collection(), archive.paths)
    index = read_index(archive.paths.tiles(ARCHIVE_TILE))
    twins = index[index["cell"].duplicated(keep=False)]
    assert list(twins["name"]) == ["Crop_0.png", "twin.png"]


def refusal(archive, collection) -> str:
    with pytest.raises(ArchiveError) as caught:
        build_archive_cube(collection, archive.paths)
    message = str(caught.value)
    assert "\n" not in message
    assert not archive.paths.receipt("tile_cube", ARCHIVE_TILE).exists()
    return message


def test_broken_images_are_counted_and_the_first_named(archive):
    (archive.folder / "Forest" / "Forest_3.png").write_bytes(b"\x89PNG broken")
    whole = (archive.folder / "Water" / "Water_1.png").read_bytes()
    (archive.folder / "Water" / "Water_1.png").write_bytes(whole[: len(whole) // 2])
    message = refusal(archive, archive.collection())
    assert "2 of 45" in message
    assert "Forest/Forest_3.png" in message
    assert not list(archive.paths.folder.rglob("*.zarr"))


def test_a_broken_image_leaves_the_earlier_cube_as_it_was(archive):
    first = build_archive_cube(archive.collection(), archive.paths)
    (archive.folder / "Crop" / "Crop_0.png").write_bytes(b"broken")
    with pytest.raises(ArchiveError):
        build_archive_cube(archive.collection(), archive.paths)
    assert verify_cube(archive.paths.cube(ARCHIVE_TILE)) == []
    assert len(read_index(archive.paths.tiles(ARCHIVE_TILE))) == first.metadata["tiles"]


def test_wrong_size_bands_and_kind_are_refused(archive, make_png: PNG):
    target = archive.folder / "Crop" / "Crop_0.png"
    target.write_bytes(make_png(1, size=48))
    assert "48 by 48 px, not 32 by 32" in refusal(archive, archive.collection())
    target.write_bytes(make_png(1, mode="L"))
    assert "1 bands, the collection has 3" in refusal(archive, archive.collection())


def test_an_empty_class_is_refused(archive, tmp_path):
    (archive.folder / "Empty").mkdir()
    (archive.folder / "Empty" / "notes.txt").write_text("nothing")
    assert "'Empty' holds no image" in refusal(archive, archive.collection())
    path = zipped(archive.folder, tmp_path / "tiles.zip")
    with zipfile.ZipFile(path, "a") as out:
        out.writestr("Bare/", b"")
    assert "'Bare' holds no image" in refusal(archive, archive.collection(path))


def test_an_agricultural_class_that_is_absent_is_refused(archive):
    labels = {"kind": "classes", "agricultural": ["Crop", "Pasture"]}
    message = refusal(archive, archive.collection(labels=labels))
    assert "'Pasture'" in message
    assert "Crop, Forest, Water" in message


def test_lists_that_do_not_fit_are_refused(archive):
    absent = archive.listing("train.txt", ["Crop_1.png", "Crop_99.png", "Crop_98.png"])
    message = refusal(archive, archive.collection(source={"train": absent}))
    assert "names 2 of 3 tiles" in message
    assert "Crop_99.png" in message
    both = {"train": archive.listing("a.txt", ["Crop_1.png"]), "test": archive.listing("b.txt", ["Crop/Crop_1.png"])}
    assert "also on the train list" in refusal(archive, archive.collection(source=both))
    missing = archive.folder.parent / "missing.txt"
    assert "no such list file" in refusal(archive, archive.collection(source={"val": missing}))


def test_a_path_that_is_no_archive_is_refused(archive, tmp_path):
    assert "no such file" in refusal(archive, archive.collection(tmp_path / "nowhere"))
    text = tmp_path / "text.zip"
    text.write_text("no zip")
    assert "not a zip" in refusal(archive, archive.collection(text))
    (tmp_path / "bare").mkdir()
    assert "holds no class/name" in refusal(archive, archive.collection(tmp_path / "bare"))


def test_a_name_twice_in_a_zip_is_refused(archive, tmp_path, make_png: PNG):
    """A zip may hold two members of one name; asked by name, it gives the last one twice."""
    path = zipped(archive.folder, tmp_path / "tiles.zip")
    with zipfile.ZipFile(path, "a") as out, pytest.warns(UserWarning, match="Duplicate name"):
        out.writestr("Crop/Crop_3.png", make_png(77))
    assert "holds Crop/Crop_3.png more than once" in refusal(archive, archive.collection(path))


def test_members_may_be_packed_with_a_dot_before(archive, tmp_path):
    path = tmp_path / "tiles.zip"
    with zipfile.ZipFile(path, "w") as out:
        for file in archive.folder.rglob("*.png"):
            out.writestr(f"./{file.relative_to(archive.folder)}", file.read_bytes())
    assert len(build_archive_cube(archive.collection(path), archive.paths).tables["classes"].rows) == 3


def test_previews_beside_the_class_folders_are_no_samples():
    images = find_images(Path("x"), ["top/", "top/preview.jpg", "top/A/1.jpg", "top/B/2.JPG", "top/A/.hidden.jpg"])
    assert [(image.class_name, image.relative) for image in images] == [("A", "A/1.jpg"), ("B", "B/2.JPG")]


def test_multiband_tiff_is_reflectance(archive, tmp_path):
    import rasterio

    folder = tmp_path / "ms"
    pixels = np.random.default_rng(0).integers(1, 9000, (3, 32, 32), dtype=np.uint16)
    for name in ("Crop", "Forest"):
        (folder / name).mkdir(parents=True)
        profile = {"driver": "GTiff", "width": 32, "height": 32, "count": 3, "dtype": "uint16", "crs": "EPSG:32633"}
        transform = rasterio.Affine(10, 0, 0, 0, -10, 0)
        with rasterio.open(folder / name / "1.tif", "w", transform=transform, **profile) as dataset:
            dataset.write(pixels)
    build_archive_cube(archive.collection(folder), archive.paths)
    cube = archive.paths.cube(ARCHIVE_TILE)
    assert cube_info(cube).units == "reflectance"
    assert (open_reflectance(cube)[0:1, :, 0:32, 0:32][0] == pixels).all()


def test_the_published_eurosat_lists_name_tiles_of_the_archive(shared_data):
    folder = shared_data / "eurosat"
    with open_archive(folder / "EuroSAT_RGB.zip") as opened:
        lists = {"train": folder / "eurosat-spatial-train.txt", "test": folder / "eurosat-spatial-val.txt"}
        roles = assign_lists(opened.images, lists)
    assert len(opened.images) == 21_600
    counts = {role: sum(found == role for found in roles.values()) for role in lists}
    assert counts == {"train": 16_200, "test": 5_400}
