"""Fixtures of the resizer tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn


@pytest.fixture(scope="session")
def randomized() -> Callable[[nn.Module], nn.Module]:
    """Sets a module to float64 and eval mode, with random weights and running statistics."""

    def randomize(module: nn.Module) -> nn.Module:
        for parameter in module.double().eval().parameters():
            nn.init.normal_(parameter, 0, 0.3)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                nn.init.normal_(buffer)
            elif name.endswith("running_var"):
                nn.init.uniform_(buffer, 0.5, 2)
        return module

    return randomize
