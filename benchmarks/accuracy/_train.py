"""Training of one run: everything that changes from step to step, and can be written down and taken up again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn import functional as F

from resizenet.functional import resize
from resizenet.transforms import NativePolicy, ResizePolicy

from . import _augment
from ._data import ImageData

_EVAL_PIXELS = 1000 * 128**2  # per batch of evaluation, at most, and 1,000 images


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
    warmup: float = 0.25  # share of the steps until the one-cycle learning rate peaks
    lr_ratios: dict[str, float] = field(default_factory=dict)  # by the parameter's prefix; the longest match counts
    policy: dict[str, Any] | None = field(
        default_factory=NativePolicy(32).to_dict
    )  # of resizenet.transforms; flips are added
    upscale: int | None = (
        None  # px per side to which images are resized on the device, after the policy and in evaluation
    )


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """One group per learning rate; everything is decayed."""
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        prefix = max((prefix for prefix in recipe.lr_ratios if name.startswith(prefix)), key=len, default=None)
        by_rate.setdefault(recipe.lr * recipe.lr_ratios.get(prefix, 1.0), []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in by_rate.items()]


class Training:
    """A model on its way through a recipe, one epoch at a time.

    Every process draws the same batches and crops and takes its share of each, so that the images of a step do not depend on the number of
    processes.
    """

    def __init__(
        self,
        model: nn.Module,
        data: ImageData,
        recipe: Recipe,
        seed: int,
        accelerator: Accelerator,
        *,
        compiled: bool = False,
    ) -> None:
        self.data, self.recipe, self.accelerator = data, recipe, accelerator
        self.model = model.to(accelerator.device, memory_format=torch.channels_last)
        self.policy = None if recipe.policy is None else ResizePolicy.from_dict(recipe.policy)
        self.generator = torch.Generator().manual_seed(seed)
        if accelerator.process_index:
            torch.manual_seed(1000 * accelerator.process_index + seed)  # dropout must differ between processes
        self.steps = len(data.x_train) // recipe.batch_size
        groups = parameter_groups(model, recipe)
        self.optimizer = torch.optim.SGD(
            groups, momentum=0.9, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay
        )
        self.schedule = _schedule(self.optimizer, recipe, recipe.epochs * self.steps)
        self.step_model = accelerator.prepare(torch.compile(model) if compiled else model)

    def epoch(self, advance: Callable[[], object]) -> dict[str, float]:
        """Train for an epoch and evaluate: mean loss, accuracy on the test set in %, seconds of training."""
        start, total = time.perf_counter(), torch.zeros((), device=self.accelerator.device)
        self.model.train()
        self.step_model.train()
        batches = torch.randperm(len(self.data.x_train), generator=self.generator)[
            : self.steps * self.recipe.batch_size
        ].view(self.steps, -1)
        for batch in batches:
            images, labels = self._share(batch)
            loss = F.cross_entropy(self.step_model(images).float(), labels, label_smoothing=self.recipe.label_smoothing)
            self.optimizer.zero_grad()
            self.accelerator.backward(loss)
            self.optimizer.step()
            self.schedule.step()
            total += loss.detach()
            advance()
        loss = float(self.accelerator.reduce(total, "mean")) / self.steps
        seconds = time.perf_counter() - start
        return {"loss": loss, "accuracy": self.accuracy(), "seconds": seconds}

    def _share(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """This process's part of a batch, (n,) indices, augmented, normalised and resized, with its labels."""
        draws = _augment.draw(self.policy, *self._image_size(), len(batch), self.generator)
        share = len(batch) // self.accelerator.num_processes
        mine = slice(self.accelerator.process_index * share, (self.accelerator.process_index + 1) * share)
        index = batch[mine].to(self.accelerator.device)
        images = _augment.apply(self.policy, self.data.x_train[index], draws[mine])
        return as_input(self.data.normalize(images), self.recipe.upscale), self.data.y_train[index]

    def _image_size(self) -> tuple[int, int]:
        return tuple(self.data.x_train.shape[2:]) if self.data.x_train.ndim == 4 else (0, 0)

    def accuracy(self) -> float:
        """Of the test set, in %; every process evaluates its share."""
        self.model.eval()
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        share = slice(rank, None, world)
        right = count_right(
            self.model, self.data, self.data.x_test[share], self.data.y_test[share], upscale=self.recipe.upscale
        )
        return 100 * float(self.accelerator.reduce(right, "sum")) / len(self.data.y_test)

    def state_dict(self) -> dict[str, Any]:
        """All that a later process needs to go on as if nothing had happened; to be called in every process."""
        cuda = torch.cuda.get_rng_state() if self.accelerator.device.type == "cuda" else None
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "random": gather_object([{"cpu": torch.get_rng_state(), "cuda": cuda}]),  # by process
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        random = state["random"][self.accelerator.process_index]
        torch.set_rng_state(random["cpu"])
        if random["cuda"] is not None:
            torch.cuda.set_rng_state(random["cuda"])


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    if recipe.schedule == "steps":
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps // 2, 3 * steps // 4])
    rates = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=steps, pct_start=recipe.warmup, cycle_momentum=False
    )


def as_input(images: Tensor, upscale: int | None) -> Tensor:
    """As a model gets them: resized and in channels_last; features stay as they are."""
    if images.ndim != 4:
        return images
    images = images if upscale is None else resize(images, upscale)
    return images.contiguous(memory_format=torch.channels_last)


def autocast(device: torch.device) -> torch.autocast:
    """The precision of the command, as Accelerate was told, for networks that it has not prepared."""
    return torch.autocast(device.type, torch.bfloat16, enabled=AcceleratorState().mixed_precision == "bf16")


def predict(model: nn.Module, images: Tensor) -> Tensor:
    """Logits in float32, computed in the precision of the command."""
    with autocast(images.device):
        logits = model(images)
    return logits.float()


@torch.no_grad()
def count_right(
    model: nn.Module, data: ImageData, images: Tensor, labels: Tensor, *, upscale: int | None = None
) -> Tensor:
    """How many of the images, as they are in ``data``, the model gets right, in whatever mode it is; a number on their device."""
    batch_size = min(1000, max(1, _EVAL_PIXELS // math.prod(images.shape[2:])))
    batches = zip(images.split(batch_size), labels.split(batch_size), strict=True)
    return sum((predict(model, as_input(data.normalize(x), upscale)).argmax(1) == y).sum() for x, y in batches)


def accuracy(model: nn.Module, data: ImageData, *, upscale: int | None = None) -> float:
    """In %, on the whole test set, in whatever mode the model is."""
    return 100 * float(count_right(model, data, data.x_test, data.y_test, upscale=upscale)) / len(data.y_test)
