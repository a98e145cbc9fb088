"""Model file formats: PyTorch's ``.pth`` in and out, ONNX and C out."""
