"""The map is the champion's prediction of each position at its clearest date, and is made once."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from agri_assets.cube.index import read_index
from agri_assets.cube.open import open_reflectance
from agri_assets.errors import CubeError, EvaluationError, ModelError
from agri_assets.evaluation.champion import read_champion
from agri_assets.evaluation.metrics import METRICS
from agri_assets.evaluation.records import Metrics
from agri_assets.maps.land_map import build_map
from agri_assets.models.contract import ModelContract
from agri_assets.store.commit import write_json

TILE = "31TCJ"


def remap(study, **settings):
    changed = study.collection.map.model_copy(update=settings)
    return study.collection.model_copy(update={"map": changed})


def expected(study, tile):
    """(rows, cols) probabilities straight from the cube, by a plain loop over the index."""
    index = read_index(study.paths.tiles(tile))
    pixels = np.asarray(open_reflectance(study.paths.cube(tile))[:, 0:1, :, :])[:, 0]
    found = np.full((pixels.shape[1] // 32, pixels.shape[2] // 32), np.nan)
    for (row, col), dates in index.groupby(["row", "col"]):
        usable = dates[(dates["clear_fraction"] >= 0.5) & (dates["valid_fraction"] >= 0.95)]
        if len(usable):
            best = usable.sort_values(["clear_fraction", "date"]).iloc[-1]
            y, x = row * 32, col * 32
            found[row, col] = pixels[best["slot"], y : y + 32, x : x + 32].mean() / 10_000
    return found


def test_every_position_is_mapped_at_its_clearest_date(study):
    collection = study.collection.model_copy(update={"licence": "© a test, CC BY 4.0"})
    outcome = build_map(collection, study.paths, TILE)
    truth = expected(study, TILE)
    assert np.isnan(truth).any()
    with rasterio.open(outcome.path) as file:
        classes = file.read(1)[::32, ::32]
        assert file.crs.to_epsg() == 32631
        assert (file.height, file.width) == (1536, 1536)
        assert file.tags()["threshold"] == "0.5"
        assert file.tags()["licence"] == "© a test, CC BY 4.0"
        assert file.tags()["dates"] == "2023-06-01,2023-08-15"
    assert "© a test, CC BY 4.0" in outcome.path.with_suffix(".html").read_text()
    with rasterio.open(outcome.metadata["probability"]) as file:
        percent = file.read(1)[::32, ::32]
    assert np.array_equal(classes == 255, np.isnan(truth))
    assert np.array_equal(classes == 1, truth >= 0.5)
    known = ~np.isnan(truth)
    assert np.array_equal(percent[known], np.rint(truth[known] * 100))
    polygons = gpd.read_parquet(outcome.metadata["polygons"])
    assert len(polygons) == known.sum()
    assert polygons.crs.to_epsg() == 4326
    place = polygons["row"].to_numpy(), polygons["col"].to_numpy()
    assert np.allclose(polygons["probability"], truth[place])
    assert np.array_equal(polygons["agricultural"], truth[place] >= 0.5)
    bounds = polygons.to_crs(32631).bounds
    with rasterio.open(outcome.path) as file:
        left, top = file.bounds.left + place[1] * 320, file.bounds.top - place[0] * 320
    assert np.allclose(bounds["minx"], left, atol=1)
    assert np.allclose(bounds["maxy"], top, atol=1)
    figures = outcome.metadata
    assert figures["mapped_positions"] == known.sum()
    assert figures["agricultural_share"] == pytest.approx((truth[known] >= 0.5).mean())
    assert figures["agricultural_km2"] == pytest.approx((truth[known] >= 0.5).sum() * 0.32**2)
    assert all(path.stat().st_size < 80_000 for path in outcome.pictures.values())


def test_a_set_date_maps_that_date_alone(study):
    outcome = build_map(remap(study, date="2023-06-01"), study.paths, TILE)
    assert outcome.metadata["dates"] == "2023-06-01"
    index = read_index(study.paths.tiles(TILE)).query("date == '2023-06-01'")
    usable = (index["clear_fraction"] >= 0.5) & (index["valid_fraction"] >= 0.95)
    assert outcome.metadata["mapped_positions"] == usable.sum()
    with pytest.raises(CubeError, match=r"no date 2020-01-01 to map; it has 2023-06-01, 2023-08-15"):
        build_map(remap(study, date="2020-01-01"), study.paths, TILE)


def test_a_map_is_made_once_and_again_for_another_champion(study, crowned):
    first = build_map(study.collection, study.paths, TILE)
    assert build_map(study.collection, study.paths, TILE).reused
    crowned(study, study.train("resnet50"), threshold=0.8)
    second = build_map(study.collection, study.paths, TILE)
    assert not second.reused
    assert second.data_version != first.data_version
    assert second.metadata["agricultural_share"] < first.metadata["agricultural_share"]


def test_without_a_champion_or_a_cube_there_is_no_map(study):
    with pytest.raises(CubeError, match=r"no cube of tile 31TGJ; run `dagster .*--partition 31TGJ`"):
        build_map(study.collection, study.paths, "31TGJ")
    study.paths.champion.unlink()
    with pytest.raises(EvaluationError, match="no champion to map with"):
        build_map(study.collection, study.paths, TILE)
    assert not study.paths.map(TILE).exists()


def test_a_champion_for_other_bands_is_refused(study, crowned):
    run = study.train("resnet50")
    folder = study.paths.model_run("resnet50", run)
    ModelContract.load(folder).model_copy(update={"bands": ("B02", "B03")}).save(folder)
    with pytest.raises(ModelError, match="bands B04,B08 do not fit"):
        build_map(study.collection, study.paths, TILE)


def test_a_tile_under_clouds_gives_a_warning_and_an_empty_map(study):
    outcome = build_map(remap(study, min_clear=1.0), study.paths, TILE)
    assert outcome.warnings == ()
    index = read_index(study.paths.tiles(TILE))
    index.assign(clear_fraction=0.1).assign(geometry=None).to_parquet(study.paths.tiles(TILE))
    outcome = build_map(remap(study, min_clear=0.9), study.paths, TILE)
    assert outcome.metadata["mapped_positions"] == 0
    assert outcome.metadata["agricultural_share"] is None
    assert len(outcome.warnings) == 1


def test_the_area_is_put_right_by_what_the_champions_test_tells(study):
    plain = build_map(study.collection, study.paths, TILE)
    assert "adjusted_agricultural_km2" not in plain.metadata
    figures = dict.fromkeys(METRICS, 0.9)
    named = {"collection": "made", "model": "resnet50", "framework": "torch", "run": "r", "report": "0" * 12}
    more = {"parameters": 1, "proof": "proved", "threshold": 0.5, "threshold_rule": "f1", "cells": 30, "ci95": {}}
    # a tenth of what is called other is agricultural, nothing of what is called agricultural is other
    counts = {"n": 200, "positives": 110, "confusion": ((90, 0), (10, 100))}
    metrics = Metrics(**figures, **named, **more, **counts, split_fingerprint="f", data_version="d")
    folder = study.paths.report("resnet50")
    write_json(folder / ("0" * 12) / "metrics.json", metrics.model_dump(mode="json"))
    # the live report may be of a later run, which did not become champion
    write_json(folder / "current.json", {"run": "1" * 12, "fingerprint": "f"})
    study.paths.receipt("land_map", TILE).unlink()
    found = build_map(study.collection, study.paths, TILE).metadata
    wanted = found["agricultural_km2"] + 0.1 * (found["mapped_km2"] - found["agricultural_km2"])
    assert found["adjusted_agricultural_km2"] == pytest.approx(wanted)
    assert found["adjusted_agricultural_km2_low"] < wanted < found["adjusted_agricultural_km2_high"]


def test_probabilities_are_scaled_by_the_champions_temperature(study, crowned):
    def percent():
        with rasterio.open(build_map(study.collection, study.paths, TILE).metadata["probability"]) as file:
            return file.read(1)[::32, ::32].astype(float)

    plain = percent()
    run = read_champion(study.paths).run
    crowned(study, run, temperature=2.0)
    scaled, known = percent(), plain != 255
    odds = np.clip(plain[known] / 100, 1e-3, 1 - 1e-3)
    wanted = 100 / (1 + np.sqrt((1 - odds) / odds))
    assert np.abs(scaled[known] - wanted).max() < 3
    assert np.abs(scaled[known] - plain[known]).max() > 5
