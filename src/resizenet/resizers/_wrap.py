"""A resizer and a model as one module that behaves like the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .._checks import parse_number
from .._errors import UnsupportedModelError
from .._modules import copy_model
from .._weights import Source, check_weights, read_weights


class ResizedModel(nn.Module):
    """Resizes, then calls the model.

    An attribute that this module lacks is looked up and set on the model, as torch.compile's wrapper does: ``.fc``,
    ``.forward_features`` and ``.default_cfg`` keep working, and ``wrapped.fc = nn.Linear(512, 10)`` replaces the
    classifier. A method found in this way belongs to the model and takes images that are already resized.

    Args:
        resizer: called with the images only.
        model: called with the resized images and all other arguments of ``forward``.

    Keys of the state dict are ``resizer.*`` and ``model.*``.

    Example:
        >>> import torch, torchvision
        >>> from resizenet import Resizer
        >>> model = Resizer(64).wrap(torchvision.models.resnet18())
        >>> model.fc
        Linear(in_features=512, out_features=1000, bias=True)
        >>> model(torch.rand(2, 3, 100, 130)).shape
        torch.Size([2, 1000])
    """

    resizer: nn.Module
    model: nn.Module

    def __init__(self, resizer: nn.Module, model: nn.Module) -> None:
        super().__init__()
        for part in (resizer, model):
            if not isinstance(part, nn.Module):
                raise UnsupportedModelError(
                    f"ResizedModel: expected a model that is a torch.nn.Module, got {type(part).__name__}"
                )
        self.resizer = resizer
        self.model = model

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """``model(resizer(x), *args, **kwargs)``; ``x`` is (B, C, H, W)."""
        return self.model(self.resizer(x), *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            model = self.__dict__.get("_modules", {}).get("model")  # absent while unpickling
            if model is None or name.startswith("__"):  # copy and pickle must not find the model's own protocol
                raise
            return getattr(model, name)

    def __setattr__(self, name: str, value: Any) -> None:
        modules = self.__dict__.get("_modules", {})
        own = name in self.__dict__ or name in modules or hasattr(type(self), name)
        if "model" in modules and not own and hasattr(modules["model"], name):
            setattr(modules["model"], name, value)
        else:
            super().__setattr__(name, value)

    def fuse(self) -> ResizedModel:
        """Return a copy in eval mode whose resizer is fused for inference; the model is copied too."""
        fuse: Callable[[], nn.Module] = self.resizer.fuse  # type: ignore[assignment]  # a method, not a submodule
        return ResizedModel(fuse(), copy_model(self.model, operation="fuse")).eval()

    def strip(self) -> tuple[nn.Module, nn.Module]:
        """Return the resizer and the model, not copied."""
        return self.resizer, self.model

    def load_backbone(self, source: Source) -> None:
        """Load weights of the model that were saved without a resizer; the resizer is not changed.

        Args:
            source: a file, read with ``weights_only=True``, or a state dict. Either may be wrapped in a dict under
                "state_dict", "model_state_dict", "model" or "net", with keys that begin with "module." or "_orig_mod.".

        Raises:
            CheckpointError: not a checkpoint, or keys that are missing, unexpected, of the wrong shape or kind, or
                not finite. The message names all of them, and nothing is changed.
            FileNotFoundError: no such file.
        """
        _load(self.model, source, operation="load_backbone")

    def load_resizer(self, source: Source) -> None:
        """Load the weights of the resizer alone; arguments and errors as in ``load_backbone``."""
        _load(self.resizer, source, operation="load_resizer")

    def parameter_groups(
        self, lr: float, *, resizer_lr: float | None = None, weight_decay: float = 0.0
    ) -> list[dict[str, Any]]:
        """Return the trainable parameters as groups for an optimizer; vectors (biases, norms) get no weight decay.

        Args:
            lr: learning rate of the model.
            resizer_lr: learning rate of the resizer. By default ``lr / 10`` for a ``Resizer``, because at the model's
                rate its output changes faster than BatchNorm's running statistics can follow, and ``lr`` for the other
                resizers.
            weight_decay: weight decay of parameters with two dimensions or more.

        Returns:
            Up to four groups with "params", "lr", "weight_decay" and "name"; empty ones are left out.

        Example:
            >>> import torch, torchvision
            >>> from resizenet import Resizer
            >>> model = Resizer(64).wrap(torchvision.models.resnet18())
            >>> optimizer = torch.optim.SGD(model.parameter_groups(0.1, resizer_lr=0.01, weight_decay=5e-4))
            >>> [group["name"] for group in optimizer.param_groups]
            ['resizer', 'resizer, no decay', 'model', 'model, no decay']
        """
        lr = parse_number("lr", lr, at_least=0)
        weight_decay = parse_number("weight_decay", weight_decay, at_least=0)
        resizer_lr = lr / getattr(self.resizer, "lr_divisor", 1) if resizer_lr is None else resizer_lr
        rates = {"resizer": parse_number("resizer_lr", resizer_lr, at_least=0), "model": lr}
        groups = []
        for part, rate in rates.items():
            trainable = [p for p in getattr(self, part).parameters() if p.requires_grad]
            decayed = [p for p in trainable if p.ndim > 1]
            plain = [p for p in trainable if p.ndim <= 1]
            groups.append({"params": decayed, "lr": rate, "weight_decay": weight_decay, "name": part})
            groups.append({"params": plain, "lr": rate, "weight_decay": 0.0, "name": f"{part}, no decay"})
        return [group for group in groups if group["params"]]


def _load(module: nn.Module, source: Source, *, operation: str) -> None:
    weights = read_weights(source, operation=operation)
    check_weights(weights, module.state_dict(), operation=operation, model=type(module).__name__)
    module.load_state_dict(weights, strict=False)
