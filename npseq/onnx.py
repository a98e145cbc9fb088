"""A trained model as an ONNX file. Public name of ``npseq/formats/onnx.py``."""

from .formats.onnx import *
