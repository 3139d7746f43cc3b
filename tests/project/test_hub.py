"""``hubconf.py``, and Hugging Face's PyTorchModelHubMixin for wrapped models and for our networks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

import resizenet as rn

CLONE = Path(__file__).parents[2]
LOAD = """
import json, sys
import torch
clone = sys.argv[1]
model = torch.hub.load(clone, "resnet20", source="local", num_classes=7, verbose=False)
import resizenet
print(json.dumps({
    "shape": list(model(torch.rand(2, 3, 32, 32)).shape),
    "file": resizenet.__file__,
}))
"""


def test_torch_hub_loads_from_a_local_clone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD, str(CLONE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["shape"] == [2, 7]
    assert Path(found["file"]).is_relative_to(CLONE)


def test_every_published_network_is_an_entry_point() -> None:
    names: dict[str, object] = {"__file__": str(CLONE / "hubconf.py")}
    exec((CLONE / "hubconf.py").read_text(encoding="utf-8"), names)
    sys.path.remove(str(CLONE / "src"))
    assert all(names[name] is getattr(rn.models, name) for name in rn.list_models())
    assert names["dependencies"] == ["torch", "torchvision", "einops"]


class WrappedClassifier(rn.ResizedModel, PyTorchModelHubMixin):
    """A resizer and a network as one model of the Hub; its arguments are what config.json keeps."""

    def __init__(self, size: int = 32, name: str = "resnet20", num_classes: int = 10) -> None:
        super().__init__(rn.LinearResizer(size), rn.create_model(name, num_classes=num_classes))


class Classifier(nn.Module, PyTorchModelHubMixin):
    """One of our networks as a model of the Hub."""

    def __init__(self, name: str = "resnet20", num_classes: int = 10) -> None:
        super().__init__()
        self.network = rn.create_model(name, num_classes=num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


@pytest.mark.parametrize("kind", [WrappedClassifier, Classifier])
def test_a_model_of_the_hub_comes_back_whole(kind: type[nn.Module], tmp_path: Path) -> None:
    model = kind(num_classes=7).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["num_classes"] == 7
    back = kind.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(back.state_dict(), model.state_dict(), rtol=0, atol=0)
    x = torch.rand(2, 3, 48, 40)
    assert torch.equal(back(x), model(x))
