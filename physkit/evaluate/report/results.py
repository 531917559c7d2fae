"""Write a score's files, all or none."""

import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from physkit.core.errors import InputError
from physkit.evaluate.report.page import report_html
from physkit.evaluate.result import Score, plain
from physkit.evaluate.windows import WindowRow


def write_results(score: Score, out_dir: Path) -> None:
    """Write metrics.json, windows.parquet and report.html into a folder, made where absent.

    All three are finished beside the folder before the first is moved into it, so that a failure
    leaves nothing half-written. Raises InputError where the folder cannot be written.
    """
    if out_dir.exists() and not out_dir.is_dir():
        raise InputError(f"{out_dir}: is a file; name a folder for the results")
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    except OSError as error:
        raise InputError(f"{out_dir}: cannot be written ({error}); name another folder") from error
    try:
        _write_all(score, staging)
        out_dir.mkdir(exist_ok=True)
        for file in sorted(staging.iterdir()):
            os.replace(file, out_dir / file.name)
    except OSError as error:
        raise InputError(f"{out_dir}: cannot be written ({error}); name another folder") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_all(score: Score, folder: Path) -> None:
    text = json.dumps(score.to_dict(), indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    pq.write_table(_window_table(score.windows), folder / "windows.parquet")
    (folder / "report.html").write_text(report_html(score), encoding="utf-8")


def _window_table(windows: tuple[WindowRow, ...]) -> pa.Table:
    """A row a window; figures without a value are null; conditions are columns of their own."""
    own = [f.name for f in dataclasses.fields(WindowRow) if f.name != "conditions"]
    columns = {name: pa.array([plain(getattr(w, name)) for w in windows]) for name in own}
    for name in sorted({name for w in windows for name in w.conditions}):
        # a condition called like a figure must not replace it
        key = name if name not in columns else f"condition_{name}"
        columns[key] = pa.array([w.conditions.get(name) for w in windows])
    return pa.table(columns)
