import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agri_assets.errors import ConfigError, TrainingError
from agri_assets.progress import Meter
from agri_assets.training.history import EpochRecord, History, score
from agri_assets.training.overrides import override, parse_overrides
from agri_assets.training.recipe import Recipe
from agri_assets.training.recorder import Recorder
from agri_assets.training.schedule import average_decay, learning_rate
from agri_assets.training.task import class_weights


@given(st.integers(2, 500), st.floats(0, 0.9), st.floats(1e-6, 1))
def test_rate_rises_to_the_peak_and_falls(steps, warmup, peak):
    rates = [learning_rate(step, steps, peak, warmup) for step in range(steps)]
    top = int(np.argmax(rates))
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert learning_rate(steps, steps, peak, warmup) == pytest.approx(0, abs=1e-12)


def test_average_forgets_the_start_first():
    decays = [average_decay(step, 0.99) for step in range(2000)]
    assert decays[0] < 0.2
    assert decays == sorted(decays)
    assert decays[-1] == 0.99


def test_balanced_weights_make_classes_count_alike():
    labels = np.array([0, 0, 0, 1])
    light, heavy = class_weights(labels, True)
    assert light * 3 == pytest.approx(heavy * 1)
    assert (light * 3 + heavy) / 4 == pytest.approx(1)
    assert class_weights(labels, False) == (1, 1)


def record(epoch: int, auc: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        loss=1,
        val_loss=1,
        val_auc=auc,
        learning_rate=1,
        samples=10,
        seconds=2,
        val_seconds=1,
        data_wait=0.5,
    )


def test_best_and_stalled():
    history = History()
    for epoch, auc in enumerate([0.6, 0.8, 0.8, 0.7], start=1):
        history = history.then(record(epoch, auc))
    assert history.best.epoch == 2
    assert not history.improved
    assert history.stalled(2)
    assert not history.stalled(3)
    assert not history.stalled(0)
    assert history.samples_per_s == 5
    assert history.data_wait == 0.5


def test_score_of_known_logits():
    loss, auc = score(np.array([0.0, 0.0, 2.0]), np.array([0.0, 1.0, 1.0]))
    assert loss == pytest.approx((2 * np.log(2) + np.log1p(np.exp(-2))) / 3)
    assert auc == 0.75
    assert np.isnan(score(np.array([np.nan, 1.0]), np.array([0.0, 1.0]))).all()


def test_a_bad_loss_stops_the_training():
    recorder = Recorder("tiny/model", 3, 0, Meter("train", 3))
    with pytest.raises(TrainingError, match="tiny/model: loss is nan in epoch 1; lower learning_rate"):
        recorder.check(float("nan"))


def test_one_line_per_epoch(caplog):
    recorder = Recorder("tiny/model", 3, 1, Meter("train", 3))
    with caplog.at_level(logging.INFO):
        for logits in ([-1.0, 1.0], [1.0, -1.0]):
            recorder.start_epoch()
            assert list(recorder.waiting([1, 2])) == [1, 2]
            recorder.step(4)
            recorder.end_steps()
            recorder.end_epoch(0.5, 1e-3, np.array(logits), np.array([0.0, 1.0]))
    assert "tiny/model: epoch 1/3: loss 0.5000, val loss 0.3133, val AUC 1.0000" in caplog.text
    assert recorder.stopped
    assert "stopped, no better val AUC in 1 epochs" in caplog.text


def test_overrides_are_laid_over_a_recipe():
    settings = parse_overrides(["epochs=3", "learning_rate=1e-2", "options.depth=6", "balance=weights"])
    recipe = override(Recipe(options={"width": 64}), settings)
    assert (recipe.epochs, recipe.learning_rate, recipe.balance) == (3, 0.01, "weights")
    assert recipe.options == {"width": 64, "depth": 6}


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("epoch=3", "--set epoch: no such setting; a recipe knows preset, epochs"),
        ("epochs", "expected key=value"),
        ("epochs=0", "--set epochs: Input should be greater than or equal to 1, got 0"),
        ("epochs=[", "is not a value"),
    ],
)
def test_wrong_overrides_are_refused_in_one_line(setting, told):
    with pytest.raises(ConfigError) as caught:
        override(Recipe(), parse_overrides([setting]))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
