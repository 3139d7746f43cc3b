"""A learned resizer in front of a Hugging Face model, trained by their Trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import Dataset
from transformers import EvalPrediction, ResNetConfig, ResNetForImageClassification, Trainer, TrainingArguments

import resizenet as rn


class Digits(Dataset):
    """Scikit-learn's digits, upscaled, (3, size, size) in [0, 1], with a transform. Use your own images instead."""

    def __init__(self, size: int, transform: Callable[[Tensor], Tensor], part: slice) -> None:
        data = load_digits()
        images = torch.from_numpy(data.images[part]).float()[:, None].expand(-1, 3, -1, -1) / 16
        self.images, self.labels = rn.functional.resize(images, size), data.target[part].tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"pixel_values": self.transform(self.images[index]), "labels": self.labels[index]}


def accuracy(found: EvalPrediction) -> dict[str, float]:
    """Return the accuracy of the most probable class, from 0 to 1."""
    return {"accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())}


def main(*, epochs: int = 5, limit: int = 1_400) -> dict[str, float]:
    """Train on images of 64 px in front of a model for 32 px. Return the metrics on held-out digits."""
    config = ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1], layer_type="basic", num_labels=10
    )
    backbone = ResNetForImageClassification(config)  # or .from_pretrained(...)
    model = rn.LinearResizer(32).wrap(backbone)
    optimizer = torch.optim.AdamW(model.parameter_groups(3e-3, resizer_lr=1e-3, weight_decay=0.01))
    policy = rn.transforms.NativePolicy(64, padding=4)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=100,
            dataloader_drop_last=True,
            remove_unused_columns=False,  # it would keep only what the wrapper's own signature names
            label_names=["labels"],
            save_strategy="no",
            report_to="none",
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=Digits(64, policy.train(), slice(limit)),
            eval_dataset=Digits(64, policy.eval(), slice(-300, None)),
            compute_metrics=accuracy,
            optimizers=(optimizer, None),  # None: the Trainer makes its own schedule
        )
        trainer.train()
        return trainer.evaluate()


if __name__ == "__main__":
    print(main())
