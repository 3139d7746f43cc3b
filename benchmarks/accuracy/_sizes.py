"""One network for several input sizes against one network for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resizenet.surgery import switch_norms

from ._data import ImageData
from ._experiment import Arm, Experiment
from ._record import FastRecipe, FastTraining, airnet
from ._train import accuracy, as_input

SIZES = (16, 24, 32)


@dataclass(frozen=True)
class SeveralSizesRecipe(FastRecipe):
    """Every batch is used at several sizes, and the losses are averaged.

    Attributes:
        train_sizes: in pixels, in rising order.
        teach: the other sizes learn the predictions of the largest one besides the labels (Wang et al. 2020, arXiv
            2007.09558, section 3.2).
    """

    sizes: tuple[tuple[float, int], ...] = ((0, 32),)  # of the batches, before they are resized
    train_sizes: tuple[int, ...] = SIZES
    teach: bool = False


class SeveralSizesTraining(FastTraining):
    """AirNet on its way through a ``SeveralSizesRecipe``."""

    recipe: SeveralSizesRecipe

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss over the sizes."""
        smoothing, losses = self.recipe.label_smoothing, []
        teacher = None
        for size in reversed(self.recipe.train_sizes):
            logits = self.model(as_input(images, size)).float()
            losses.append(F.cross_entropy(logits, labels, label_smoothing=smoothing))
            if teacher is not None:
                losses[-1] = (losses[-1] + F.cross_entropy(logits, teacher)) / 2
            elif self.recipe.teach:
                teacher = logits.detach().softmax(1)
        return torch.stack(losses).mean()

    def evaluate(self) -> dict[str, float]:
        """Return the test accuracy in % at the largest size."""
        return {"accuracy": accuracy(self.model, self.data, upscale=self.recipe.train_sizes[-1])}


def accuracy_by_size(model: nn.Module, data: ImageData) -> dict[str, float]:
    """Measure the test accuracy with the images resized to each of ``SIZES``."""
    return {f"accuracy_at_{size}": accuracy(model, data, upscale=size) for size in SIZES}


def _switched() -> nn.Module:
    return switch_norms(airnet(), SIZES)


def _only(size: int) -> Arm:
    return Arm(airnet, {"train_sizes": (size,)})


def _together(make: Callable[[], nn.Module], *, teach: bool = False) -> Arm:
    return Arm(make, {"teach": teach})


SEVERAL_SIZES = {
    "full": Experiment(
        question="Does one network for three input sizes reach three networks with the same total compute?",
        arms={
            "one network, switched norms": _together(_switched),
            "one network, switched norms, the largest size teaches": _together(_switched, teach=True),
            "one network, shared norms": _together(airnet),
            **{f"only {size} px": _only(size) for size in SIZES},
        },
        epochs=10,
        finish=accuracy_by_size,
        recipe=SeveralSizesRecipe(),
        training=SeveralSizesTraining,
    )
}
