"""A resizer and a model as one module that behaves like the model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .._checks import parse_number
from .._errors import UnsupportedModelError
from .._modules import accepts_loss_kwargs, call_with_images, copy_model, find_images
from .._sizes import Size
from .._weights import Source, check_weights, read_weights
from ..functional._fx import is_proxy

TAKES_IMAGES = (  # methods of other libraries whose first argument, or pixel_values, are images
    *("forward_features", "forward_intermediates", "get_intermediate_layers"),  # timm, DINO
    *("get_image_features", "generate"),  # transformers
    *("encode_image", "extract_features", "extract_endpoints", "predict"),  # CLIP, efficientnet_pytorch, smp
)
SAVES = ("save_pretrained", "push_to_hub", "save")  # they would save the model without the resizer


class _SavesModelOnlyError(UnsupportedModelError, AttributeError):
    """Raised for a saving method of the model; an AttributeError, so that ``hasattr`` returns False."""


class ResizedModel(nn.Module):
    """Resizes, then calls the model.

    An attribute that this module lacks is looked up and set on the model, as torch.compile's wrapper does: ``.fc`` and
    ``.default_cfg`` keep working, and ``wrapped.fc = nn.Linear(512, 10)`` replaces the classifier. There are two
    exceptions. Methods that take images resize them first, as ``forward`` does: ``forward_features``,
    ``forward_intermediates``, ``get_intermediate_layers``, ``get_image_features``, ``generate``, ``encode_image``,
    ``extract_features``, ``extract_endpoints`` and ``predict``. Methods that would save the model without the resizer
    raise ``UnsupportedModelError``: ``save_pretrained``, ``push_to_hub`` and ``save``.

    Args:
        resizer: called with the images, and with ``size`` if a call passes one.
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

    def forward(self, x: Tensor | None = None, *args: Any, size: Size | None = None, **kwargs: Any) -> Any:
        """``model(resizer(x, size), *args, **kwargs)``.

        Args:
            x: (B, C, H, W). It can also be passed as ``pixel_values``, or under the name of the model's own first
                argument.
            *args: passed on to the model.
            size: (height, width) in pixels or one int, for this call only; by default the resizer's own size.
            **kwargs: passed on to the model.

        Raises:
            DtypeError: no images were passed.
        """
        if is_proxy(x):  # a graph of torch.fx takes the images only
            return self.model(self.resizer(x))
        return self._resize_and_call(self.model, x, *args, size=size, **kwargs)

    def _resize_and_call(
        self, function: Callable[..., Any], x: Tensor | None = None, *args: Any, size: Size | None = None, **kwargs: Any
    ) -> Any:
        name, images = find_images(function, x, kwargs, operation="ResizedModel")
        resized = self.resizer(images) if size is None else self.resizer(images, size)
        return call_with_images(function, name, resized, args, kwargs)

    @property
    def accepts_loss_kwargs(self) -> bool:
        """Whether the Trainer of transformers may pass ``num_items_in_batch`` to the model."""
        return accepts_loss_kwargs(self.model)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            model = self.__dict__.get("_modules", {}).get("model")  # absent while unpickling
            if model is None or name.startswith("__"):  # copy and pickle must not find the model's own protocol
                raise
            found = getattr(model, name)
        if name in SAVES:
            raise _SavesModelOnlyError(
                f"ResizedModel: {name} of {type(model).__name__} would save the model without the resizer; save both "
                f"with torch.save(wrapped.state_dict(), path), or call wrapped.model.{name}() and save "
                "wrapped.resizer.state_dict() beside it"
            )
        if name in TAKES_IMAGES and callable(found) and not isinstance(found, nn.Module):
            return functools.partial(self._resize_and_call, found)
        return found

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
