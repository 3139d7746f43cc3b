"""``python -m resizenet``: the two commands, names and where they lead, JSON, pictures, and mistakes."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

import resizenet.__main__ as command
from resizenet import create_model, list_models


def test_report_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "resnet20", "--size", "32"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "ResNet at 3x32x32: 40.6 M MACs, 269.7 k parameters\n"
    )  # He et al. 2015: 14,155,776 n - 1,916,288 for n = 3
    assert err == ""


def test_report_takes_height_and_width(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "squeezenet1_1", "--size", "224", "176"]) == 0
    assert capsys.readouterr().out.startswith("SqueezeNet at 3x224x176: ")


def test_report_is_at_224_px_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "squeezenet1_1"]) == 0
    assert capsys.readouterr().out.startswith("SqueezeNet at 3x224x224: ")


def test_report_takes_other_channels_and_prints_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", f"{__name__}:Tiny", "--size", "9", "--in-channels", "5", "--layers"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:6]] == ["0.0", "0.1", "1"]


class Tiny(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Conv2d(5, 2, 3), nn.ReLU()), nn.Conv2d(2, 2, 1))


# --- names


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet18", "11.7 M"),  # torchvision's, 1000 classes
        ("torchvision/resnet18", "11.7 M"),
        ("resizenet/resnet18", "11.2 M"),  # 10 classes
        ("timm/resnet18d", "11.7 M"),
        ("torchvision.models:squeezenet1_0", "1.2 M"),
        ("resnext29_32x4d", "4.8 M"),  # ours: torchvision has none of that name
        ("resnet10t", "5.4 M"),  # timm's: neither has
        ("regnet_x_400mf", "5.5 M"),  # cannot be made without values
    ],
)
def test_names_are_torchvisions_then_ours_then_timms_unless_told(
    name: str, parameters: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["report", name, "--size", "64"]) == 0
    assert capsys.readouterr().out.partition("\n")[0].endswith(f", {parameters} parameters")


def test_without_timm_its_names_are_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert command.main(["report", "resnet10t"]) == 2
    assert capsys.readouterr().err.startswith("resizenet: model: no 'resnet10t' among the models of ")


def test_a_module_beside_the_user_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\nclass Space:\n    net = nn.Sequential(nn.Conv2d(3, 1, 3))\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert command.main(["report", "my_networks:Space.net", "--size", "5"]) == 0
    assert capsys.readouterr().out.startswith("Sequential at 3x5x5: 243 MACs, 28 parameters")
    assert command.main(["report", "my_networks:number"]) == 2
    assert (
        "expected 'my_networks:number' to lead to a model or to something that returns one, got int"
        in capsys.readouterr().err
    )
    assert sys.path == path


# --- other forms


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "resnet20", "--size", "32", "48", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["input_size"], values["params"]) == ([32, 48], 269_722)


def test_plot_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "resnet20", "--size", "32", "--plot", str(tmp_path / "out.png")]) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith("ResNet at 3x32x32: ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("has_rich", [True, False])
def test_a_terminal_gets_a_rich_table_where_rich_is(has_rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = command.importlib.util.find_spec
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: find_spec(name) if has_rich else None)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert command.main(["report", "resnet20", "--size", "32"]) == 0
    text = sys.stdout.getvalue()
    assert ("\x1b[" in text) == has_rich
    assert "stages.2" in text


# --- the list


def test_models_lists_names_parameters_and_macs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "list_models", lambda: ["resnet20"])  # some of the others take seconds to make
    assert command.main(["models"]) == 0
    assert capsys.readouterr().out.split() == ["resnet20", "269,722", "parameters", "40,551,040", "MACs"]


@pytest.mark.slow
def test_models_lists_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list_models()
    for line, name in zip(lines, list_models(), strict=True):
        assert f"{sum(p.numel() for p in create_model(name).parameters()):,}" in line


# --- mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["report", "resnext29_8x64"],
            "resizenet: model: no 'resnext29_8x64' among the models of torchvision, resizenet, timm; did you mean 'resnext29_8x64d', ",
        ),
        (
            ["report", "resizenet/resnet21"],
            "resizenet: model: no 'resnet21' among the models of resizenet; did you mean 'resnet",
        ),
        (
            ["report", "torchvision.models:resnet0"],
            "resizenet: model: 'torchvision.models:resnet0' leads nowhere: module 'torchvision.models' has no attribute",
        ),
        (
            ["report", "no_such_package:net"],
            "resizenet: model: 'no_such_package:net' leads nowhere: No module named 'no_such_package'",
        ),
        (
            ["report", "resnet20", "--size", "0"],
            "resizenet: input_size: expected an int or (height, width), each at least 1, got 0",
        ),
        (
            ["report", "resnet20", "--size", "1", "2", "3"],
            "resizenet: input_size: expected an int or (height, width), got 3 numbers",
        ),
        (["report", "alexnet", "--size", "8"], "resizenet: report: AlexNet cannot take an image of (3, 8, 8): "),
        (["report", "resnet20", "--plot", "out.cow"], "resizenet: plot: Format 'cow' is not supported"),
        (["report", "resnet20", "--plot", "/no/such/folder/out.png"], "resizenet: [Errno 2] No such file or directory"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["reprot"], ["report"], ["report", "resnet20", "--size", "big"]])
def test_argparse_answers_what_it_can_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m resizenet" in capsys.readouterr().err


def test_the_module_runs_as_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "resizenet", "report", "resizenet/resnet21"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "did you mean 'resnet" in done.stderr
