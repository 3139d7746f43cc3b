"""ResNets for small images: stems, blocks, the network, and the published ones by name."""

from ._blocks import BasicBlock
from ._resnet import ResNet
from ._stems import CifarStem, ImageNetStem
from ._zoo import create_model, list_models, resnet18, resnet20

__all__ = ["BasicBlock", "CifarStem", "ImageNetStem", "ResNet", "create_model", "list_models", "resnet18", "resnet20"]
