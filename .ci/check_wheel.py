"""Use the public API of an installed wheel; run with ``python -I`` in a folder without the source tree."""

from pathlib import Path

import torch
import torchvision

import resizenet
from resizenet import FixedResizer, Resizer

assert "site-packages" in Path(resizenet.__file__).parts, resizenet.__file__
assert (Path(resizenet.__file__).parent / "py.typed").is_file()
for name in resizenet.__all__:
    getattr(resizenet, name)

torch.manual_seed(0)
backbone = torchvision.models.resnet18().eval()
images = torch.rand(2, 3, 448, 448)
with torch.no_grad():
    learned = Resizer(224).wrap(backbone).eval()(images)
    plain = backbone(FixedResizer(224)(images))
assert learned.shape == (2, 1000)
torch.testing.assert_close(learned, plain, atol=1e-5, rtol=0)

adapted = resizenet.adapt(backbone, 32, num_classes=10)
assert sum(p.numel() for p in adapted.parameters()) == 11_173_962
assert "layer4" in str(resizenet.report(adapted, 32))
assert resizenet.create_model("resnet20")(torch.rand(2, 3, 32, 48)).shape == (2, 10)
for weights in resizenet.models.list_weights():
    resizenet.create_model(weights.model, weights=weights.name)
assert resizenet.transforms.RandomResizedCropPolicy(176, eval_size=224).eval()(images).shape[-2:] == (224, 224)
print(f"resizenet {resizenet.__version__} works from {Path(resizenet.__file__).parent.name}")
