"""A timm model in timm's training loop: adapted to small images, with a policy for training and evaluation."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from sklearn.datasets import load_digits
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import CosineLRScheduler
from timm.utils import AverageMeter, accuracy
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import resizenet as rn


class Digits(Dataset):
    """Scikit-learn's digits, upscaled, (3, size, size) in [0, 1], with a transform. Use your own images instead."""

    def __init__(self, size: int, transform: Callable[[Tensor], Tensor], part: slice) -> None:
        data = load_digits()
        images = torch.from_numpy(data.images[part]).float()[:, None].expand(-1, 3, -1, -1) / 16
        self.images, self.labels = rn.functional.resize(images, size), torch.from_numpy(data.target[part])
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[index]), self.labels[index]


def main(*, epochs: int = 5, limit: int = 1_200, model: nn.Module | None = None) -> list[tuple[float, float]]:
    """Train at 32 px on images of 24 px. Return the mean loss and the top-1 test accuracy in % of every epoch."""
    if model is None:
        # Any other model works, too; with pretrained=True adapt keeps the weights.
        model = timm.create_model("resnet10t", channels=(32, 64, 128, 256), num_classes=10)
    model = rn.adapt(model, 32)
    policy = rn.transforms.UpscalePolicy(32)
    print(policy.describe())
    train = DataLoader(Digits(24, policy.train(), slice(limit)), batch_size=32, shuffle=True, drop_last=True)
    test = DataLoader(Digits(24, policy.eval(), slice(-300, None)), batch_size=100)

    criterion = LabelSmoothingCrossEntropy(0.1)
    optimizer = create_optimizer_v2(model, opt="sgd", lr=0.05, momentum=0.9, weight_decay=5e-4)
    schedule = CosineLRScheduler(
        optimizer, t_initial=epochs * len(train), warmup_t=len(train), warmup_lr_init=0.005, t_in_epochs=False
    )
    found = []
    for epoch in range(epochs):
        model.train()
        losses, top1 = AverageMeter(), AverageMeter()
        for step, (images, labels) in enumerate(train, start=epoch * len(train)):
            schedule.step_update(step)
            loss = criterion(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.update(loss.item(), len(labels))
        model.eval()
        with torch.inference_mode():
            for images, labels in test:
                top1.update(accuracy(model(images), labels)[0].item(), len(labels))
        found.append((losses.avg, top1.avg))
        print(f"epoch {epoch + 1}: loss {losses.avg:.3f}, top-1 {top1.avg:.1f} %")
    return found


if __name__ == "__main__":
    main()
