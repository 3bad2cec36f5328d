"""Losses: what one prediction costs, its derivatives, and the best constant.

``base`` holds the contract, each family of losses has one file, ``registry`` is the table of
them, and ``pointwise`` the only place that chooses a formula by number.
"""

from rmtgb.losses.base import Loss
from rmtgb.losses.pointwise import gradients, mean_loss
from rmtgb.losses.registry import make_loss

__all__ = ["Loss", "gradients", "make_loss", "mean_loss"]
