"""The one command line. Each command is a config, a function of it, and a result to print."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from physkit.core.errors import PhyskitError
from physkit.core.registry import unknown_name

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Command:
    """Where a command lives; nothing of it is imported before it is called."""

    module: str
    """Module of the config and of `run`."""
    config: str
    """Name of the config dataclass, whose fields are the options."""
    run: str
    """Name of the function from config to result."""
    summary: str
    """One line for --help."""
    positional: bool = True
    """Whether required options are given by their place instead of by name."""


COMMANDS = {
    "predict": Command(
        "physkit.pipelines.predict",
        "PredictConfig",
        "run",
        "pulse and heart rate of a video, a camera or a crops file",
    ),
    "synth": Command(
        "physkit.synth.write",
        "SynthConfig",
        "run",
        "synthetic recordings with known pulse, in a real data set's own layout",
        positional=False,
    ),
    "audit": Command(
        "physkit.audit.command",
        "AuditConfig",
        "run",
        "what is wrong with a raw data set or a store, and what to do about it",
    ),
    "prep": Command(
        "physkit.prepare.run",
        "PrepareConfig",
        "run",
        "raw data set to a store of face crops and labels; resumable",
        positional=False,
    ),
    "features": Command(
        "physkit.pipelines.features",
        "FeaturesConfig",
        "run",
        "what a network's frozen part says of a store, kept there for training; resumable",
    ),
    "cues": Command(
        "physkit.pipelines.cues",
        "CuesCommandConfig",
        "run",
        "what a vision-language model, or a measurement, says of a store's faces; resumable",
    ),
    "fit": Command(
        "physkit.train.run.fit",
        "FitConfig",
        "run",
        "train a network on windows of stores; resumable",
        positional=False,
    ),
    "validate": Command(
        "physkit.train.run.check",
        "CheckConfig",
        "check_validation",
        "weights of a training on the people who validate it",
        positional=False,
    ),
    "test": Command(
        "physkit.train.run.check",
        "CheckConfig",
        "check_test",
        "weights of a training on people whom it never saw",
        positional=False,
    ),
    "evaluate": Command(
        "physkit.pipelines.evaluate",
        "EvaluateConfig",
        "run",
        "a model's pulse of every recording of a store, and its metrics",
        positional=False,
    ),
    "score": Command(
        "physkit.pipelines.score",
        "ScoreFileConfig",
        "run",
        "metrics of a predictions file from anywhere, by a named protocol",
        positional=False,
    ),
    "crossdomain": Command(
        "physkit.crossdomain.run",
        "CrossdomainConfig",
        "run",
        "train on each data set and test on each: a matrix of errors; resumable",
        positional=False,
    ),
    "export": Command(
        "physkit.pipelines.export",
        "ExportConfig",
        "run",
        "a FacePhys for phones, servers and web pages, and how exact each file is",
        positional=False,
    ),
    "bench step": Command(
        "physkit.bench.step",
        "BenchStepConfig",
        "run",
        "frames a second of the one-frame step, beside the released files",
    ),
    "bench soak": Command(
        "physkit.bench.soak",
        "BenchSoakConfig",
        "run",
        "hours of frames through a session: drift, NaN, memory, exact resumption",
    ),
    "bench chunk": Command(
        "physkit.bench.network",
        "BenchChunkConfig",
        "chunk",
        "frames a second of FacePhys in chunks, beside its bare convolutions",
        positional=False,
    ),
    "bench train": Command(
        "physkit.bench.network",
        "BenchTrainConfig",
        "train",
        "frames a second and memory of training, beside its bare convolutions",
        positional=False,
    ),
    "bench prep": Command(
        "physkit.bench.prep",
        "BenchPrepConfig",
        "run",
        "frames a second of preparing a recording, beside an OpenCV loop",
        positional=False,
    ),
    "serve": Command(
        "physkit.pipelines.serve",
        "ServeConfig",
        "run",
        "the web page, to this computer's own browser: pulse from its camera or a video",
    ),
    "weights list": Command(
        "physkit.pipelines.weights",
        "ListConfig",
        "list_weights",
        "weights that physkit knows by name, and which are at hand",
    ),
    "weights pull": Command(
        "physkit.pipelines.weights",
        "PullConfig",
        "pull",
        "fetch weights by name from their public origin, by checksum",
    ),
    "weights import": Command(
        "physkit.pipelines.weights",
        "ImportConfig",
        "import_weights",
        "released weights to our format (safetensors)",
    ),
    "doctor": Command(
        "physkit.pipelines.doctor",
        "DoctorConfig",
        "run",
        "versions, devices, and what is usable here and why not",
    ),
    "demo": Command(
        "physkit.pipelines.demo",
        "DemoConfig",
        "run",
        "read a drawn clip, then train and test small networks on drawn data sets",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0: all was done; 2: bad usage or bad input, told in one line.

    A result that knows of work left undone says so itself by its `exit_status`, 1.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _dispatch(words)
        sys.stdout.flush()  # here, so that a full disk or a closed pipe is told here too
        return status
    except PhyskitError as error:
        print(f"physkit: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt as error:
        print(": ".join(["physkit: interrupted", *map(str, error.args)]), file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _abandon_output()
        return 0
    except OSError as error:
        print(f"physkit: output cannot be written ({error})", file=sys.stderr)
        _abandon_output()
        return EXIT_BAD_INPUT


def _abandon_output() -> None:
    """Nobody takes our output any more; Python must not try to flush it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print("\n".join(_overview(COMMANDS)))
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(version("physkit"))
        return 0
    name, rest = _command_name(words)
    if name is None:
        group = {key: value for key, value in COMMANDS.items() if key.split()[0] == words[0]}
        if rest[:1] not in (["-h"], ["--help"]):
            names = ", ".join(key.split()[1] for key in group)
            raise PhyskitError(f"{words[0]}: which one? give one of {names} (--help)")
        print("\n".join(_overview(group)))
        return 0
    return _run(name, COMMANDS[name], rest)


def _overview(commands: dict[str, Command]) -> list[str]:
    width = max(len(name) for name in commands)
    return [
        "usage: physkit COMMAND [OPTIONS]      (physkit COMMAND --help shows the options)",
        "",
        *(f"  {name:{width}s}  {command.summary}" for name, command in commands.items()),
        "",
        "Every command takes --json (print one JSON object) and --config FILE (options as YAML).",
    ]


def _command_name(words: list[str]) -> tuple[str | None, list[str]]:
    """The command that the words begin with (None: only its group is named), and the other words.

    Raises UnknownNameError with the nearest command.
    """
    if words[0] in COMMANDS:
        return words[0], words[1:]
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    if words[0] not in groups:
        raise unknown_name("command", words[0], {name.split()[0] for name in COMMANDS})
    if len(words) == 1 or words[1].startswith("-"):
        return None, words[1:]
    name = " ".join(words[:2])
    if name not in COMMANDS:
        known = [key.split()[1] for key in COMMANDS if key.split()[0] == words[0]]
        raise unknown_name(f"{words[0]} command", words[1], known)
    return name, words[2:]


def _run(name: str, command: Command, words: list[str]) -> int:
    config, as_json = read_options(name, words)
    run = getattr(importlib.import_module(command.module), command.run)
    shows_progress = "progress" in inspect.signature(run).parameters
    result = run(config, **({"progress": True} if shows_progress else {}))
    if as_json:
        print(json.dumps(result.to_dict(), allow_nan=False))
    else:
        print("\n".join(result.lines()))
    return getattr(result, "exit_status", 0)


def read_options(name: str, words: Sequence[str]) -> tuple[Any, bool]:
    """The config of a command, as the words after its name describe it; whether JSON was asked for.

    Raises PhyskitError for words that describe none.
    """
    from physkit.core.parse import parse_words

    command = COMMANDS[name]
    config_class = getattr(importlib.import_module(command.module), command.config)
    return parse_words(
        config_class,
        words,
        command=name,
        summary=command.summary,
        positional=command.positional,
        moved=getattr(sys.modules[config_class.__module__], "MOVED", None),
    )


if __name__ == "__main__":
    sys.exit(main())
