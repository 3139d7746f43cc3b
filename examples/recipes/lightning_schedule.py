"""Progressive resizing in Lightning: a callback resizes every batch on its device to the size of the schedule."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import resizenet as rn


class ProgressiveResize(lightning.Callback):
    """Resizes the training batches, lists [images, labels, ...] as default_collate makes them."""

    def __init__(self, schedule: rn.transforms.ResolutionSchedule) -> None:
        self.schedule = schedule
        self.resize = rn.transforms.BatchResize(schedule.largest)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: list[Any], batch_idx: int
    ) -> None:
        """Count progress in optimizer steps, so that it survives a restart from a checkpoint."""
        batch[0] = self.resize(batch[0], self.schedule(trainer.global_step / trainer.estimated_stepping_batches))


class Classifier(lightning.LightningModule):
    """A small ResNet that takes images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.model = rn.create_model("resnet20", num_classes=10)
        self.losses: list[float] = []
        self.sizes: list[int] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the cross entropy, and keep the loss and the height of the images."""
        images, labels = batch
        loss = F.cross_entropy(self.model(images), labels)
        self.losses.append(loss.item())
        self.sizes.append(images.shape[-2])
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        """Return SGD with one cycle of the learning rate."""
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, nesterov=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.05, total_steps=int(self.trainer.estimated_stepping_batches)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def digits(size: int, limit: int) -> TensorDataset:
    """Return scikit-learn's digits, upscaled, (N, 3, size, size) in [0, 1], and labels (N,). Use your own instead."""
    data = load_digits()
    images = torch.from_numpy(data.images[:limit]).float()[:, None].expand(-1, 3, -1, -1) / 16
    return TensorDataset(rn.functional.resize(images, size), torch.from_numpy(data.target[:limit]))


def main(*, epochs: int = 4, limit: int = 2_000) -> Classifier:
    """Train from 8 px to 24 px, which the schedule reaches after three quarters of the steps."""
    schedule = rn.transforms.ResolutionSchedule.linear(8, 24, until=0.75, multiple=8)
    loader = DataLoader(digits(24, limit), batch_size=32, shuffle=True, drop_last=True)
    classifier = Classifier()
    trainer = lightning.Trainer(
        max_epochs=epochs, callbacks=[ProgressiveResize(schedule)], logger=False, enable_checkpointing=False
    )
    trainer.fit(classifier, loader)
    return classifier


if __name__ == "__main__":
    trained = main()
    print(f"loss {trained.losses[0]:.3f} at {trained.sizes[0]} px, {trained.losses[-1]:.3f} at {trained.sizes[-1]} px")
