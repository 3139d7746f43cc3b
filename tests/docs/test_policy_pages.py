"""The guide and the gallery of policies: what they show is what the library does."""

import contextlib
import io
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from resizenet import transforms
from resizenet.transforms import (
    BatchResize,
    MultiResolutionBatchSampler,
    MultiResolutionDataset,
    ResolutionSchedule,
    UpscalePolicy,
)

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "guides" / "policies.md"


def test_every_snippet_of_the_guide_prints_what_stands_below_it() -> None:
    pairs = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(pairs) == GUIDE.read_text().count("```python") - 1 == 6  # Lightning's prints nothing
    names: dict[str, object] = {}
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)  # in order, in one namespace, as a reader pastes them
        assert printed.getvalue() == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Lightning's advice on loggers and workers
def test_lightning_trains_every_batch_of_every_epoch_as_the_guide_says() -> None:
    lightning = pytest.importorskip("lightning", reason="needs lightning, as `pip install resizenet[recipes]` brings")
    names: dict[str, Any] = {"BatchResize": BatchResize}
    exec(re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)[-1], names)

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

    def train(data: Any, **options: Any) -> list[list[int]]:
        model = Recorder()
        quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
        lightning.Trainer(max_epochs=2, accelerator="cpu", **quiet, **options).fit(model, data)
        return model.seen

    data = [(torch.zeros(3, 20, 30), number) for number in range(12)]
    sampler = MultiResolutionBatchSampler(
        data, 4, ResolutionSchedule.stages({0: 16, 0.5: 32}), epochs=2, batch_mode="inverse_area"
    )
    loader = DataLoader(MultiResolutionDataset(data, UpscalePolicy(32)), batch_sampler=sampler)
    assert train(names["ManySizes"](loader), use_distributed_sampler=False, reload_dataloaders_every_n_epochs=1) == [
        [0, 12, 3, 16, 16],
        *([1, 4, 3, 32, 32] for _ in range(3)),
    ]
    resize = names["ProgressiveResize"](ResolutionSchedule.linear(16, 32, until=0.5, multiple=8))
    assert [shape[-1] for shape in train(DataLoader(data, 4), callbacks=[resize])] == [
        16,
        24,
        24,
        32,
        32,
        32,
    ]  # 16, 21.3 and 26.7 in the first epoch


@pytest.mark.slow
def test_the_gallery_draws_every_photograph_through_every_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    runpy.run_path(str(DOCS / "gallery" / "plot_policies.py"))
    photographs, *figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
    try:
        sources = [axes.images[0].get_size() for axes in photographs.axes]
        assert sources == [(427, 150), (427, 640), (32, 32)]
        shown = []
        for figure in figures:
            name, train, evaluate, *_ = figure.get_supxlabel().splitlines()
            shown.append(name)
            sizes = [tuple(map(int, line.split()[1].split("x"))) for line in (train, train, evaluate)]
            for row, source in enumerate(sources):
                drawn = [axes.images[0].get_size() for axes in figure.axes[4 * row : 4 * row + 4]]
                assert drawn == [source, *([source] * 3 if name == "NativePolicy" else sizes)]
            assert sum(len(axes.patches) for axes in figure.axes) == 12  # a box in each
            assert figure.get_suptitle()  # the alternative text
        assert set(shown) == {name for name in transforms.__all__ if name.endswith("Policy")} - {"ResizePolicy"}
    finally:
        pyplot.close("all")
