"""The Lightning classes of the guide to policies train every batch of every epoch, at the size of the schedule."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from resizenet.transforms import (
    BatchResize,
    MultiResolutionBatchSampler,
    MultiResolutionDataset,
    ResolutionSchedule,
    UpscalePolicy,
)

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "policies.md"
DATA = [(torch.zeros(3, 20, 30), number) for number in range(12)]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Lightning's advice on loggers and workers


@pytest.fixture
def guide() -> dict[str, Any]:
    """The names that the last snippet of the guide defines."""
    names: dict[str, Any] = {"BatchResize": BatchResize}
    exec(re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)[-1], names)
    return names


def train(data: Any, **options: Any) -> list[list[int]]:
    """Train for two epochs; returns the epoch and the shape of each batch."""
    lightning = pytest.importorskip("lightning", reason="needs lightning, from `pip install resizenet[recipes]`")

    class Recorder(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.seen: list[list[int]] = []

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            self.seen.append([self.current_epoch, *batch[0].shape])
            return self.weight * batch[0].sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    model = Recorder()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    lightning.Trainer(max_epochs=2, accelerator="cpu", **quiet, **options).fit(model, data)
    return model.seen


def test_the_data_module_serves_batches_of_the_sampler(guide: dict[str, Any]) -> None:
    schedule = ResolutionSchedule.stages({0: 16, 0.5: 32})
    sampler = MultiResolutionBatchSampler(DATA, 4, schedule, epochs=2, batch_mode="inverse_area")
    loader = DataLoader(MultiResolutionDataset(DATA, UpscalePolicy(32)), batch_sampler=sampler)
    data = guide["ManySizes"](loader)
    seen = train(data, use_distributed_sampler=False, reload_dataloaders_every_n_epochs=1)
    assert seen == [[0, 12, 3, 16, 16], *([1, 4, 3, 32, 32] for _ in range(3))]


def test_the_callback_resizes_each_batch(guide: dict[str, Any]) -> None:
    resize = guide["ProgressiveResize"](ResolutionSchedule.linear(16, 32, until=0.5, multiple=8))
    seen = train(DataLoader(DATA, 4), callbacks=[resize])
    assert [shape[-1] for shape in seen] == [16, 24, 24, 32, 32, 32]  # 16, 21.3 and 26.7 px in the first epoch
