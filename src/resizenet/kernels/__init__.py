"""Optional Triton kernels for operations that plain PyTorch also computes; triton is imported at the first use."""

from ._crop_resize import launch_crop_resize
from ._half_resizer import TritonHalfResizer
from ._head_training import head_and_moments
from ._layers import has_hooks, is_plain_convolution, is_plain_mixing
from ._moments import merge_moments
from ._packing import pack_phases
from ._support import (
    DEFAULT,
    KERNELS,
    Kernels,
    why_unsupported_crops,
    why_unsupported_network,
    why_unsupported_training,
)

__all__ = [
    "DEFAULT",
    "KERNELS",
    "Kernels",
    "TritonHalfResizer",
    "has_hooks",
    "head_and_moments",
    "is_plain_convolution",
    "is_plain_mixing",
    "launch_crop_resize",
    "merge_moments",
    "pack_phases",
    "why_unsupported_crops",
    "why_unsupported_network",
    "why_unsupported_training",
]
