"""Which device a training takes: the first that nobody holds."""

from contextlib import ExitStack

from agri_assets.training.device import first_free, held_devices, held_free_device

NAMES = ["cuda-a", "cuda-b"]


def test_the_first_device_that_is_free_is_taken_and_given_back(tmp_path):
    with ExitStack() as first, ExitStack() as second, ExitStack() as third:
        assert first_free(tmp_path, NAMES, first) == 0
        assert first_free(tmp_path, NAMES, second) == 1
        assert first_free(tmp_path, NAMES, third) is None
        first.close()
        assert first_free(tmp_path, NAMES, third) == 0


def test_a_device_that_ranks_hold_is_not_free(tmp_path):
    with held_devices(tmp_path, NAMES[:1]), ExitStack() as stack:
        assert first_free(tmp_path, NAMES, stack) == 1


def test_without_cuda_the_processor_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with held_free_device(tmp_path), ExitStack() as stack:
        assert first_free(tmp_path, ["cpu"], stack) is None
