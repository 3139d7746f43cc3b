"""Fine-tune a model that was pretrained on large images on images of 32 px."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchvision
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

import resizenet as rn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the values of the pretraining, not of the new images


class Digits(Dataset):
    """Scikit-learn's digits, upscaled to (3, 32, 32), in [0, 1], with a transform. Use your own images instead."""

    def __init__(self, transform: Callable[[Tensor], Tensor], part: slice) -> None:
        data = load_digits()
        images = torch.from_numpy(data.images[part]).float()[:, None].expand(-1, 3, -1, -1) / 16
        self.images, self.labels = rn.functional.resize(images, 32), torch.from_numpy(data.target[part])
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[index]), self.labels[index]


def main(pretrained: nn.Module, *, epochs: int = 3, limit: int = 1_400) -> tuple[nn.Module, list[tuple[float, float]]]:
    """Adapt, recalibrate, fine-tune. Return the model, and the loss and test accuracy in % of every epoch."""
    policy = rn.transforms.NativePolicy(32, padding=4)
    normalize = v2.Normalize(MEAN, STD)
    train = DataLoader(
        Digits(v2.Compose([policy.train(), normalize]), slice(limit)), batch_size=32, shuffle=True, drop_last=True
    )
    test = DataLoader(Digits(v2.Compose([policy.eval(), normalize]), slice(-300, None)), batch_size=100)

    # A 3x3 stem without pool, cut from the old one, and a new classifier.
    model = rn.adapt(pretrained, 32, num_classes=10)
    rn.adapt_to_resolution(model, train)  # BatchNorm gets the statistics of the small images
    new = list(model.fc.parameters())
    kept = [parameter for name, parameter in model.named_parameters() if not name.startswith("fc.")]
    optimizer = torch.optim.AdamW([{"params": new, "lr": 3e-3}, {"params": kept, "lr": 3e-4}], weight_decay=0.01)
    found = []
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for images, labels in train:
            loss = F.cross_entropy(model(images), labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.inference_mode():
            right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in test)
        found.append((total / len(train), 100 * right / len(test.dataset)))
        print(f"epoch {epoch + 1}: loss {found[-1][0]:.3f}, accuracy {found[-1][1]:.1f} %")
    return model, found


if __name__ == "__main__":
    main(torchvision.models.resnet18(weights="DEFAULT"))
