"""scikit-learn estimators for sequences: ``SequenceClassifier`` and ``SequenceRegressor``.

They need scikit-learn 1.6 or newer (``pip install scikit-learn``); ``import npseq`` does not import this room.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "npseq.estimators needs scikit-learn: pip install scikit-learn", name=error.name
    ) from None

from .classifier import SequenceClassifier
from .regressor import SequenceRegressor

__all__ = ["SequenceClassifier", "SequenceRegressor"]
