"""Test ``python -m resizenet``: both commands, names of models, JSON, pictures, and mistakes."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

import resizenet.__main__ as command
from resizenet import create_model, list_models

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (["resnet20", "--size", "32"], "ResNet at 3x32x32: 40.6 M MACs, 269.7 k parameters\n"),  # He et al. 2015
        (["squeezenet1_1", "--size", "224", "176"], "SqueezeNet at 3x224x176: "),
        (["squeezenet1_1"], "SqueezeNet at 3x224x224: "),
    ],
)
def test_report_prints_a_table(arguments: list[str], title: str, capsys: Capture) -> None:
    assert command.main(["report", *arguments]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(title)
    assert err == ""


class Tiny(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Conv2d(5, 2, 3), nn.ReLU()), nn.Conv2d(2, 2, 1))


def test_report_takes_other_channels_and_prints_layers(capsys: Capture) -> None:
    assert command.main(["report", f"{__name__}:Tiny", "--size", "9", "--in-channels", "5", "--layers"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:6]] == ["0.0", "0.1", "1"]


# --- names


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", "11.7 M"),  # torchvision's, 1000 classes
        ("torchvision/resnet18", "11.7 M"),
        ("resizenet/resnet18", "11.2 M"),  # 10 classes
        ("timm/resnet18d", "11.7 M"),
        ("torchvision.models:squeezenet1_0", "1.2 M"),
        ("resnext29_32x4d", "4.8 M"),  # only ours
        ("resnet10t", "5.4 M"),  # only timm's
        ("regnet_x_400mf", "5.5 M"),  # its constructor reads values
    ],
)
def test_torchvision_comes_before_resizenet_and_timm(name: str, parameters: str, capsys: Capture) -> None:
    assert command.main(["report", name, "--size", "64"]) == 0
    assert capsys.readouterr().out.partition("\n")[0].endswith(f", {parameters} parameters")


def test_names_of_timm_are_unknown_without_it(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert command.main(["report", "resnet10t"]) == 2
    assert capsys.readouterr().err.startswith("resizenet: model: no 'resnet10t' among the models of ")


def test_modules_in_the_current_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    source = "from torch import nn\nclass Space:\n    net = nn.Sequential(nn.Conv2d(3, 1, 3))\nnumber = 3\n"
    (tmp_path / "my_networks.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert command.main(["report", "my_networks:Space.net", "--size", "5"]) == 0
    assert capsys.readouterr().out.startswith("Sequential at 3x5x5: 243 MACs, 28 parameters")
    assert command.main(["report", "my_networks:number"]) == 2
    assert "expected 'my_networks:number' to be or return a model, got int" in capsys.readouterr().err
    assert sys.path == path


# --- other forms


def test_json(capsys: Capture) -> None:
    assert command.main(["report", "resnet20", "--size", "32", "48", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["input_size"], values["params"]) == ([32, 48], 269_722)


def test_plot_writes_a_picture_and_prints_the_table(tmp_path: Path, capsys: Capture) -> None:
    assert command.main(["report", "resnet20", "--size", "32", "--plot", str(tmp_path / "out.png")]) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith("ResNet at 3x32x32: ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("has_rich", [True, False])
def test_a_terminal_shows_a_rich_table_if_rich_is_installed(has_rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = command.importlib.util.find_spec
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: find_spec(name) if has_rich else None)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert command.main(["report", "resnet20", "--size", "32"]) == 0
    text = sys.stdout.getvalue()
    assert ("\x1b[" in text) == has_rich
    assert "stages.2" in text


# --- the list of models


def test_models_lists_names_parameters_and_macs(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "list_models", lambda: ["resnet20"])
    assert command.main(["models"]) == 0
    assert capsys.readouterr().out.split() == ["resnet20", "269,722", "parameters", "40,551,040", "MACs"]


@pytest.mark.slow
def test_models_lists_every_model(capsys: Capture) -> None:
    assert command.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list_models()
    for line, name in zip(lines, list_models(), strict=True):
        assert f"{sum(p.numel() for p in create_model(name).parameters()):,}" in line


# --- mistakes

MISTAKES = {
    "resnext29_8x64": "model: no 'resnext29_8x64' among the models of torchvision, resizenet, timm; did you mean 'resn",
    "resizenet/resnet21": "model: no 'resnet21' among the models of resizenet; did you mean 'resnet",
    "torchvision.models:resnet0": "model: cannot load 'torchvision.models:resnet0': module 'torchvision.models' has no",
    "no_such_package:net": "model: cannot load 'no_such_package:net': No module named 'no_such_package'",
    "resnet20 --size 0": "input_size: expected an int or (height, width), each at least 1, got 0",
    "resnet20 --size 1 2 3": "input_size: expected an int or (height, width), got 3 numbers",
    "alexnet --size 8": "report: AlexNet cannot take an image of (3, 8, 8): ",
    "resnet20 --plot out.cow": "plot: Format 'cow' is not supported",
    "resnet20 --plot /no/such/folder/out.png": "[Errno 2] No such file or directory",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_prints_one_line_and_returns_2(arguments: str, capsys: Capture) -> None:
    assert command.main(["report", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"resizenet: {MISTAKES[arguments]}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", ["", "reprot", "report", "report resnet20 --size big"])
def test_argparse_refuses_other_mistakes_with_status_2(arguments: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments.split())
    assert stopped.value.code == 2
    assert "usage: python -m resizenet" in capsys.readouterr().err


def test_the_module_is_a_command() -> None:
    command_line = [sys.executable, "-m", "resizenet", "report", "resizenet/resnet21"]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'resnet" in done.stderr
