"""Triton kernels, all optional: triton is imported when a kernel is first used, and everything that they do has a plain PyTorch path."""

from ._agree import agrees, pattern
from ._crop_resize import crop_resize, objection_to_crops
from ._half_resizer import AVAILABLE, Halving, computing_dtype, objection_to_network
from ._training import head_and_moments, objection_to_training

__all__ = [
    "AVAILABLE",
    "Halving",
    "agrees",
    "computing_dtype",
    "crop_resize",
    "head_and_moments",
    "objection_to_crops",
    "objection_to_network",
    "objection_to_training",
    "pattern",
]
