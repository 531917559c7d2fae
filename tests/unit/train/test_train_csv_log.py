"""The CSV log: rows that a resumed run goes on with."""

from pathlib import Path

from physkit.train.csv_log import CsvLog, read_csv_log


def test_rows_are_appended_with_gaps_where_nothing_is_known(tmp_path: Path) -> None:
    log = CsvLog(tmp_path / "m.csv", ("loss", "error"))
    log.log_metrics({"loss": 0.1 + 0.2}, step=1)
    log.log_metrics({"error": 5.0, "unheard": 1.0}, step=1)
    assert read_csv_log(tmp_path / "m.csv") == [
        {"step": "1", "loss": "0.30000000000000004", "error": ""},
        {"step": "1", "loss": "", "error": "5.0"},
    ]


def test_a_resumed_run_drops_what_came_after_its_state_and_half_rows(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n2", encoding="utf-8")
    log = CsvLog(path, ("loss",), after_step=2)
    assert path.read_text(encoding="utf-8").endswith("\n2")  # untouched until there is a new row
    log.log_metrics({"loss": 0.25}, step=3)
    assert [row["loss"] for row in read_csv_log(path)] == ["0.5", "0.4", "0.25"]


def test_a_new_run_begins_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("step,loss\n1,0.5\n", encoding="utf-8")
    CsvLog(path, ("loss",)).log_metrics({"loss": 1.0}, step=1)
    assert [row["loss"] for row in read_csv_log(path)] == ["1.0"]
