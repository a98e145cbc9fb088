"""Learning-rate schedules: step by step torch's; warm-up; state."""

import warnings

import numpy as np
import pytest

from npseq import optim
from npseq.optim import SCHEDULES, make_schedule

LR = 0.03
CLOSED_FORM = [  # name, options of ours, torch's scheduler of (optimizer, steps, steps per epoch)
    ("constant", {}, lambda s, o, n, e: s.ConstantLR(o, factor=1.0)),
    ("cosine", {}, lambda s, o, n, e: s.CosineAnnealingLR(o, n)),
    ("cosine", dict(eta_min=0.001), lambda s, o, n, e: s.CosineAnnealingLR(o, n, eta_min=0.001)),
    ("step", dict(step_size=2), lambda s, o, n, e: s.StepLR(o, 2 * e)),
    ("step", dict(step_size=3, gamma=0.5), lambda s, o, n, e: s.StepLR(o, 3 * e, gamma=0.5)),
    ("onecycle", {}, lambda s, o, n, e: s.OneCycleLR(o, LR, n, cycle_momentum=False)),
    (
        "onecycle",
        dict(pct_start=0.1, div_factor=10, final_div_factor=100),
        lambda s, o, n, e: s.OneCycleLR(
            o, LR, n, pct_start=0.1, div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
    ),
    (
        "onecycle",
        dict(pct_start=0.45, anneal_strategy="linear"),
        lambda s, o, n, e: s.OneCycleLR(o, LR, n, pct_start=0.45, anneal_strategy="linear", cycle_momentum=False),
    ),
]
IDS = [f"{name} {options or ''}" for name, options, _ in CLOSED_FORM]


def torch_rates(make, steps):
    """The learning rate of each update when torch's scheduler is stepped after each."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # SequentialLR uses what torch itself deprecates
        scheduler, rates = make(torch.optim.lr_scheduler, optimizer), []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


@pytest.mark.parametrize("name, options, make", CLOSED_FORM, ids=IDS)
@pytest.mark.parametrize("steps, steps_per_epoch", [(60, 10), (37, 4), (3, 1)])
def test_every_step_is_torchs(name, options, make, steps, steps_per_epoch):
    schedule = make_schedule(name, LR, steps, steps_per_epoch, **options)
    expected = torch_rates(lambda s, o: make(s, o, steps, steps_per_epoch), steps)
    assert [schedule(step) for step in range(steps)] == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("name, options, make", CLOSED_FORM, ids=IDS)
def test_with_warm_up_it_is_torchs_linear_warm_up_and_then_the_schedule(name, options, make):
    steps, steps_per_epoch, W = 60, 10, 7

    def sequence(s, o):
        main = make(s, o, steps - W, steps_per_epoch)  # first: OneCycleLR sets the rate from which it begins
        warm = s.LinearLR(o, start_factor=1 / (W + 1), total_iters=W)
        return s.SequentialLR(o, [warm, main], [W])

    schedule = make_schedule(name, LR, steps, steps_per_epoch, W, **options)
    expected = torch_rates(sequence, steps)
    assert [schedule(step) for step in range(steps)] == pytest.approx(expected, rel=0, abs=1e-12)


LOSSES = [
    1.0,
    0.9,
    0.95,
    0.91,
    0.9,
    0.89999,
    0.92,
    0.93,
    0.5,
    0.6,
    0.7,
    float("nan"),
    0.8,
    0.81,
    0.49999,
    0.6,
    0.7,
    0.8,
    0.9,
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(patience=0),
        dict(patience=2, factor=0.5),
        dict(patience=1, cooldown=2, min_lr=0.001),
        dict(patience=1, threshold=0.05),
        dict(patience=1, threshold=0.02, threshold_mode="abs"),
        dict(patience=0, eps=1e-3),
    ],
    ids=str,
)
def test_plateau_is_torchs_epoch_by_epoch(options):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    ours = make_schedule("plateau", LR, 1000, 10, **options)
    for epoch, loss in enumerate(LOSSES):
        assert ours(10 * epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        ours.observe(loss)
        theirs.step(loss)
    assert ours(0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


def test_plateau_with_torchs_defaults_acts_after_eleven_bad_epochs():
    schedule = make_schedule("plateau", 1.0, 1000, 1)
    rates = []
    for _ in range(13):
        schedule.observe(1.0)
        rates.append(schedule(0))
    assert rates == [1.0] * 11 + [0.1] * 2


def test_plateau_goes_on_from_its_state():
    whole, first, second = (make_schedule("plateau", LR, 1000, 10, patience=1, cooldown=1) for _ in range(3))
    for loss in LOSSES:
        whole.observe(loss)
    for loss in LOSSES[:6]:
        first.observe(loss)
    second.load_state_dict(first.state_dict())
    for loss in LOSSES[6:]:
        second.observe(loss)
    assert second.state_dict() == whole.state_dict() and second(0) == whole(0) < LR


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "plateau"])
def test_the_other_schedules_keep_no_state_and_do_not_heed_the_validation_loss(name):
    schedule = make_schedule(name, LR, 40, 10)
    before = [schedule(step) for step in range(40)]
    for loss in LOSSES:
        schedule.observe(loss)
    assert schedule.state_dict() == {} and [schedule(step) for step in range(40)] == before


@pytest.mark.parametrize("name", SCHEDULES)
def test_depends_on_total_says_whether_a_longer_run_begins_with_other_rates(name):
    short, long = make_schedule(name, LR, 100, 10, 5), make_schedule(name, LR, 200, 10, 5)
    assert short.depends_on_total == ([short(t) for t in range(100)] != [long(t) for t in range(100)])


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("total, warmup", [(1, 0), (2, 0), (2, 1), (4, 0), (10, 9), (10, 0)])
def test_rates_of_the_shortest_runs_are_from_0_to_lr(name, total, warmup):
    schedule = make_schedule(name, LR, total, 1, warmup)
    assert all(0 <= schedule(step) <= LR for step in range(total))


def test_onecycle_past_its_end_is_refused_as_torch_does():
    schedule = make_schedule("onecycle", LR, 10, 5)
    schedule(10)
    with pytest.raises(ValueError, match="step 11.*10 steps"):
        schedule(11)


@pytest.mark.parametrize(
    "name, options",
    [
        ("triangle", {}),
        ("constant", dict(lr=-1.0)),
        ("constant", dict(lr=float("nan"))),
        ("cosine", dict(total_steps=0)),
        ("cosine", dict(warmup_steps=40)),
        ("constant", dict(steps_per_epoch=0)),
        ("cosine", dict(eta_min=-1)),
        ("step", dict(step_size=0)),
        ("step", dict(gamma=-1)),
        ("onecycle", dict(pct_start=1.5)),
        ("onecycle", dict(anneal_strategy="square")),
        ("onecycle", dict(div_factor=0)),
        ("onecycle", dict(final_div_factor=0)),
        ("plateau", dict(factor=1.0)),
        ("plateau", dict(patience=-1)),
        ("plateau", dict(cooldown=-1)),
        ("plateau", dict(threshold_mode="other")),
    ],
    ids=str,
)
def test_what_is_out_of_range_is_refused_by_name(name, options):
    arguments = dict(lr=LR, total_steps=40, steps_per_epoch=10) | options
    with pytest.raises(ValueError, match=f"{next(iter(options), name)}.*(given|expected)"):
        make_schedule(name, **arguments)


def test_an_option_of_another_schedule_is_refused():
    with pytest.raises(TypeError, match="gamma"):
        make_schedule("cosine", LR, 40, 10, gamma=0.5)


def test_state_of_another_schedule_is_refused():
    with pytest.raises(ValueError, match="Constant.*best"):
        make_schedule("constant", LR, 40, 10).load_state_dict(make_schedule("plateau", LR, 40, 10).state_dict())


def test_schedules_are_reached_through_optim():
    assert optim.SCHEDULES is SCHEDULES and optim.Cosine is SCHEDULES["cosine"]


def test_a_rise_of_one_step_begins_at_the_peak():
    rates = [make_schedule("onecycle", LR, 10, 1, pct_start=0.1)(t) for t in range(10)]
    assert rates[0] == LR == max(rates) and rates[-1] == pytest.approx(LR / 25 / 1e4, rel=1e-12)
    falling = [make_schedule("onecycle", LR, 10, 1, pct_start=1.0)(t) for t in range(10)]
    assert falling[-1] == LR and falling == sorted(falling)


def test_a_state_that_comes_back_from_a_file_is_plain_numbers():
    first, second = (make_schedule("plateau", LR, 40, 10, patience=0) for _ in range(2))
    for loss in 1.0, 2.0, 3.0:
        first.observe(loss)
    second.load_state_dict({name: np.asarray(value) for name, value in first.state_dict().items()})
    assert second.state_dict() == first.state_dict()
    assert list(map(type, second.state_dict().values())) == [float, float, int, int]


@pytest.mark.parametrize(
    "name, options",
    [
        ("constant", dict(lr=0.0)),
        ("constant", dict(total_steps=1, steps_per_epoch=1)),
        ("constant", dict(warmup_steps=39)),
        ("step", dict(step_size=1, gamma=0.0)),
        ("cosine", dict(eta_min=0.0)),
        ("onecycle", dict(pct_start=0.0)),
        ("plateau", dict(factor=0.0, patience=0, cooldown=0)),
    ],
)
def test_what_is_at_the_end_of_its_range_is_taken(name, options):
    schedule = make_schedule(name, **dict(lr=LR, total_steps=40, steps_per_epoch=10) | options)
    assert all(0 <= schedule(t) <= LR for t in range(options.get("total_steps", 40)))


def test_without_a_cooldown_every_bad_epoch_counts_from_the_first():
    schedule, rates = make_schedule("plateau", 1.0, 40, 10, patience=0), []
    for loss in 1.0, 2.0, 2.0:
        schedule.observe(loss)
        rates.append(schedule(0))
    assert rates == [1.0, 0.1, pytest.approx(0.01)]
    first = make_schedule("plateau", 1.0, 40, 10, patience=1)
    first.observe(float("inf"))  # the first bad epoch
    assert first(0) == 1.0
    first.observe(float("inf"))
    assert first(0) == 0.1
