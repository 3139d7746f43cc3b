"""torchvision v2 transforms, and policies that treat training and evaluation as one pair."""

from ._batch import BatchResize
from ._batch_crop import BatchRandomResizedCrop
from ._crop_policies import BiTHyperRulePolicy, KeepRatioPolicy, RandomResizedCropPolicy, suggest_eval_size
from ._keep_ratio import ResizeKeepRatio
from ._letterbox import Letterbox
from ._pad import PadToMultiple, PadToSquare
from ._policies import LetterboxPolicy, NativePolicy, StretchPolicy, UpscalePolicy
from ._policy import ResizePolicy
from ._sampler import MultiResolutionBatchSampler, MultiResolutionDataset
from ._schedule import ResolutionSchedule
from ._to_size import FitWithin, ResizeToCover, Stretch

__all__ = [
    "BatchRandomResizedCrop",
    "BatchResize",
    "BiTHyperRulePolicy",
    "FitWithin",
    "KeepRatioPolicy",
    "Letterbox",
    "LetterboxPolicy",
    "MultiResolutionBatchSampler",
    "MultiResolutionDataset",
    "NativePolicy",
    "PadToMultiple",
    "PadToSquare",
    "RandomResizedCropPolicy",
    "ResizeKeepRatio",
    "ResizePolicy",
    "ResizeToCover",
    "ResolutionSchedule",
    "Stretch",
    "StretchPolicy",
    "UpscalePolicy",
    "suggest_eval_size",
]
