"""The 8-bit variant of an ONNX network: smaller, and faster on processors; what it costs is measured elsewhere."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from agri_assets.bundle.contract import INPUT

HEAVY = ["Conv", "Gemm", "MatMul"]
"""Where the time goes; all else stays in float32."""


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Batches of pixels as onnxruntime asks for them: one after the other, never all at once."""

    def __init__(self, batches: Iterator[npt.NDArray[np.uint16]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def quantize(source: Path, target: Path, calibration: Iterator[npt.NDArray[np.uint16]]) -> None:
    """Write the 8-bit variant of a network: weights by channel, ranges of activations as seen on real tiles.

    Weights keep seven of the eight bits: older processors add pairs of products in 16 bits, which then cannot
    overflow, so that the variant gives the same everywhere.

    Args:
        source: The float32 network.
        target: Where to.
        calibration: Batches (b, bands, edge, edge) of train tiles.
    """
    # it advises what has been done already
    logging.getLogger().addFilter(_silent)
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                target,
                _Batches(calibration),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=HEAVY,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    finally:
        logging.getLogger().removeFilter(_silent)


def _silent(record: logging.LogRecord) -> bool:
    """Whether a line of the root logger, which onnxruntime's tools write to, is worth showing."""
    return record.levelno >= logging.ERROR
