"""Test the command ``resizenet``: report, compare, models, names of models, JSON, pictures, and mistakes."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import resizenet as rn
import resizenet.__main__ as command
from resizenet import create_model, list_models, models

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


def test_compare_prints_a_column_per_size(capsys: Capture) -> None:
    assert command.main(["compare", "resnet18", "--sizes", "32", "224"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[2] == ["module", "32", "224"]
    assert lines[8] == ["layer4", "1x1", "(83", "%", "idle)", "7x7"]
    assert lines[9] == ["MACs", "37.5", "M", "1.8", "G"]
    assert command.main(["compare", "resnet20", "--sizes", "32", "48", "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert [found["input_size"] for found in reports] == [[32, 32], [48, 48]]


def test_the_version_is_that_of_the_package(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["--version"])
    assert (stopped.value.code, capsys.readouterr().out) == (0, f"resizenet {rn.__version__}\n")


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


@pytest.mark.parametrize("name", ["timm/test_resnet.r160_in1k", "test_resnet.r160_in1k"])
def test_names_of_timm_may_have_tags(name: str, capsys: Capture) -> None:
    assert command.main(["report", name, "--size", "160"]) == 0
    assert capsys.readouterr().out.startswith("ResNet at 3x160x160: ")


@pytest.mark.parametrize("name", ["timm/resnet10t", "resnet10t"])
def test_the_error_without_timm_says_that_it_is_missing(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert command.main(["report", name]) == 2
    message = capsys.readouterr().err
    assert message.startswith("resizenet: model: no 'resnet10t' among the models of ")
    assert message.endswith("; timm is not installed\n")


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
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "parameters", "MACs", "at", "32", "px"]
    assert row.split() == ["resnet20", "269.7", "k", "40.6", "M"]  # He et al. 2015


def test_models_lists_the_weights(capsys: Capture) -> None:
    assert command.main(["models", "--weights"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "weights", "parameters", "accuracy", "runs", "epochs", "license"]
    for row, weights in zip(rows, models.list_weights(), strict=True):
        start = [weights.model, weights.name, f"{weights.accuracy:.2f}", str(weights.epochs), weights.license]
        assert {*start} <= {*row.split()}


@pytest.mark.slow
def test_models_lists_every_model(capsys: Capture) -> None:
    assert command.main(["models"]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list_models()
    for line, name in zip(lines, list_models(), strict=True):
        count, unit = line.split()[1:3]
        parameters = sum(p.numel() for p in create_model(name).parameters())
        assert float(count) == pytest.approx(parameters / {"k": 1e3, "M": 1e6}[unit], abs=0.05001)


# --- mistakes

MISTAKES = {
    "resnext29_8x64": "model: no 'resnext29_8x64' among the models of torchvision, resizenet, timm; did you mean 'resn",
    "resizenet/resnet21": "model: no 'resnet21' among the models of resizenet; did you mean 'resnet",
    "torchvision.models:resnet0": "model: 'torchvision.models:resnet0' cannot be loaded: AttributeError: module 'torch",
    "no_such_package:net": "model: 'no_such_package:net' cannot be loaded: ModuleNotFoundError: No module named 'no_s",
    "json:dumps": "model: 'json:dumps' cannot be loaded: TypeError: dumps() missing 1 required positional argument",
    ":b": "model: expected a name or module:attribute, got ':b'",
    ".a:b": "model: expected a name or module:attribute, got '.a:b'",
    "hf_hub:timm/resnet18": "model: expected a name or module:attribute, got 'hf_hub:timm/resnet18'",
    "resnet20 --size 1000000000": "input_size: expected an int or (height, width) of at most 144115188075855872 pixels",
    "resnet20 --plot .": "plot: expected a file such as out.png, got '.'",
    "resnet20 --plot out": "plot: expected a file such as out.png, got 'out'",
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


FAULTY_MODULES = {
    "raise ValueError('two\\nlines')": "ValueError: two",
    "import sys; sys.exit('gone')": "SystemExit: gone",
    "net = (": "SyntaxError: '(' was never closed (faulty.py, line 1)",
    "def net(): raise KeyError('no weights')": "KeyError: 'no weights'",
    "def __getattr__(name): raise OSError(name)": "OSError: net",
    "import sys; sys.path.clear(); raise ImportError": "ImportError: ",
}


@pytest.mark.parametrize("source", FAULTY_MODULES)
def test_whatever_a_module_raises_is_one_line(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "faulty.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    path = list(sys.path)
    assert command.main(["report", "faulty:net"]) == 2
    assert capsys.readouterr().err == f"resizenet: model: 'faulty:net' cannot be loaded: {FAULTY_MODULES[source]}\n"
    assert sys.path == path


@pytest.mark.parametrize("name", ["", "folder.png"])
def test_a_plot_is_not_written_beside_the_requested_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "folder.png").mkdir()
    monkeypatch.chdir(tmp_path)
    assert command.main(["report", "resnet20", "--size", "32", "--plot", name]) == 2
    assert capsys.readouterr().err == f"resizenet: plot: expected a file such as out.png, got {name!r}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


names = st.text(alphabet="ab.:/_ \n0é", max_size=8) | st.text(max_size=5)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names, size=st.integers(), plot=st.none() | names)
def test_any_name_size_and_file_are_answered(name: str, size: int, plot: str | None, capsys: Capture) -> None:
    plotting = [] if plot is None else [f"--plot={plot}"]
    assert command.main(["report", f"--size={size}", *plotting, "--", name]) == 2
    assert capsys.readouterr().err.startswith("resizenet: ")


@pytest.mark.parametrize("arguments", [["models"], ["report", "resnet20", "--size", "32", "--json"]])
def test_a_closed_pipe_ends_the_command_quietly(arguments: list[str]) -> None:
    command_line = [sys.executable, "-m", "resizenet", *arguments]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == 1


@pytest.mark.parametrize("arguments", ["", "reprot", "report", "report resnet20 --size big"])
def test_argparse_refuses_other_mistakes_with_status_2(arguments: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments.split())
    assert stopped.value.code == 2
    assert "usage: resizenet" in capsys.readouterr().err


def test_the_module_is_a_command() -> None:
    command_line = [sys.executable, "-m", "resizenet", "report", "resizenet/resnet21"]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'resnet" in done.stderr


def test_audit_names_a_pipeline_and_compares_two(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from torchvision.transforms import v2\ntrain = v2.Resize((12, 16))\nsame = v2.Resize((12, 16))\n"
    (tmp_path / "pipelines_of_audit.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    train, size = "pipelines_of_audit:train", ["--size", "24", "30"]
    assert command.main(["audit", train, *size]) == 0
    assert capsys.readouterr().out.startswith("pipeline    pillow bilinear, exact")
    assert command.main(["audit", train, "pipelines_of_audit:same", *size, "--tolerance", "0"]) == 0
    assert "difference  none" in capsys.readouterr().out
    assert command.main(["audit", train, "opencv area", *size]) == 1
    largest = float(capsys.readouterr().out.partition("largest ")[2].split()[0])
    assert command.main(["audit", train, "opencv area", *size, "--tolerance", str(largest + 1)]) == 0
    assert command.main(["audit", train, "opencv area 5", *size]) == 1  # cannot be compared


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b", "c"], "expected one pipeline or two, got 3"),
        (["no_such_module:x"], "pipeline: 'no_such_module:x' cannot be loaded: ModuleNotFoundError"),
        (["cv2 area 5"], "like: expected one of"),
        (["opencv area"], "expected a size in 'opencv area'"),
    ],
)
def test_mistakes_of_audit(arguments: list[str], message: str, capsys: Capture) -> None:
    assert command.main(["audit", *arguments, "--size", "20"]) == 2
    assert message in capsys.readouterr().err
