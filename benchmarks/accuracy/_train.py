"""Training of one run: its recipe, and a model on its way through it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn import functional as F

from resizenet.functional import resize
from resizenet.transforms import NativePolicy, ResizePolicy

from ._augment import augment
from ._data import ImageData

_EVAL_PIXELS = 1000 * 128**2  # per batch of evaluation, at most, and 1,000 images


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum 0.9.

    Attributes:
        epochs: passes over the training images.
        lr: learning rate, at its highest.
        schedule: "one-cycle" rises to ``lr`` and falls to zero. "steps" divides ``lr`` by ten after half of the steps
            and again after three quarters (He et al. 2015, section 4.2).
        nesterov: use Nesterov momentum.
        weight_decay: of all parameters.
        batch_size: images per step.
        label_smoothing: of the cross entropy.
        warmup: share of the steps until the one-cycle learning rate is highest.
        lr_ratios: multipliers of ``lr`` by prefixes of parameter names; the longest prefix that matches decides.
        policy: ``to_dict()`` of the resize policy for training; random flips are added. None for features.
        upscale: size in pixels to which images are resized after the policy, in training and evaluation.
    """

    epochs: int = 1
    lr: float = 0.4
    schedule: Literal["one-cycle", "steps"] = "one-cycle"
    nesterov: bool = True
    weight_decay: float = 5e-4
    batch_size: int = 256
    label_smoothing: float = 0.1
    warmup: float = 0.25
    lr_ratios: dict[str, float] = field(default_factory=dict)
    policy: dict[str, Any] | None = field(default_factory=NativePolicy(32).to_dict)
    upscale: int | None = None


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Return one group of parameters per learning rate."""
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        prefix = max((prefix for prefix in recipe.lr_ratios if name.startswith(prefix)), key=len, default=None)
        by_rate.setdefault(recipe.lr * recipe.lr_ratios.get(prefix, 1.0), []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in by_rate.items()]


class Training:
    """A model, its optimizer and its schedule on their way through a recipe.

    The accelerator saves and loads the whole state. A recipe that needs more overrides ``make_optimizer``,
    ``make_schedule``, ``batches``, ``loss`` or ``evaluate``, and registers further state with the accelerator.

    Attributes:
        curve: what was measured after each epoch.
        seconds: time spent so far, evaluation included.
    """

    def __init__(self, model: nn.Module, data: ImageData, recipe: Recipe, seed: int, accelerator: Accelerator) -> None:
        self.data, self.recipe, self.accelerator = data, recipe, accelerator
        self.curve: list[dict[str, float | None]] = []
        self.seconds = 0.0
        self.policy = None if recipe.policy is None else ResizePolicy.from_dict(recipe.policy)
        self.generator = torch.Generator().manual_seed(seed)
        self.steps = len(data.x_train) // recipe.batch_size
        self.model = model.to(accelerator.device, memory_format=torch.channels_last)
        optimizer = self.make_optimizer()
        _, self.optimizer, self.schedule = accelerator.prepare(model, optimizer, self.make_schedule(optimizer))
        accelerator.register_for_checkpointing(self)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Return the optimizer of the recipe."""
        groups, decay = parameter_groups(self.model, self.recipe), self.recipe.weight_decay
        return torch.optim.SGD(groups, momentum=0.9, nesterov=self.recipe.nesterov, weight_decay=decay)

    def make_schedule(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        """Return the schedule of the recipe; it advances at every step."""
        steps = self.recipe.epochs * self.steps
        if self.recipe.schedule == "steps":
            return torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps // 2, 3 * steps // 4])
        rates, warmup = [group["lr"] for group in optimizer.param_groups], self.recipe.warmup
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rates, total_steps=steps, pct_start=warmup, cycle_momentum=False
        )

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images and labels of an epoch, augmented, normalized and resized."""
        order = torch.randperm(len(self.data.x_train), generator=self.generator)
        for batch in order[: self.steps * self.recipe.batch_size].view(self.steps, -1):
            index = batch.to(self.accelerator.device)
            images = augment(self.policy, self.data.x_train[index], self.generator)
            yield as_input(self.data.normalize(images), self.recipe.upscale), self.data.y_train[index]

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch."""
        logits = self.model(images).float()
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    def epoch(self, advance: Callable[[], object]) -> dict[str, float]:
        """Train for an epoch and evaluate. Return the mean loss, the seconds of training and what was evaluated.

        ``cpu_seconds`` are those of all threads together; other work on the machine changes them less than the time.
        """
        start, cpu_start = time.perf_counter(), time.process_time()
        total = torch.zeros((), device=self.accelerator.device)
        self.model.train()
        for images, labels in self.batches():
            loss = self.loss(images, labels)
            self.optimizer.zero_grad()
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.schedule.step()
            total += loss.detach()
            advance()
        mean_loss = float(total) / self.steps  # waits for the device
        spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
        self.model.eval()
        return {"loss": mean_loss, **self.evaluate(), **spent}

    def evaluate(self) -> dict[str, float]:
        """Return the test accuracy in %."""
        return {"accuracy": accuracy(self.model, self.data, upscale=self.recipe.upscale)}

    def state_dict(self) -> dict[str, Any]:
        """Return what the accelerator does not know: the generator and what was measured."""
        return {"generator": self.generator.get_state(), "curve": self.curve, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict()``."""
        self.generator.set_state(state["generator"])
        self.curve, self.seconds = state["curve"], state["seconds"]


def as_input(images: Tensor, upscale: int | None) -> Tensor:
    """Return the images as a model gets them, resized and in channels_last; features stay as they are."""
    if images.ndim != 4:
        return images
    images = images if upscale is None else resize(images, upscale)
    return images.contiguous(memory_format=torch.channels_last)


def autocast(device: torch.device) -> torch.autocast:
    """Return a context with the accelerator's precision, for networks that it has not prepared."""
    return torch.autocast(device.type, torch.bfloat16, enabled=AcceleratorState().mixed_precision == "bf16")


@torch.no_grad()
def accuracy(model: nn.Module, data: ImageData, *, upscale: int | None = None) -> float:
    """Return the accuracy on the test images in %; the model stays in training or evaluation mode."""
    batch_size = min(1000, max(1, _EVAL_PIXELS // math.prod(data.x_test.shape[2:])))
    right = torch.zeros((), dtype=torch.int64, device=data.x_test.device)
    for images, labels in zip(data.x_test.split(batch_size), data.y_test.split(batch_size), strict=True):
        with autocast(images.device):
            logits = model(as_input(data.normalize(images), upscale))
        right += (logits.argmax(1) == labels).sum()
    return 100 * float(right) / len(data.y_test)
