"""A learned resizer and its model as one ONNX file that takes images of many sizes, checked with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import nn
from torch.export import Dim

import resizenet as rn


def export(model: rn.ResizedModel, file: Path) -> None:
    """Write the fused model, for images of 8 to 2048 px per side."""
    sizes = {0: Dim("batch", max=1024), 2: Dim("height", min=8, max=2048), 3: Dim("width", min=8, max=2048)}
    example = torch.rand(2, 3, 45, 51)
    torch.onnx.export(model.fuse(), (example,), dynamo=True, verbose=False, dynamic_shapes={"x": sizes}).save(file)


def difference(model: nn.Module, file: Path, shape: tuple[int, ...]) -> float:
    """Return the largest difference between the logits of PyTorch and ONNX Runtime on random images."""
    images = torch.rand(shape)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.inference_mode():
        return (torch.from_numpy(found) - model.eval()(images)).abs().max().item()


def main(file: Path = Path("model.onnx")) -> None:
    """Export a model that shrinks its images to 32 px, and compare at three sizes."""
    model = rn.Resizer(32).wrap(rn.create_model("resnet20", num_classes=10))
    export(model, file)
    for shape in [(1, 3, 64, 64), (5, 3, 20, 47), (2, 3, 91, 300)]:
        print(shape, f"differs by {difference(model, file, shape):.1e}")


if __name__ == "__main__":
    main()
