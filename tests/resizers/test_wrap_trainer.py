"""The Trainer of transformers with a wrapped model: a plain module, and a model of transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import ResNetConfig, ResNetForImageClassification, Trainer, TrainingArguments

import resizenet as rn
from resizenet.models import BasicBlock, ResNet

pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # torch's DataLoader without a GPU


class Plain(nn.Module):
    """A module that takes exactly two arguments, so that any other raises."""

    def __init__(self) -> None:
        super().__init__()
        self.network = ResNet(BasicBlock, (1, 1), (4, 8), num_classes=3)

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        logits = self.network(pixel_values)
        return {"logits": logits} if labels is None else {"loss": F.cross_entropy(logits, labels), "logits": logits}


def transformer() -> nn.Module:
    return ResNetForImageClassification(
        ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=3)
    )


class Images(Dataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"pixel_values": torch.rand(3, 48, 40), "labels": index % 3}


@pytest.mark.parametrize("make", [Plain, transformer], ids=["plain", "transformers"])
def test_the_trainer_trains_and_saves_resizer_and_model(make: Any, tmp_path: Path) -> None:
    model = rn.LinearResizer(32).wrap(make())
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=4,
        max_steps=2,
        learning_rate=0.1,
        remove_unused_columns=False,
        label_names=["labels"],
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(model, arguments, train_dataset=Images(), eval_dataset=Images())
    trainer.train()
    assert "eval_loss" in trainer.evaluate()
    assert trainer.predict(Images()).predictions.shape == (8, 3)
    moved = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p.cpu(), before[name])}
    assert moved == {"resizer", "model"}
    trainer.save_model(str(tmp_path / "saved"))
    assert set(load_file(tmp_path / "saved" / "model.safetensors")) == set(model.state_dict())
