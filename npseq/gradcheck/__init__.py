"""Gradient checks so strict that a wrong gradient cannot pass.

The proof can be read alone. Every element of a function, a cell or a layer is checked by ``numerical.py``,
``analytic.py``, ``result.py``, ``judge.py``, ``cases.py``, ``layer_case.py`` and ``checks.py``, 1,000 lines in this
order. ``reference.py`` and ``reference_layer.py`` state the equations once more, and ``draws.py``, ``random_check.py``,
``random_models.py`` and ``survey.py`` hold whole configurations at random against them. ``diagnosis/`` names what is
wrong, ``bugs/`` has mistakes to plant, and ``explain.py`` and ``failures.py`` alone join the three.
"""

from typing import TYPE_CHECKING

from .._lazy import getter

__all__ = [
    "Adapter",
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

if TYPE_CHECKING:
    from .adapters import Adapter
    from .checks import check, check_cell, check_initialisation, check_layer, check_model
    from .numerical import hessian_vector_product, numerical_gradient
    from .result import ArrayError, Result, relative_error
else:
    __getattr__ = getter(
        __name__,
        {
            **dict.fromkeys(["ArrayError", "Result", "relative_error"], "result"),
            "Adapter": "adapters",
            **dict.fromkeys(["hessian_vector_product", "numerical_gradient"], "numerical"),
            **dict.fromkeys([name for name in __all__ if name.startswith("check")], "checks"),
        },
    )
