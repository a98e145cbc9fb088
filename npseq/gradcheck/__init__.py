"""Gradient checks so strict that a wrong gradient cannot pass."""

from .checks import check, check_cell, check_initialisation, check_layer, check_model
from .numerical import hessian_vector_product, numerical_gradient
from .result import ArrayError, Result, relative_error

__all__ = [
    "ArrayError",
    "Result",
    "check",
    "check_cell",
    "check_initialisation",
    "check_layer",
    "check_model",
    "hessian_vector_product",
    "numerical_gradient",
    "relative_error",
]
