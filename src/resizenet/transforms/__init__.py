"""torchvision v2 transforms, and policies that treat training and evaluation as one pair."""

from ._cover import ResizeToCover
from ._policies import NativePolicy, RandomResizedCropPolicy, ResizePolicy, UpscalePolicy

__all__ = ["NativePolicy", "RandomResizedCropPolicy", "ResizePolicy", "ResizeToCover", "UpscalePolicy"]
