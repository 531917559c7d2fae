"""Ablations and controls of a PhysLLM on one store, as a table in Markdown.

usage: ablations.py STORE OUT --model PIECE [--minutes 5] [--seeds 3] [--only NAME ...]

Every variant is trained for as many minutes, on the same people, and read on people whom nobody
was trained on. The controls change what the trained whole model is told. See README.md.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from physkit.cli import read_options
from physkit.data.store import open_store
from physkit.evaluate.scoring import score_recordings
from physkit.inference.recordings import predict_recordings, readable_recordings
from physkit.train.run.fit import fit
from physkit.train.run.sources import divided
from physkit.weights.load import load_model

VARIANTS = {
    "whole": [],
    "without DDS": ["--model.dds", "null"],
    "without visual tokens": ["--model.vision", "null"],
    "without prototypes": ["--model.prototypes", "null"],
    "without APL": ["--model.cues.compressors", "false"],
    "without cues": ["--model.cues", "null"],
    "without adapters": ["--model.language.lora", "null"],
    "language model re-initialised": ["--model.language.weights", "reinitialised"],
    "untrained transformer, trained": ["--model.language.weights", "untrained"],
    "no language model": [
        *("--model.language", "null", "--model.cues", "null", "--model.prototypes", "null"),
    ],
}
CONTROLS = ("wrong", "shuffled", "empty")
PROTOCOL = "physkit-1"


def figures(model: Any, store: str, people: list[str]) -> dict[str, float]:
    """Errors on these people, and how long a clip takes."""
    recordings, _ = readable_recordings(open_store(store), people)
    started = time.perf_counter()
    predicted, left_out = predict_recordings(
        recordings, model, chunk_frames=512, device="cpu", threads=None, progress=False
    )
    seconds = time.perf_counter() - started
    scored = score_recordings(
        predicted, protocol=PROTOCOL, window_s=None, hr="fft", left_out=left_out
    )
    metrics = scored.metrics
    n_frames = sum(recording.n_frames for recording in recordings)
    return {
        "mae_bpm": metrics.mae_bpm.value,
        "snr_db": metrics.snr_db.value,
        "frames_per_s": n_frames / seconds,
    }


def trained(name: str, args: argparse.Namespace, seed: int) -> tuple[Any, list[str]]:
    """The network of a variant, trained unless it was, and the people to test it on."""
    out = Path(args.out) / f"{name.replace(' ', '_').replace(',', '')}-{seed}"
    words = ["--config", args.config] if args.config else []
    words += ["--out", str(out), "--stores", f"{{a: {{store: {args.store}}}}}", "--seed", str(seed)]
    words += ["--model", args.model, "--trainer.max_minutes", str(args.minutes)]
    words += ["--run.resume", "true", *VARIANTS[name], *args.options]
    config, _ = read_options("fit", words)
    if not (out / "done").exists():
        fit(config)
        (out / "done").touch()
    people = [who for source in divided(config)["test"] for who in source.subjects or ()]
    return load_model("physllm", out / "last.safetensors"), people


def main() -> None:
    """Train, read and write table.md and table.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("out")
    parser.add_argument("--model", required=True, help="piece of configs/model")
    parser.add_argument("--config", help="recipe with data, optim and trainer")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("options", nargs="*", help="further options of physkit fit, after --")
    args = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.seeds):
        for name in args.only:
            model, people = trained(name, args, seed)
            n_trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
            with torch.no_grad():
                found.setdefault(name, []).append(
                    {**figures(model, args.store, people), "trained": n_trained}
                )
                if name != "whole":
                    continue
                for control in CONTROLS:
                    model.control = control
                    found.setdefault(f"told {control} cues", []).append(
                        {**figures(model, args.store, people), "trained": n_trained}
                    )
            physnet = load_model("physnet", Path(model.config.backbone))
            found.setdefault("frozen PhysNet", []).append(
                {**figures(physnet, args.store, people), "trained": 0}
            )
            Path(args.out, "table.json").write_text(json.dumps(found, indent=1))
    heads = ["variant", "MAE in bpm", "SNR in dB", "frames/s", "trained parameters"]
    rows = [heads, ["---"] * len(heads), *([name, *cells(runs)] for name, runs in found.items())]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    Path(args.out, "table.md").write_text(table)
    Path(args.out, "table.json").write_text(json.dumps(found, indent=1))
    print(table)  # noqa: T201


def cells(runs: list[dict[str, float]]) -> list[str]:
    """Means over seeds, with the standard deviation."""

    def told(name: str) -> str:
        values = [run[name] for run in runs]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.2f}{spread}"

    speed = statistics.mean(run["frames_per_s"] for run in runs)
    return [told("mae_bpm"), told("snr_db"), f"{speed:.0f}", f"{runs[0]['trained']:,.0f}"]


if __name__ == "__main__":
    main()
