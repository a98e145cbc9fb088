"""Modules one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .flat import accepted
from .module import Module, Tape

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Sequential(Module):
    """The output of each part is the input of the next: y = part_n(… part_1(part_0(x))).

    A recurrent layer gives its outputs at every step to the next part. Parameters have torch's names, ``"0.weight"``.
    Of ``lengths``, ``training`` and ``rng`` each part is given those that its ``forward`` takes.

    Args:
        parts: modules.
        loss: as ``Module.loss``.

    Raises:
        TypeError: for a part that is no module; for ``lengths`` or a state, where no part takes it.
        ValueError: without a part; for a state of another number of entries.

    Example:
        >>> net = npseq.Sequential(npseq.GRU(3, 8, batch_first=True, rng=0), npseq.Linear(8, 2, rng=1))
        >>> y, (state,), tape = net.forward(x, lengths=lengths)  # x (B, T, 3), y (B, T, 2)
        >>> dx, _, grads = net.backward(tape, dy)
    """

    def __init__(self, *parts: Module, loss: Any = "mse") -> None:
        for part in parts:
            if not isinstance(part, Module):
                raise TypeError(f"modules expected; {type(part).__name__} given")
        if not parts:
            raise ValueError("at least one module expected; none given")
        named: dict[str, Any] = {str(k): part for k, part in enumerate(parts)}
        super().__init__(**named)
        self.loss, self._count = loss, len(parts)

    def _in_order(self) -> list[Module]:
        return [vars(self)[str(k)] for k in range(self._count)]

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make the same module again (``"*"``: those without a name)."""
        return {"*": self._in_order(), "loss": self.loss}

    def forward(
        self,
        x: Any,
        state: Any = None,
        lengths: ArrayLike | None = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Any:
        """Run the parts and keep what backward needs.

        Args:
            x: as the first part takes it.
            state: a tuple of the states of the parts that have one, in their order; each may be None.
            lengths, training, rng: for the parts that take them.

        Returns:
            y; if a part has a state, the tuple of their final states; the tape.
        """
        tapes: list[Any] = []
        options = {"lengths": lengths, "training": training, "rng": rng}
        x, final = self._run(x, state, options, lambda part: part.forward, tapes.append)
        tape = Tape(tapes, self._identity)
        return (x, tape) if final is None else (x, final, tape)

    def __call__(self, x: Any, state: Any = None, lengths: ArrayLike | None = None) -> Any:
        """Return y, or y and the final states: inference; arguments as ``forward``."""
        x, final = self._run(x, state, {"lengths": lengths}, lambda part: part.__call__)
        return x if final is None else (x, final)

    def _run(self, x: Any, state: Any, options: dict[str, Any], way: Any, keep: Any = None) -> tuple[Any, Any]:
        if options["lengths"] is not None and not _takes(self, "lengths"):
            raise TypeError("lengths given, but no part takes them")
        final: list[Any] = []
        for part, initial in zip(self._in_order(), self._states(state, "state")):
            own = {name: value for name, value in accepted(part.forward, **options).items() if value is not None}
            found = way(part)(x, **initial, **own)
            found = list(found) if isinstance(found, tuple) else [found]
            if keep is not None:
                keep(found.pop())
            x, *end = found
            final += end
        return x, tuple(final) if _takes(self, "state") else None

    def _states(self, state: Any, name: str) -> list[dict[str, Any]]:
        """Return for each part its entry of a tuple of states as an option, {} for one that has no state."""
        stateful = [_takes(part, "state") for part in self._in_order()]
        given = [None] * sum(stateful) if state is None else list(state)
        if len(given) != sum(stateful):
            raise ValueError(
                f"{name} must have {sum(stateful)} entries, one for each part with a state; {len(given)} given"
            )
        return [{name: given.pop(0)} if has_state else {} for has_state in stateful]

    def backward(self, tape: Tape, dy: Any, d_state: Any = None, need_dx: bool = True) -> Any:
        """Return dx; if a part has a state, the tuple of the gradients of the initial states; and the gradients.

        Args:
            tape: the tape returned by ``forward``.
            dy: dloss/dy.
            d_state: a tuple of dloss/dfinal state for the parts that have one; each may be None.
            need_dx: False skips the gradient of x.
        """
        tapes, d_final = self._check_tape(tape, Tape).kept, self._states(d_state, "d_state")
        d_initial: list[Any] = []
        found: dict[str, Any] = {}
        for k, part in reversed(list(enumerate(self._in_order()))):
            options = accepted(part.backward, need_dx=need_dx or k > 0)
            dy, *d, found[str(k)] = part.backward(tapes[k], dy, **d_final[k], **options)
            d_initial += d
        grads = self.new_gradients(**found)
        return (dy, tuple(reversed(d_initial)), grads) if _takes(self, "state") else (dy, grads)


def _takes(module: Module, name: str) -> bool:
    """True if a module's ``forward`` takes this argument; a ``Sequential``'s if that of a part does."""
    if isinstance(module, Sequential):
        return any(_takes(part, name) for part in module._in_order())
    return bool(accepted(module.forward, **{name: None}))
