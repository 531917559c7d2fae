"""The contract of every command: documented options, quick help, one line and status 2."""

import dataclasses
import importlib
import json
import re
import subprocess
import sys
import time

import pytest

from physkit.cli import COMMANDS, main, read_options

HEAVY = ("torch", "numpy", "scipy", "cv2", "av", "matplotlib", "pyarrow", "jsonargparse")


def physkit(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "physkit.cli", *words], capture_output=True, text=True, check=False
    )


def test_help_answers_in_under_a_second_and_names_every_command() -> None:
    durations_s = []
    for _ in range(3):
        start = time.perf_counter()
        answer = physkit("--help")
        durations_s.append(time.perf_counter() - start)
    assert answer.returncode == 0
    assert all(name in answer.stdout for name in COMMANDS)
    assert min(durations_s) < 1.0


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from physkit.cli import main; main(['--help']); "
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]", answer.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_documented(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[name]
    config = getattr(importlib.import_module(command.module), command.config)
    assert dataclasses.fields(config) is not None
    assert config.__dataclass_params__.frozen
    with pytest.raises(SystemExit) as stopped:
        main([*name.split(), "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for field in dataclasses.fields(config):
        described = re.search(
            rf"^  (--)?{field.name} [^\n]*(\n {{10,}}[^\n]*)*", shown, re.MULTILINE
        )
        assert described, f"{name} --help is silent on {field.name}"
        words = described.group().split("(")[0].split()
        assert len(words) > 3, f"{name} --help says nothing of {field.name}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predikt", "x.mp4"], "unknown command 'predikt': did you mean 'predict'"),
        (["weights", "pul"], "unknown weights command 'pul': did you mean 'pull'"),
        (["predict"], "predict: "),
        (["predict", "x.mp4", "--no_such", "1"], "no_such"),
        (["predict", "x.mp4", "--fps", "fast"], "fps"),
        (["predict", "absent.mp4"], "absent.mp4: no such file"),
        (["predict", "absent.mp4", "--model", "facefys"], "did you mean 'facephys'"),
        (["predict", "absent.mp4", "--runtime", "onyx"], "unknown runtime 'onyx'"),
        (["predict", "absent.mp4", "--face.detector", "har"], "did you mean 'haar'"),
        (["predict", "camera:77"], "camera:77: no camera of that number"),
        (["predict", "absent.mp4", "--live"], "absent.mp4: no such file"),
        (["predict", "absent.mp4", "--view", "windo"], "unknown view 'windo'"),
        (["predict", "absent.mp4", "--late_s", "2"], "--late_s 2.0"),
        (["predict", "absent.mp4", "--runtime", "onnx"], "give --weights FILE.onnx"),
        (["predict", "x.mp4", "--weights", "a.onnx", "--runtime", "jax"], "runs by onnx, not by"),
        (["predict", "x.mp4", "--weights", "absent.tflite"], "absent.tflite: no such file"),
        (["predict", "absent.mp4", "--weights", ""], "--weights: empty"),
        (["predict", "absent.mp4", "--compute.threads", "0"], "--compute.threads 0"),
        (
            ["predict", "absent.mp4", "--compute.device", "meta"],
            "--compute.device meta: not usable here",
        ),
        (["bench", "step", "--repeats", "0"], "--repeats 0"),
        (["bench", "step", "--released", "/absent"], "/absent: no such folder"),
        (["demo", "--seed", "-1"], "--seed -1"),
        (["weights"], "weights: which one? give one of list, pull, import"),
        (["score", "--predictions", "absent.parquet", "--score.window", "inf"], "absent.parquet"),
        (["score", "--predictions", "absent.parquet"], "absent.parquet"),
        (["weights", "pull", "nothing"], "unknown weights 'nothing'"),
        (["fit", "--data.n_framez", "9"], "did you mean 'data.n_frames'"),
        (["fit", "--modell", "x"], "did you mean 'model'"),
        (["fit", "--config", "absent.yaml"], "absent.yaml: no such file"),
        (["export", "--out", "x", "--targets", "onxx"], "did you mean 'onnx'"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_output_that_cannot_be_written_is_one_line() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "physkit.cli", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert "No space left" in answer.stderr


def test_options_can_come_from_yaml(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    config = f"{tmp_path}/options.yaml"
    with open(config, "w", encoding="utf-8") as file:
        file.write("input: absent.mp4\nmodel: pos\n")
    assert main(["predict", "--config", config]) == 2
    assert "absent.mp4" in capsys.readouterr().err


def test_doctor_and_weights_speak_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {"physkit", "device cpu", "model facephys"} <= {check["name"] for check in checks}
    assert main(["weights", "list", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)["weights"]} >= {"facephys"}


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()[0].isdigit()


@pytest.mark.parametrize(
    "words",
    [
        ["--targets", "onnx,jax", "--chunks", "[16, 64]", "--frames", "90"],
        ["--targets", "[onnx, jax]", "--chunks", "[16,64]", "--frames", "90"],
        ["--targets=onnx,jax", "--chunks=16,64", "--frames=90"],
    ],
)
def test_an_option_of_several_takes_them_in_any_form(words: list[str]) -> None:
    config, _ = read_options("export", [*words, "--out", "x"])
    assert (config.targets, config.chunks, config.frames) == (["onnx", "jax"], [16, 64], 90)
