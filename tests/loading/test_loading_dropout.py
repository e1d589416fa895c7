"""Dropout: any number of bands, by (seed, epoch, sample) alone, nothing but the fill in what is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agri_assets.loading.augment import Augmentation
from agri_assets.loading.dropout import BANDS, Dropout

EDGE = 32


def dropped(bands: int, index: np.ndarray, seed: int = 0, epoch: int = 0, **probabilities: float) -> np.ndarray:
    """Samples of ones after dropout; what they have lost is 100 and the number of the band."""
    pixels = np.ones((len(index), bands, EDGE, EDGE), np.uint16)
    settings = Augmentation(fill=tuple(range(100, 100 + bands)), **probabilities)
    Dropout(settings).apply(pixels, seed, epoch, index)
    fill = np.arange(100, 100 + bands)[:, None, None]
    assert ((pixels == 1) | (pixels == fill)).all()
    return pixels > 1


@settings(max_examples=13, deadline=None)
@given(bands=st.integers(1, 13))
def test_some_whole_bands_are_lost_and_never_all(bands):
    lost = dropped(bands, np.arange(40), band_dropout=1.0)
    whole = lost.all(axis=(2, 3))
    assert (lost.any(axis=(2, 3)) == whole).all()
    counts = whole.sum(axis=1)
    if bands == 1:
        assert not lost.any()
    else:
        assert counts.min() >= 1
        assert counts.max() <= max(1, bands * BANDS) < bands
        assert whole.any(axis=0).sum() > 1


@settings(max_examples=13, deadline=None)
@given(bands=st.integers(1, 13))
def test_holes_go_through_all_bands(bands):
    lost = dropped(bands, np.arange(40), coarse_dropout=1.0)
    assert (lost == lost[:, :1]).all()
    share = lost[:, 0].mean(axis=(1, 2))
    assert 0 < share.min() < share.max() < 0.4
    # rectangles: a row that is touched is touched in stretches of at least the smallest width
    assert (lost[:, 0].sum(axis=2)[lost[:, 0].any(axis=2)] >= EDGE // 10).all()


@pytest.mark.parametrize("kind", ["band_dropout", "coarse_dropout"])
def test_as_many_samples_as_wanted(kind):
    lost = dropped(4, np.arange(2000), **{kind: 0.1}).any(axis=(1, 2, 3))
    assert lost.mean() == pytest.approx(0.1, abs=0.02)
    assert not dropped(4, np.arange(50)).any()


@pytest.mark.parametrize("kind", ["band_dropout", "coarse_dropout"])
def test_samples_epochs_and_seeds_differ_and_batches_do_not_matter(kind):
    index = np.arange(60)
    first = dropped(8, index, **{kind: 1.0})
    assert np.array_equal(dropped(8, index[::-1], **{kind: 1.0})[::-1], first)
    assert np.array_equal(dropped(8, index[7:9], **{kind: 1.0}), first[7:9])
    assert len({one.tobytes() for one in first}) > 10
    for other in ({"epoch": 1}, {"seed": 1}):
        again = dropped(8, index, **other, **{kind: 1.0})
        assert (again != first).any(axis=(1, 2, 3)).mean() > 0.5
