import logging
import time

import torch

from agri_assets.training.usage import DeviceWatch, Usage, combined


def with_device(monkeypatch, utilization):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 3_000_000)
    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    monkeypatch.setattr("agri_assets.training.usage.INTERVAL_S", 0.01)


def test_without_cuda_only_memory_is_recorded():
    with Usage() as usage:
        time.sleep(0.05)
    figures = usage.figures()
    assert figures.keys() == {"peak_memory_mb"}
    assert figures["peak_memory_mb"] > 50


def test_the_use_of_a_device_is_sampled(monkeypatch):
    told = iter([100, 50])
    with_device(monkeypatch, lambda: next(told, 75))
    with DeviceWatch() as watch:
        time.sleep(0.2)
    assert len(watch.samples) > 2
    figures = watch.figures()
    assert figures == {"peak_gpu_memory_mb": 3.0, "gpu_utilisation": figures["gpu_utilisation"]}
    assert 0.7 < figures["gpu_utilisation"] < 0.8


def test_a_machine_without_nvml_is_told_once(monkeypatch, caplog):
    def missing():
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed\nor it can't be imported")

    with_device(monkeypatch, missing)
    with caplog.at_level(logging.INFO), DeviceWatch() as watch:
        time.sleep(0.1)
    assert watch.figures() == {"peak_gpu_memory_mb": 3.0}
    told = [record.getMessage() for record in caplog.records]
    assert told == ["no utilisation of the device is recorded: nvidia-ml-py does not seem to be installed"]


def test_figures_of_ranks_become_one():
    first = {"peak_memory_mb": 100.0, "peak_gpu_memory_mb": 10.0, "gpu_utilisation": 0.8}
    second = {"peak_memory_mb": 50.0, "peak_gpu_memory_mb": 12.0, "gpu_utilisation": 0.6}
    found = combined([first, second])
    assert found == {"peak_memory_mb": 150.0, "peak_gpu_memory_mb": 12.0, "gpu_utilisation": 0.7}
    assert combined([first]) == first
