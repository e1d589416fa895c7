"""Pictures are small PNG files that show what they should."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageColor

from agri_assets.evaluation.chips import Chip, contact_sheet, false_colour, true_colour
from agri_assets.evaluation.curves import Curve, confusion_png, precision_recall_png, reliability_png, roc_png
from agri_assets.evaluation.drawing import LARGEST_PNG, small_png
from agri_assets.evaluation.error_map import COLOURS, error_map_png
from agri_assets.evaluation.metrics import score
from agri_assets.loading.samples import joined, position_samples


def made(n=3000):
    rng = np.random.default_rng(0)
    label = (rng.random(n) < 0.2).astype(int)
    return label, np.clip(rng.normal(0.3 + 0.3 * label, 0.15), 0, 1)


def draw(name):
    label, probability = made()
    curves = [Curve(model, label, probability, 0.5, "0.9") for model in ("one", "two", "three")]
    chip = Chip(np.full((64, 64, 3), 90, np.uint8), "31TCJ_r001_c001 2024-01-01", 1, 0.02, "Pasture")
    return {
        "roc": lambda: roc_png(curves),
        "precision_recall": lambda: precision_recall_png(curves),
        "confusion": lambda: confusion_png(score(label, probability, 0.5)),
        "reliability": lambda: reliability_png(label, probability),
        "mistakes": lambda: contact_sheet([chip] * 5 + [replace(chip, infrared=chip.picture)]),
    }[name]()


@pytest.mark.parametrize("name", ["roc", "precision_recall", "confusion", "reliability", "mistakes"])
def test_pictures_are_small_and_open(name):
    content = draw(name)
    assert len(content) < LARGEST_PNG
    image = Image.open(io.BytesIO(content))
    assert min(image.size) > 300
    assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_curves_draw_without_any_call_above_the_threshold():
    label, probability = made(200)
    assert precision_recall_png([Curve("", label, probability * 0.4, 0.9, "")])


def test_noise_is_made_to_fit():
    noise = np.random.default_rng(0).integers(0, 256, (220, 220, 3), dtype=np.uint8)
    assert len(small_png(noise)) < LARGEST_PNG


def test_true_colour_picks_its_bands_and_never_brightens_twice():
    pixels = np.zeros((2, 4, 8, 8), dtype=np.uint16)
    pixels[:, 2] = 3000
    picture = true_colour(pixels, ("B02", "B03", "B04", "B08"), "reflectance")
    assert picture.shape == (2, 8, 8, 3)
    assert picture[0, 0, 0].tolist() == [255, 0, 0]
    stored = np.arange(3 * 4, dtype=np.uint16).reshape(3, 2, 2)
    same = true_colour(stored, ("B04", "B03", "B02"), "dn8")
    assert np.array_equal(same, np.moveaxis(stored, 0, -1))
    infrared = false_colour(pixels, ("B02", "B03", "B04", "B08"), "reflectance")
    # red is shown as green
    assert infrared[0, 0, 0].tolist() == [0, 255, 0]
    assert false_colour(stored, ("B04", "B03", "B02"), "dn8") is None
    grey = true_colour(pixels[0, :1], ("B08",), "reflectance")
    assert grey.shape == (8, 8, 3)


def placed(tiles, edge=20):
    """Every position of some tiles on two dates."""
    slot, row, col = (axis.ravel() for axis in np.indices((2, edge, edge)))
    dates = [f"2024-01-0{number + 1}" for number in slot]
    return joined([position_samples(tile, slot, row, col, dates, ["cell"] * len(slot)) for tile in tiles])


@pytest.mark.parametrize("tiles", [1, 4, 9])
def test_the_map_of_errors_shows_each_kind_where_it_is(tiles):
    samples = placed([f"31TC{chr(65 + number)}" for number in range(tiles)])
    label = (samples.col < 10).astype(np.int64)
    probability = label.astype(np.float64)
    plain = drawn_colours(error_map_png(samples, label, probability, 0.5))
    missed = (samples.slot == 0) & (samples.row < 10) & (label == 1)
    spurious = (samples.row >= 10) & (label == 0)
    found = drawn_colours(error_map_png(samples, label, np.where(missed | spurious, 1 - probability, probability), 0.5))
    # a quarter of the ground each, on one of two dates the one and on both the other
    right, wrongly, lost = (found[colour] - plain[colour] for colour in COLOURS[1:])
    assert wrongly == pytest.approx(lost, rel=0.05)
    assert right == pytest.approx(-2 * lost, rel=0.05)


def drawn_colours(png):
    """Pixels by colour."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    assert len(png) < LARGEST_PNG
    return {name: int((image == ImageColor.getrgb(name)).all(axis=2).sum()) for name in COLOURS}
