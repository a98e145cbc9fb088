"""Everything with parameters: layers, losses, models, and models that are run step by step."""

from typing import TYPE_CHECKING

from .._lazy import getter

if TYPE_CHECKING:
    from . import layers as layers
    from . import losses as losses
    from . import registry as registry
    from . import scaling as scaling
else:
    __getattr__ = getter(__name__, {})  # so that ``npseq.nn.registry.register`` needs no import of its own
