"""Resize policies: the transforms of training and of evaluation as one pair."""

from ._base import ResizePolicy
from ._crop import KeepRatioPolicy, RandomResizedCropPolicy, suggest_eval_size
from ._normalized import NormalizedPolicy
from ._whole import BiTHyperRulePolicy, LetterboxPolicy, NativePolicy, StretchPolicy, UpscalePolicy

__all__ = [
    "BiTHyperRulePolicy",
    "KeepRatioPolicy",
    "LetterboxPolicy",
    "NativePolicy",
    "NormalizedPolicy",
    "RandomResizedCropPolicy",
    "ResizePolicy",
    "StretchPolicy",
    "UpscalePolicy",
    "suggest_eval_size",
]
