"""Clouds and shadows by OmniCloudMask (Wright et al. 2025, MIT licence), in the numbers of the scene classification.

An optional package (extra `clouds`). It needs red, green and near infrared at 10 to 50 m, goes through a scene in
overlapping patches by itself, and fetches its weights from Hugging Face when first used unless a folder holds them.
"""

import importlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agri_assets.errors import ConfigError, CubeError

PACKAGE = "omnicloudmask"

INPUTS = (("B04",), ("B03",), ("B8A", "B08"))
"""Bands in the order of the model's channels, the first of each group that there is. B8A is at the 20 m it works on."""

RESOLUTION_M = 20.0
"""Pixel size that masks are made at: that of the product's own classification."""

COARSEST_M = 50.0
"""Largest pixel size that the models are made for, as their documentation says."""

SCL_CLASSES = (4, 9, 10, 3)
"""SCL numbers of the models' classes 0 to 3: clear, thick cloud, thin cloud, shadow. Clear ground is stored as 4
(vegetation), the class that no cloud setting blocks; the models know nothing of what is on it. Thick clouds are 9
(cloud, high probability), thin ones 10 (cirrus), shadows 3. Pixels without data are 0."""


def package_version() -> str:
    """Version of the package, which stands for that of its newest models.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise _missing() from None


def input_bands(bands: Mapping[str, Any] | tuple[str, ...]) -> tuple[str, str, str]:
    """Which of these bands are the red, green and near infrared channels.

    Raises:
        ConfigError: One of them is not among the bands.
    """
    red, green, infrared = (next((band for band in group if band in bands), None) for group in INPUTS)
    if red is None or green is None or infrared is None:
        raise ConfigError(
            f"clouds.mask: {PACKAGE} needs bands B04, B03 and B8A or B08, the collection has {', '.join(bands)}; "
            "add them or use mask: scl"
        )
    return red, green, infrared


def predict_classes(channels: NDArray[np.uint16], weights: Path | None = None) -> NDArray[np.uint8]:
    """Classes of a whole scene.

    Args:
        channels: Red, green and near infrared (3, height, width) in the cube's convention, 0 where there are no data.
        weights: Folder that holds the models' weights; where it is None or lacks them, the package fetches them.

    Returns:
        (height, width), in SCL's numbers; see `SCL_CLASSES`.

    Raises:
        ConfigError: The package is not installed.
        CubeError: It cannot run, as where its weights cannot be fetched.
    """
    try:
        package = importlib.import_module(PACKAGE)
    except ImportError:
        raise _missing() from None
    try:
        found = package.predict_from_array(channels, no_data_value=0, destination_model_dir=weights)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CubeError(
            f"{PACKAGE} failed ({reason}); set clouds.weights to a folder with its weights, or use mask: scl"
        ) from None
    classes: NDArray[np.uint8] = np.array(SCL_CLASSES, dtype=np.uint8)[np.asarray(found)[0].astype(np.intp)]
    classes[(channels == 0).any(axis=0)] = 0
    return classes


def _missing() -> ConfigError:
    return ConfigError(
        f"clouds.mask: {PACKAGE} is not installed; run `pip install '.[clouds]'` in a clone of agri-assets, "
        "or use mask: scl"
    )
