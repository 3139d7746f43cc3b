"""Train in several processes with Accelerate: torchrun --standalone --nproc-per-node 2 accelerate_ddp.py.

``python accelerate_ddp.py`` does the same in one process without DDP.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import resizenet as rn


def digits(size: int, limit: int) -> TensorDataset:
    """Return scikit-learn's digits, upscaled, (N, 3, size, size) in [0, 1], and labels (N,). Use your own instead."""
    data = load_digits()
    images = torch.from_numpy(data.images[:limit]).float()[:, None].expand(-1, 3, -1, -1) / 16
    return TensorDataset(rn.functional.resize(images, size), torch.from_numpy(data.target[:limit]))


def main(*, epochs: int = 4, limit: int = 2_000) -> tuple[nn.Module, list[float]]:
    """Train. Return the model without its DDP wrapper and the loss of every epoch, averaged over the processes."""
    set_seed(0)
    # Without a GPU and without cpu=True, every process would train alone.
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    model = rn.LinearResizer(16).wrap(rn.create_model("resnet20", num_classes=10))
    groups = model.parameter_groups(0.05, weight_decay=5e-4)  # before prepare: DDP's wrapper has no parameter_groups
    optimizer = torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    loader = DataLoader(digits(32, limit), batch_size=32, shuffle=True, drop_last=True)  # per process
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    accelerator.print(f"{accelerator.num_processes} processes, {len(loader)} batches each")
    losses = []
    for epoch in range(epochs):
        model.train()
        total = torch.zeros((), device=accelerator.device)
        for images, labels in loader:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            total += loss.detach()
        losses.append(accelerator.reduce(total / len(loader), "mean").item())
        accelerator.print(f"epoch {epoch + 1}: loss {losses[-1]:.3f}")
    accelerator.end_training()
    return accelerator.unwrap_model(model), losses


if __name__ == "__main__":
    main()
