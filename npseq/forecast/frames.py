"""A DataFrame in, a DataFrame out: the predictions of a trained model with the index, names and step of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import SHIPPED_SEQUENCES, load, load_sequences
from ..data.errors import DataError
from ..data.table import Table
from ..nn.model import Model
from ..tasks.metadata import Metadata, load_trained
from ..tasks.recipe import ClassificationRecipe, RegressionRecipe
from ..tasks.scoring import outputs
from ..tasks.sequences import SequenceDataset
from .ensemble import Ensemble, Prediction
from .frame_index import FrameIndex
from .metadata import ForecastMetadata
from .recipe import of_forecast

if TYPE_CHECKING:
    import pandas as pd


def predict_frame(
    file: str, frame: pd.DataFrame, steps: int | None = None, interval: float | Sequence[float] | None = None
) -> Any:
    """Return the predictions of a trained model for a DataFrame (or Series) as a DataFrame.

    Args:
        file: of ``npseq train``.
        frame: with the columns that the model was trained on; times in a column or as the index.
        steps: forecast this many rows after the end; by default the next row is forecast from the rows before it, for
            each row that has enough of them, and for the first row after the end.
        interval: add the bounds of prediction intervals with this coverage, or of several (``Prediction.columns``).

    Returns:
        A column for each target. The index continues the frame's: the same kind, name and time zone, the same step
        where it has a name. For a classifier, the answer and the probability of each class of each sequence; for a
        regression on sequences, the number.

    Raises:
        DataError: as ``load``, ``Ensemble`` and ``Ensemble.predict``; for ``steps`` or ``interval`` of sequences; for a
            model of another task.
        CheckpointError, OSError: as ``load_trained``.
    """
    model, trained = load_trained(file)
    recipe = trained.recipe
    if isinstance(recipe, RegressionRecipe) or type(recipe) is ClassificationRecipe:
        if steps or interval:
            raise DataError(
                f"{file} predicts a class or a number for each sequence: steps and interval are of forecasts"
            )
        return _sequences(model, trained, recipe, frame)
    targets = of_forecast(recipe).target
    assert isinstance(trained, ForecastMetadata)
    table = load(frame, trained.columns.get("time"), "past", options=trained.options)  # nothing may look ahead
    found = Ensemble([(model, trained)], table, interval, in_use=True).predict(steps)
    return forecast_frame(FrameIndex(frame, table), table, targets, found)


def forecast_frame(index: FrameIndex, table: Table, targets: Sequence[str], found: Prediction) -> pd.DataFrame:
    """Return forecasts as a DataFrame: with the columns of ``Prediction.columns``.

    Args:
        index: which that of the forecasts continues. found: of the forecasts of each row from the rows before it only
            those of the next row are returned.
    """
    kept = slice(None) if found.after else found.ahead == 1
    import pandas as pd

    columns = {name: column[kept] for name, column in found.columns(targets).items()}
    return pd.DataFrame(columns, index=index.at(table, found.rows[kept]))


def _sequences(
    model: Model, trained: Metadata, recipe: ClassificationRecipe | RegressionRecipe, frame: Any
) -> pd.DataFrame:
    """The predictions for each sequence, with its name as the index."""
    import pandas as pd

    unused = [] if trained.columns.get("label") in (None, *set(recipe.inputs)) else [trained.columns["label"]]
    unused = [name for name in unused if name in frame.columns]
    sequence = trained.columns.get("sequence", "utterance" if recipe.data in SHIPPED_SEQUENCES else None)
    time, said = trained.columns.get("time"), trained.options
    sequences, _ = load_sequences(frame, sequence, None, recipe.inputs, time, said, unused=unused)
    task = SequenceDataset.from_recipe(recipe, sequences)
    y = outputs(model, task, np.arange(len(sequences.names)))
    return pd.DataFrame(task.answers(y), index=pd.Index(sequences.names, name=sequence))
