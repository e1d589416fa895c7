"""A bundle's network by onnxruntime: stored counts in, probabilities out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agri_assets.bundle.contract import INPUT, INT8_FILE, ONNX_FILE, OUTPUT, BundleContract
from agri_assets.cube.cores import worker_count
from agri_assets.errors import ModelError

CHUNK = 64
"""Tiles per call: enough to keep a processor busy, few enough for a small machine; eight are in the graph for each
where it looks at all orientations, so that many fewer go at once."""

Pixels = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Runner:
    """An ONNX network that is ready to predict.

    Attributes:
        shape: (bands, edge, edge) of its tiles.
        chunk: Tiles per call.
        session: onnxruntime's.
    """

    shape: tuple[int, int, int]
    chunk: int
    session: Any

    def predict(self, pixels: Pixels) -> Floats:
        """Probabilities (b,) of agricultural for pixels (b, bands, edge, edge).

        Raises:
            ModelError: The pixels are not uint16, or not of this shape.
        """
        if pixels.dtype != np.uint16 or pixels.shape[1:] != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise ModelError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint16 of (b, {wanted})")
        found = [self._call(pixels[start : start + self.chunk]) for start in range(0, len(pixels), self.chunk)]
        return np.concatenate([np.empty(0), *found])

    def _call(self, pixels: Pixels) -> Floats:
        (probability,) = self.session.run([OUTPUT], {INPUT: np.ascontiguousarray(pixels)})
        return np.asarray(probability, dtype=np.float64)


def load_runner(folder: Path, contract: BundleContract, int8: bool = False) -> Runner:
    """The network of a bundle, held against its digest.

    Raises:
        ModelError: It is damaged or missing, or onnxruntime is not installed.
    """
    path = contract.require_file(folder, INT8_FILE if int8 else ONNX_FILE)
    return open_runner(path, len(contract.bands), contract.tile_size, contract.test_orientations)


def open_runner(path: Path, bands: int, edge: int, orientations: bool) -> Runner:
    """An ONNX network of a bundle, on this machine's processors.

    Args:
        path: The file.
        bands: Of a tile.
        edge: Of a tile, in pixels.
        orientations: Whether the graph looks at eight orientations of each tile.

    Raises:
        ModelError: onnxruntime is not installed, or cannot run it.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ModelError(
            "onnxruntime is not installed; run `pip install '.[predict]'` in a clone of agri-assets"
        ) from None
    options = onnxruntime.SessionOptions()
    # by itself it would count processors that a container does not have
    options.intra_op_num_threads = worker_count()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # its errors have no common base but this one
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: onnxruntime {onnxruntime.__version__} cannot run it ({reason})") from None
    return Runner((bands, edge, edge), CHUNK // 8 if orientations else CHUNK, session)
