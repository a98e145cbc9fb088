"""From the options of a command to its task, model, optimiser and schedule."""

import argparse

import numpy as np

from .. import data, optim, tasks
from ..nn.losses import LOSSES
from ..nn.model import Model
from ..nn.registry import MODELS
from ..tasks import features
from . import arguments, progress

ADDING, SEQUENCES = "adding", data.SHIPPED_SEQUENCES
OPTIMIZERS = [*optim.OPTIMIZERS, "lbfgs"]


def models(text):
    """The type of an option that takes a comma-separated list of models."""
    chosen = list(dict.fromkeys(map(arguments.name, arguments.names(text))))
    if not chosen or not set(chosen) <= set(MODELS):
        raise argparse.ArgumentTypeError(f"{text!r} given, names of {', '.join(MODELS)} expected, with commas between")
    return chosen


def add_data_options(p, default="metro_traffic"):
    d = p.add_argument_group("data and task")
    d.add_argument(
        "--data",
        default=default,
        metavar="NAME|FILE",
        help=f"a file (.csv, .npy, .npz), or {', '.join([*data.SHIPPED, *SEQUENCES, ADDING])}; default: {default}",
    )
    d.add_argument("--target", type=arguments.names, metavar="COLUMNS", help="to forecast; default: the first column")
    d.add_argument("--time", metavar="COLUMN", help="of dates; default: the first column that holds them")
    d.add_argument("--inputs", type=arguments.names, metavar="COLUMNS", help="other columns that the model sees")
    d.add_argument(
        "--window", default=12, type=arguments.positive_int, metavar="N", help="rows that the model sees; default: 12"
    )
    d.add_argument(
        "--horizon", default=1, type=arguments.positive_int, metavar="N", help="rows to forecast at once; default: 1"
    )
    d.add_argument(
        "--lags",
        default=None,
        type=arguments.lags,
        metavar="N,N",
        help="also show the values so many rows "
        "before; none for none; default: the season that the training rows show, and the day within it",
    )
    d.add_argument(
        "--scale", default="standard", choices=["standard", "none"], help="default: standard, by the training rows"
    )
    d.add_argument("--sequence", metavar="COLUMN", help="classify: says to which sequence a row belongs")
    d.add_argument("--label", metavar="COLUMN", help="classify: the class of the sequence")
    d.add_argument(
        "--length", default=50, type=arguments.positive_int, metavar="N", help="of the adding problem; default: 50"
    )


def add_model_options(p):
    m = p.add_argument_group("model")
    m.add_argument("--num-layers", default=1, type=arguments.positive_int, metavar="N", help="default: 1")
    m.add_argument("--bidirectional", action="store_true", help="also run from the last row to the first")
    m.add_argument("--dropout", default=0.0, type=arguments.probability, metavar="P", help="between layers")
    m.add_argument(
        "--recurrent-dropout", default=0.0, type=arguments.probability, metavar="P", help="one mask for all steps"
    )
    m.add_argument(
        "--forget-bias",
        default=None,
        type=arguments.finite,
        metavar="B",
        help="of the LSTM's forget gate, at the start",
    )


def add_training_options(p):
    t = p.add_argument_group("training")
    t.add_argument("--batch-size", default=16, type=arguments.positive_int, metavar="N", help="default: 16")
    t.add_argument(
        "--clip", default=1.0, type=arguments.positive, metavar="NORM", help="largest norm of the gradient; default: 1"
    )
    t.add_argument(
        "--optimizer",
        default="adam",
        type=arguments.name,
        choices=OPTIMIZERS,
        help="default: adam; lbfgs takes all examples at once, an iteration an epoch",
    )
    t.add_argument(
        "--weight-decay", default=None, type=arguments.not_negative, metavar="D", help="default: the optimiser's own"
    )
    t.add_argument(
        "--schedule",
        default="constant",
        type=arguments.name,
        choices=list(optim.SCHEDULES),
        help="of the learning rate; default: constant",
    )
    t.add_argument(
        "--warmup", default=0, type=arguments.natural, metavar="N", help="updates over which the rate rises; default: 0"
    )
    t.add_argument(
        "--patience",
        default=None,
        type=arguments.positive_int,
        metavar="N",
        help="stop after N epochs without a better validation loss; default: never",
    )
    t.add_argument(
        "--loss",
        default=None,
        type=arguments.name,
        choices=[name for name in LOSSES if name != "cross_entropy"],
        help="of a forecast; default: mse",
    )
    t.add_argument("--seed", default=0, type=arguments.natural, metavar="N", help="default: 0")
    t.add_argument("--dtype", default="float32", choices=["float32", "float64"], help="default: float32")
    t.add_argument("--threads", default=None, type=arguments.positive_int, metavar="N", help="default: as many as pay")


def make_task(args):
    """The task that the options describe.

    Raises:
        DataError: for data, columns or windows that are none.
    """
    classify = args.data in SEQUENCES or args.sequence is not None or args.label is not None
    if args.data == ADDING:
        if args.length < 2:
            raise data.DataError(f"--length {args.length} given; at least 2 expected: one marked value in each half")
        return tasks.Adding(args.length, seed=args.seed)
    if not classify:
        quiet = getattr(args, "quiet", False)
        table = data.load(args.data, args.time, on_progress=None if quiet else progress.reading())
        task = tasks.Forecast(table, args.target, args.inputs, args.window, args.horizon, args.lags or (), args.scale)
        lags = seasonal_lags(task) if args.lags is None else ()
        if not lags:
            return task
        return tasks.Forecast(table, args.target, args.inputs, args.window, args.horizon, lags, args.scale)
    if args.data not in SEQUENCES and (args.sequence is None or args.label is None):
        raise data.DataError(
            "to classify sequences both are needed: --sequence COLUMN (which rows belong together) "
            "and --label COLUMN (their class)"
        )
    names = {name: value for name, value in (("sequence", args.sequence), ("label", args.label)) if value is not None}
    return tasks.Classification(
        *data.load_sequences(args.data, inputs=args.inputs, time=args.time, **names), seed=args.seed
    )


def seasonal_lags(task):
    """The lags that are shown by default: the season that the training rows have, and the day where that is a part of
    it. Only those that are known at every step of the horizon, and none where they would cost a tenth of the training
    part."""
    season, step = task.season, task.table.step
    if not season:
        return ()
    day = features.DAY // step if step and features.DAY % step == 0 else season
    lags = [
        lag for lag in ([day, season] if 1 < day < season and season % day == 0 else [season]) if lag >= task.horizon
    ]
    return tuple(lags) if lags and max(lags) <= 0.1 * task.train_end else ()


def make_model(args, task, rng):
    """Raises ValueError for options that the model does not have."""
    if args.loss is not None and task.loss == "cross_entropy":
        raise ValueError(f"--loss {args.loss} given for a task of classes; cross entropy is the loss there")
    if args.dropout and args.num_layers == 1:
        raise ValueError(
            f"--dropout {args.dropout:g} acts between layers: give --num-layers 2 or more, or --recurrent-dropout"
        )
    chosen = {
        name: getattr(args, name)
        for name, default in dict(
            num_layers=1, bidirectional=False, dropout=0.0, recurrent_dropout=0.0, forget_bias=None
        ).items()
        if getattr(args, name) != default
    }
    return Model(
        args.model,
        task.input_size,
        args.hidden_size,
        task.output_size,
        loss=args.loss or task.loss,
        dtype=np.dtype(args.dtype),
        rng=rng,
        scaling=task.scaling(),
        threads=args.threads,
        **chosen,
    )


def make_optimizer(args, model):
    """None for lbfgs, which is a function around SciPy's. Raises ValueError for options that it does not read."""
    if args.optimizer == "lbfgs":
        idle = [
            name
            for name, default in dict(
                schedule="constant", warmup=0, dropout=0.0, recurrent_dropout=0.0, weight_decay=None
            ).items()
            if getattr(args, name) != default
        ]
        if idle:
            raise ValueError(f"--{idle[0].replace('_', '-')} does nothing with --optimizer lbfgs: leave it out")
        return None
    decay = {} if args.weight_decay is None else {"weight_decay": args.weight_decay}
    return optim.OPTIMIZERS[args.optimizer](model.theta, lr=args.lr, **decay)


def make_schedule(args, steps_per_epoch):
    """Raises ValueError for a warm-up that is longer than the training."""
    more = {"patience": 2} if args.schedule == "plateau" else {}  # torch's 10 would never act in ten epochs
    return optim.make_schedule(
        args.schedule, args.lr, args.epochs * steps_per_epoch, steps_per_epoch, args.warmup, **more
    )
