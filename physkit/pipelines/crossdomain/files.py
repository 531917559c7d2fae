"""What a matrix leaves on disk beside its trainings and cells."""

import json

from physkit.core.files import whole_file
from physkit.pipelines.crossdomain.page import matrix_html
from physkit.pipelines.crossdomain.result import CrossdomainResult, matrix_csv


def write_results(result: CrossdomainResult) -> None:
    """Write matrix.json, matrix.csv and report.html. Raises InputError where that cannot be."""
    texts = {
        "matrix.json": json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n",
        "matrix.csv": matrix_csv(result.table()),
        "report.html": matrix_html(result),
    }
    for name, text in texts.items():
        with whole_file(result.out / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
