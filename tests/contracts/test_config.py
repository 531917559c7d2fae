"""Configuration: pieces that compose, files that repeat themselves, and texts that attack."""

import dataclasses
import importlib
import itertools
import subprocess
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from physkit.cli import COMMANDS, main, read_options
from physkit.core.config import all_blocks, decisive, option_names, to_yaml
from physkit.core.errors import PhyskitError
from physkit.core.parse import make_parser, read_config
from physkit.models import CONFIGS

REPOSITORY = Path(__file__).parents[2]
PIECES = sorted((REPOSITORY / "configs").glob("*/*.yaml"))
RECIPES = sorted((REPOSITORY / "recipes").glob("*/*.yaml"))
MOST_EQUAL_LINES = 3
WORDS = ["--out", "x", "--stores", "{s: {store: s.zarr}}", "--trainer.max_steps", "1"]
ATTACKS = {
    "a class that runs a command": "{class_path: subprocess.Popen, init_args: {args: [touch, %s]}}",
    "a module that has effects": "trap.Trap",
    "a class of a module that has effects": "{class_path: trap.Trap, init_args: {}}",
    "a tag": "!!python/object/apply:os.system ['touch %s']",
    "a bomb of aliases": "[&a [1, 1], &b [*a, *a], &c [*b, *b], *c]",
    "brackets": "[" * 100_000,
    "blocks": "- " * 100_000,
    "30 digits": "9" * 30,
    "10,000 digits": "9" * 10_000,
    "a NUL byte": '"a\0b"',
}
OF_A_FIELD = [name for name in ATTACKS if "class" in name or "module" in name]
"""What the type of a field decides on; the others are refused before any field is looked at."""


def recipe(path: Path, *words: str) -> Any:
    kind = "fit" if "physkit fit --config" in path.read_text() else "crossdomain"
    config, _ = read_options(kind, ["--config", str(path), *words])
    return config


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_recipe_is_written_out_and_read_as_an_equal_one(path: Path, tmp_path: Path) -> None:
    config = recipe(path)
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert read_config(type(config), tmp_path / "config.yaml") == config


@pytest.mark.parametrize("path", PIECES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_piece_is_read_by_a_command_and_says_when_to_choose_it(path: Path) -> None:
    block, text = path.parent.name, path.read_text()
    assert text.startswith("# ")
    command = "audit" if block == "face" else "fit"
    words = [] if block == "stores" else ["--stores", "{s: {store: s.zarr}}"]
    words = ["x"] if command == "audit" else ["--out", "x", *words, "--trainer.max_steps", "1"]
    config, _ = read_options(command, [*words, f"--{block}", str(path)])
    given = yaml.safe_load(text)
    made = yaml.safe_load(to_yaml(config))[block]
    for key, value in given.get("init_args", given).items():
        kept = made.get("init_args", made)[key]
        assert value.items() <= kept.items() if isinstance(value, dict) else kept == value


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in PIECES} - {"stores"}))
def test_pieces_of_a_block_state_the_same_fields_so_that_one_replaces_another(folder: str) -> None:
    given = [yaml.safe_load(p.read_text()) for p in PIECES if p.parent.name == folder]
    if folder != "model":
        assert len({frozenset(piece) for piece in given}) == 1
        return
    fields = {
        CONFIGS[n].__name__: {f.name for f in dataclasses.fields(CONFIGS[n])} for n in CONFIGS
    }
    for piece in given:
        own = fields.pop(piece["class_path"])
        shared = own & set().union(*fields.values())
        fields[piece["class_path"]] = own
        assert shared <= set(piece["init_args"])


def own_lines(path: Path) -> list[str]:
    """What a recipe says itself: without comments, blanks, and names of pieces."""
    lines = (line.split(" #")[0].rstrip() for line in path.read_text().splitlines())
    return [line for line in lines if line and line[0] != "#" and "../configs/" not in line]


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(RECIPES, 2)))
def test_recipes_share_no_block_of_values(one: Path, other: Path) -> None:
    n = MOST_EQUAL_LINES + 1
    blocks = [
        {tuple(lines[i : i + n]) for i in range(len(lines) - n + 1)}
        for lines in (own_lines(one), own_lines(other))
    ]
    assert not blocks[0] & blocks[1]


@pytest.mark.parametrize("way", ["file", "flag"])
def test_changing_one_augmentation_keeps_all_others(way: str, tmp_path: Path) -> None:
    path = REPOSITORY / "recipes" / "facephys_checkpoint" / "small.yaml"
    before = recipe(path)
    (tmp_path / "second.yaml").write_text("data: {augment: {flip: 0.9}}")
    words = ["--config", str(tmp_path / "second.yaml")]
    after = recipe(path, *(words if way == "file" else ["--data.augment.flip", "0.9"]))
    augment = dataclasses.replace(before.data.augment, flip=0.9)
    assert after == dataclasses.replace(
        before, data=dataclasses.replace(before.data, augment=augment)
    )


def test_a_piece_given_by_flag_replaces_that_of_the_recipe() -> None:
    path = REPOSITORY / "recipes" / "facephys_pure" / "recipe.yaml"
    piece = REPOSITORY / "configs" / "model" / "physnet.yaml"
    config = recipe(path, "--model", str(piece), "--data.n_frames", "128")
    assert (type(config.model).__name__, config.model.height) == ("PhysNetConfig", 72)
    assert (config.data.n_frames, config.data.batch_size) == (128, 8)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_windows_editors_are_read_and_utf_16_is_named(
    encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "adam.yaml").write_bytes("lr: 0.25\r\n".encode(encoding))
    (tmp_path / "prep.yaml").write_bytes("dataset: ubfc\r\nraw: /a\r\n".encode(encoding))
    (tmp_path / "recipe.yaml").write_text("optim: ./adam.yaml\n")

    def prep() -> Any:
        config = str(tmp_path / "prep.yaml")
        return read_options("prep", ["--config", config, "--out", "b.zarr"])[0]

    def fit() -> Any:
        return read_options("fit", ["--config", str(tmp_path / "recipe.yaml"), *WORDS])[0]

    if encoding == "utf-8-sig":
        assert prep().raw == "/a"
        assert fit().optim.lr == 0.25
        return
    with pytest.raises(PhyskitError, match=r"prep\.yaml: UTF-16 text, .*; save it as UTF-8"):
        prep()
    with pytest.raises(PhyskitError, match=r"recipe\.yaml: a file that it names is UTF-16 text"):
        fit()


def test_what_never_decides_weights_is_not_decisive() -> None:
    config, _ = read_options("fit", [*WORDS])
    other, _ = read_options("fit", ["--run.plots", "9", "--trainer.devices", "2", *WORDS])
    longer, _ = read_options("fit", [*WORDS, "--trainer.max_steps", "2"])
    assert decisive(config) == decisive(other) != decisive(longer)
    assert decisive(config, to_go_on=True) == decisive(longer, to_go_on=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: absent.yaml", "recipe.yaml: data: absent.yaml: no such file"),
        ("data: configs/model/facephys.yaml", "is no piece of data; see configs/data"),
        ("data: {n_framez: 9}", "did you mean 'data.n_frames'"),
        ("data: {augment: {flipp: 1}}", "did you mean 'flip'"),
        ("data: {n_frames: many}", "recipe.yaml: data.n_frames: expected int, got many"),
        ("data.n_frames: 9", "nest it, as data: {n_frames: ...}"),
        ("data: {n_frames: 9, n_frames: 10}", "'n_frames' is given twice"),
        ("data: {file}", "files include each other in a circle"),
        ("model: {class_path: FacePhysConfig, init_args: {frames: 9}}", "unknown option 'frames'"),
        ("model: {class_path: FacePhysConfig, init_args: {channels: 7}}", "multiple of 8"),
        ("model: NoSuchConfig", "known are FacePhysConfig, PhysNetConfig"),
        ("windows: {n_frames: 9}", "'windows' is now data"),
        ("max_steps: 9\nresume: true", "'max_steps' is now trainer.max_steps"),
        ("version: 99", "version 99: of a newer physkit"),
        ("run: {plugins: true}", "cannot be set by a file"),
        ("stores: {s: {store: s.zarr, train: [1, 2]}}", "expected names in quotes as a list"),
        ("stores: {s: {store: s.zarr, split: pure, train: [a]}}", "give one of both"),
        ("optim: {lr: -1}", "recipe.yaml: optim: lr is -1.0"),
        ("- a list", "config"),
    ],
)
def test_a_config_that_is_wrong_is_one_line_with_file_key_and_fix(
    text: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    path = tmp_path / "recipe.yaml"
    path.write_text(text.replace("{file}", str(path)).replace("configs/", f"{REPOSITORY}/configs/"))
    assert main(["fit", *WORDS, "--config", str(path)]) == 2
    answer = capsys.readouterr()
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert answer.out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_no_config_holds_just_anything(command: str) -> None:
    module = importlib.import_module(COMMANDS[command].module)
    config_class = getattr(module, COMMANDS[command].config)
    for block in {config_class, *all_blocks(config_class)}:
        assert block.__dataclass_params__.frozen
        assert not [h for h in typing.get_type_hints(block).values() if "Any" in str(h)]


@pytest.mark.slow
@pytest.mark.parametrize("command", [n for n in COMMANDS if n not in ("validate", "test")])
def test_no_field_of_any_config_runs_or_imports_what_a_file_says(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched, path = tmp_path / "touched", tmp_path / "config.yaml"
    (tmp_path / "trap.py").write_text(f"open({str(touched)!r}, 'w')\nTrap = object")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("physkit.core.parse.make_parser", cache_by_command(make_parser))
    module = importlib.import_module(COMMANDS[command].module)
    names = list(option_names(getattr(module, COMMANDS[command].config)))
    for name in names:
        for attack, value in ATTACKS.items():
            if attack not in OF_A_FIELD and name not in (names[0], names[-1]):
                continue
            value = value.replace("%s", str(touched))
            for key in reversed(name.split(".")):
                value = f"{key}:\n  " + value.replace("\n", "\n  ")
            path.write_text(value)
            began_s = time.process_time()
            refusal = None
            try:
                read_options(command, ["--config", str(path)])
            except PhyskitError as error:
                refusal = str(error)
            assert refusal is None or len(refusal.splitlines()) == 1, (name, attack)
            assert time.process_time() - began_s < 1.0, (name, attack)
            assert not touched.exists(), (name, attack)
            assert "trap" not in sys.modules, (name, attack)
            assert refusal or attack == "a module that has effects", (name, attack)


def cache_by_command(make: Callable[..., Any]) -> Callable[..., Any]:
    made: dict[str, Any] = {}

    def cached(config_class: type, *, command: str, **options: Any) -> Any:
        if command not in made:
            made[command] = make(config_class, command=command, **options)
        return made[command]

    return cached


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_ends_a_command_in_one_line_and_a_second(attack: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"model: {ATTACKS[attack]}".replace("%s", str(tmp_path / "touched")))
    words = [sys.executable, "-m", "physkit.cli", "fit", *WORDS, "--config", str(path)]
    answer = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "touched").exists()
