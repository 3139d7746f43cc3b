"""``python -m resizenet``: the two commands, JSON, and mistakes."""

import json
import subprocess
import sys

import pytest

import resizenet.__main__ as command
from resizenet import create_model, list_models


def test_report_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "resnet20", "--size", "32"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("ResNet at 3x32x32: 40.6 M MACs, 269.7 k parameters\n")  # He et al. 2015: 14,155,776 n - 1,916,288 for n = 3
    assert err == ""


def test_report_takes_height_and_width_and_torchvisions_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "squeezenet1_1", "--size", "64", "96"]) == 0
    assert capsys.readouterr().out.startswith("SqueezeNet at 3x64x96: ")


def test_report_is_at_224_px_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "squeezenet1_1"]) == 0
    assert capsys.readouterr().out.startswith("SqueezeNet at 3x224x224: ")


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["report", "resnet20", "--size", "32", "48", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["input_size"], values["params"]) == ([32, 48], 269_722)


def test_models_lists_names_parameters_and_macs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "resnet200x"], "resizenet: model: expected one of "),
        (["report", "resnet20", "--size", "0"], "resizenet: input_size: expected an int or (height, width), each at least 1, got 0"),
        (["report", "resnet20", "--size", "1", "2", "3"], "resizenet: input_size: expected an int or (height, width), got 3 numbers"),
        (["report", "alexnet", "--size", "8"], "resizenet: report: AlexNet cannot take an image of (3, 8, 8): "),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [[], ["reprot"], ["report"], ["report", "resnet20", "--size", "big"]])
def test_argparse_answers_what_it_can_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m resizenet" in capsys.readouterr().err


def test_the_module_runs_as_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "resizenet", "report", "resnet21"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "did you mean 'resnet" in done.stderr
