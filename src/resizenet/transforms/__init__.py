"""torchvision v2 transforms, and policies that treat training and evaluation as one pair."""

from ._audit._audit import ResizeAudit, audit
from ._dataset import MultiResolutionDataset
from ._keep_ratio import ResizeKeepRatio
from ._letterbox import Letterbox
from ._pad import PadToMultiple, PadToSquare
from ._record import GeometryRecord
from ._resize import FitWithin, ResizeToCover, Stretch
from ._sampler import MultiResolutionBatchSampler
from ._schedule import ResolutionSchedule
from .batch import BatchRandomResizedCrop, BatchResize
from .policies import (
    BiTHyperRulePolicy,
    KeepRatioPolicy,
    LetterboxPolicy,
    NativePolicy,
    NormalizedPolicy,
    RandomResizedCropPolicy,
    ResizePolicy,
    StretchPolicy,
    UpscalePolicy,
    suggest_eval_size,
)

__all__ = [
    "BatchRandomResizedCrop",
    "BatchResize",
    "BiTHyperRulePolicy",
    "FitWithin",
    "GeometryRecord",
    "KeepRatioPolicy",
    "Letterbox",
    "LetterboxPolicy",
    "MultiResolutionBatchSampler",
    "MultiResolutionDataset",
    "NativePolicy",
    "NormalizedPolicy",
    "PadToMultiple",
    "PadToSquare",
    "RandomResizedCropPolicy",
    "ResizeAudit",
    "ResizeKeepRatio",
    "ResizePolicy",
    "ResizeToCover",
    "ResolutionSchedule",
    "Stretch",
    "StretchPolicy",
    "UpscalePolicy",
    "audit",
    "suggest_eval_size",
]
