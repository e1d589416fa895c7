"""What a deployment configures."""

import pytest

from agri_assets.defs.resources import Devices


@pytest.mark.parametrize(
    ("visible", "told"),
    [("", {}), ("1", {"CUDA_VISIBLE_DEVICES": "1"}), ("cpu", {"CUDA_VISIBLE_DEVICES": ""})],
)
def test_devices_are_those_that_are_visible_unless_named(visible, told):
    assert Devices(visible=visible).environment() == told
