"""Losses: what one prediction costs, its derivatives, and the best constant.

``base`` holds the contract, ``factory`` maps names to losses, ``pointwise`` is the
only place that chooses a formula by number, and each family of losses has one file.
"""

from rmtgb.losses.base import Loss
from rmtgb.losses.factory import make_loss

__all__ = ["Loss", "make_loss"]
