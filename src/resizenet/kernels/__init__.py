"""Triton kernels, all optional: triton is imported when a kernel is first used, and everything that they do has a plain PyTorch path."""

from ._agree import agrees, pattern
from ._crop_resize import launch_crop_resize, why_unsupported_crops
from ._half_resizer import AVAILABLE, Halving, computing_dtype, objection_to_network
from ._training import head_and_moments, objection_to_training

__all__ = [
    "AVAILABLE",
    "Halving",
    "agrees",
    "computing_dtype",
    "head_and_moments",
    "launch_crop_resize",
    "objection_to_network",
    "objection_to_training",
    "pattern",
    "why_unsupported_crops",
]
