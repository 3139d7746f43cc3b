"""One run: a model, a seed, a recipe; the record of every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F

from ._data import ImageData, crop_and_flip, normalize


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum 0.9.

    The schedule is "one-cycle" (up to ``lr`` and down to zero) or "steps" (``lr``, a tenth from half of the steps on, a hundredth from
    three quarters on, as in He et al. 2015, section 4.2).
    """

    epochs: int
    lr: float = 0.4
    schedule: str = "one-cycle"
    nesterov: bool = True
    weight_decay: float = 5e-4
    batch_size: int = 256
    label_smoothing: float = 0.1
    padding: int = 4
    warmup: float = 0.25  # share of the steps until the one-cycle learning rate peaks
    lr_ratios: dict[str, float] = field(default_factory=dict)  # by the parameter's prefix; the longest match counts


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """One group per learning rate; everything is decayed."""
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        prefix = max((prefix for prefix in recipe.lr_ratios if name.startswith(prefix)), key=len, default=None)
        by_rate.setdefault(recipe.lr * recipe.lr_ratios.get(prefix, 1.0), []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in by_rate.items()]


def train(
    model: nn.Module, data: ImageData, recipe: Recipe, seed: int, watch: Callable[[nn.Module], dict[str, float]], progress: Progress
) -> Iterator[dict[str, float]]:
    """Train and yield a record after every epoch: loss, accuracy on the test set in %, seconds, and what ``watch`` returns."""
    device = data.x_train.device
    generator = torch.Generator().manual_seed(seed)
    model.to(device, memory_format=torch.channels_last)
    groups = parameter_groups(model, recipe)
    steps = len(data.x_train) // recipe.batch_size
    optimizer = torch.optim.SGD(groups, momentum=0.9, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay)
    schedule = _schedule(optimizer, recipe, recipe.epochs * steps)
    bar = progress.add_task("training", total=recipe.epochs * steps)
    for epoch in range(1, recipe.epochs + 1):
        start, total = time.perf_counter(), 0.0
        model.train()
        for batch in torch.randperm(len(data.x_train), generator=generator)[: steps * recipe.batch_size].view(steps, -1).to(device):
            images = normalize(crop_and_flip(data.x_train[batch], recipe.padding, generator))
            loss = F.cross_entropy(predict(model, images), data.y_train[batch], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
            progress.advance(bar)
        seconds = time.perf_counter() - start
        yield {"epoch": epoch, "loss": float(total) / steps, "accuracy": accuracy(model.eval(), data), "seconds": seconds, **watch(model)}
    progress.remove_task(bar)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    if recipe.schedule == "steps":
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps // 2, 3 * steps // 4])
    rates = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=recipe.warmup, cycle_momentum=False)


def predict(model: nn.Module, images: Tensor) -> Tensor:
    """Logits in float32, computed in bf16."""
    with torch.autocast(images.device.type, torch.bfloat16):
        logits = model(images.contiguous(memory_format=torch.channels_last))
    return logits.float()


@torch.no_grad()
def accuracy(model: nn.Module, data: ImageData, batch_size: int = 1000) -> float:
    """In %, on the test set, in whatever mode the model is."""
    batches = zip(data.x_test.split(batch_size), data.y_test.split(batch_size), strict=True)
    right = sum((predict(model, normalize(images)).argmax(1) == labels).sum() for images, labels in batches)
    return 100 * float(right) / len(data.y_test)
