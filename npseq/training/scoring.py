"""A model over the rows of a task."""

import numpy as np


def mean_loss(model, task, rows, batch_size=512):
    """The loss over the examples ``rows``, in batches that bound the memory."""
    total = 0.0
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        total += float(model.loss_of(task.batch(some, model.dtype))) * len(some)
    return total / len(rows)


def outputs(model, task, rows, batch_size=512):
    """The model's outputs for the examples ``rows``, in the data's own units."""
    outputs = [
        model.outputs(batch.x, batch.lengths)
        for batch in (
            task.batch(rows[start : start + batch_size], model.dtype) for start in range(0, len(rows), batch_size)
        )
    ]
    return task.to_units(np.concatenate(outputs))
