from .formats.onnx import *
