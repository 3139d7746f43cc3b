"""A plain training loop in which the learned resizer has a learning rate of its own."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import resizenet as rn


def digits(size: int, limit: int) -> TensorDataset:
    """Return scikit-learn's digits, upscaled, (N, 3, size, size) in [0, 1], and labels (N,). Use your own instead."""
    data = load_digits()
    images = torch.from_numpy(data.images[:limit]).float()[:, None].expand(-1, 3, -1, -1) / 16
    return TensorDataset(rn.functional.resize(images, size), torch.from_numpy(data.target[:limit]))


def main(*, epochs: int = 4, limit: int = 2_000) -> list[float]:
    """Train a resizer from 32 to 16 px together with the model behind it. Return the mean loss of every epoch."""
    loader = DataLoader(digits(32, limit), batch_size=32, shuffle=True, drop_last=True)
    model = rn.LinearResizer(16).wrap(rn.create_model("resnet20", num_classes=10))
    groups = model.parameter_groups(0.05, resizer_lr=0.01, weight_decay=5e-4)  # biases and norms are not decayed
    optimizer = torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    rates = [group["lr"] for group in groups]  # a scheduler that takes one rate would overwrite the resizer's
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=epochs * len(loader))
    losses = []
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for images, labels in loader:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        losses.append(total / len(loader))
        print(f"epoch {epoch + 1}: loss {losses[-1]:.3f}")
    return losses


if __name__ == "__main__":
    main()
