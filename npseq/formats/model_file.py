"""Models in weights files."""

import os

import numpy as np

from ..nn.layers import RNN, from_state_dict
from ..nn.model import Model
from .checkpoint import load, save
from .unpickler import CheckpointError

# ---- models ----


def save_model(path, model, metadata=None):
    """Write a ``Model``'s weights in torch's sense, with what is needed to make it again beside them.

    ``metadata``: a further dict for JSON, in the file and in ``model.metadata`` after loading. Errors as ``save``.
    """
    scaling = model.scaling and {name: np.asarray(values).tolist() for name, values in model.scaling.items()}
    save(path, model.state_dict(), {"npseq": 1, "config": model.config, "scaling": scaling, **(metadata or {})})


def load_model(path, nonlinearity="tanh"):
    """The ``Model`` of a weights file. ``.metadata`` has what ``save_model`` was given, or is None.

    A file that torch alone has written opens too, when it holds one recurrent layer and one linear layer that reads its
    hidden state, whatever their names; kind and sizes are seen in the shapes, but the nonlinearity of an RNN is not.

    Raises:
        CheckpointError: for a file that cannot be read, or that holds no such model.
        OSError: when the file cannot be opened.
    """
    file = load(path)
    metadata, state = file.metadata, file.state_dict
    try:
        if isinstance(metadata, dict) and "config" in metadata:
            if not isinstance(metadata["config"], dict):
                raise ValueError("its config is no object of names and values")
            found = from_state_dict(state, "rnn.")  # the metadata may claim any size; the arrays are there
            for name in "input_size", "hidden_size", "num_layers":
                if metadata["config"].get(name, 1) != getattr(found, name):
                    raise ValueError(
                        f"its metadata have {name} {metadata['config'].get(name, 1)!r}, its arrays "
                        f"{getattr(found, name)}"
                    )
            _check_scaling(metadata.get("scaling"), metadata["config"])
            model = Model(**metadata["config"], dtype=np.result_type(*state.values()), scaling=metadata.get("scaling"))
        else:
            model, state = _of_torch(state, nonlinearity)
        model.load_state_dict(state)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{os.fspath(path)!s} holds no model that npseq knows: {error}") from None
    model.metadata = metadata
    return model


def _check_scaling(scaling, config):
    """Raises ValueError for one that does not fit to the sizes."""
    if scaling is None:
        return
    for name in "input_mean", "input_scale", "output_mean", "output_scale":
        size = config.get("input_size" if name.startswith("input") else "output_size", 1)
        values = scaling.get(name) if isinstance(scaling, dict) else None
        if not isinstance(values, list) or len(values) != size or not all(isinstance(v, (int, float)) for v in values):
            raise ValueError(f"its scaling has no {name} of {size} numbers")


def _of_torch(state, nonlinearity):
    """A ``Model`` that fits a state_dict of torch's, and the state_dict with the names that it has here."""
    prefixes = [name[: -len("weight_ih_l0")] for name in state if name.endswith("weight_ih_l0")]
    if len(prefixes) != 1:
        raise ValueError(f"{len(prefixes)} recurrent layers in it, one expected")
    layer = from_state_dict(state, prefixes[0], nonlinearity=nonlinearity)
    rest = {
        name: value
        for name, value in state.items()
        if not name.startswith(prefixes[0]) or name[len(prefixes[0]) :] not in layer.shapes
    }
    heads = [name[: -len("weight")] for name, value in rest.items() if name.endswith("weight") and value.ndim == 2]
    if len(heads) != 1 or set(rest) - {heads[0] + "weight", heads[0] + "bias"}:
        raise ValueError(
            f"beside the recurrent layer there is {', '.join(rest) or 'nothing'}; the weight and bias "
            "of one linear "
            "layer expected"
        )
    weight = rest[heads[0] + "weight"]
    read = layer.num_directions * layer.output_size
    if weight.shape[1] != read:
        raise ValueError(
            f"the linear layer reads {weight.shape[1]} numbers; the recurrent layer's last hidden state has {read}"
        )
    options = {
        "num_layers": layer.num_layers,
        "bidirectional": layer.bidirectional,
        "bias": layer.bias,
        "proj_size": layer.proj_size,
        "learn_initial_state": layer.learn_initial_state,
    }
    if isinstance(layer, RNN):
        options["nonlinearity"] = nonlinearity
    model = Model(
        type(layer).__name__.lower(), layer.input_size, layer.hidden_size, len(weight), dtype=layer.dtype, **options
    )
    names = {f"rnn.{name}": state[prefixes[0] + name] for name in layer.shapes}
    bias = rest.get(heads[0] + "bias", np.zeros(len(weight), layer.dtype))
    return model, {**names, "fc.weight": weight, "fc.bias": bias}
