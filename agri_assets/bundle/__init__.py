"""The champion as a folder that runs anywhere: weights, ONNX networks, contract and card."""
