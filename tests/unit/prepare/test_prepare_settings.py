"""Settings of a preparation: equal exactly where the stored values would be."""

import hashlib
import json
from pathlib import Path

import pytest

from physkit.core.differences import differences
from physkit.core.errors import WeightsError
from physkit.face.config import FaceConfig
from physkit.prepare.settings import choose_crop_settings, stored_settings


def test_settings_are_plain_json_and_repeatable() -> None:
    settings = stored_settings(choose_crop_settings(FaceConfig("haar"), size_px=36))
    assert json.loads(json.dumps(settings)) == settings
    assert settings == stored_settings(choose_crop_settings(FaceConfig("haar"), size_px=36))
    assert settings["detector"]["name"] == "haar"
    assert settings["tracker"]["detect_every_s"] > 0


def test_what_differs_is_said() -> None:
    before = {"version": 1, "size_px": 36, "detector": {"name": "haar", "min_face": 0.1}}
    now = {"version": 1, "size_px": 72, "detector": {"name": "blazeface", "sha256": "ab"}}
    assert differences(before, now) == [
        "size_px 36 -> 72",
        "detector.name haar -> blazeface",
        "detector.sha256 none -> ab",
        "detector.min_face 0.1 -> none",
    ]
    assert differences(now, now) == []


def test_a_model_file_counts_by_its_contents(assets: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    model = assets / "faces" / "blaze_face_short_range.tflite"
    copy = tmp_path / "another.tflite"
    copy.write_bytes(model.read_bytes())
    settings = stored_settings(
        choose_crop_settings(FaceConfig("blazeface", str(model)), size_px=36)
    )
    assert settings == stored_settings(
        choose_crop_settings(FaceConfig("blazeface", str(copy)), size_px=36)
    )
    assert settings["detector"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()


def test_a_model_file_in_vain_or_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(b"no model")
    with pytest.raises(WeightsError, match="takes no model file"):
        choose_crop_settings(FaceConfig("haar", str(tmp_path / "x.tflite")), size_px=36)
    pytest.importorskip("ai_edge_litert")
    with pytest.raises(WeightsError, match=r"x\.tflite"):
        stored_settings(
            choose_crop_settings(FaceConfig("blazeface", str(tmp_path / "x.tflite")), size_px=36)
        )
