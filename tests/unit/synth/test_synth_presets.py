"""Presets draw parameters for people and sessions, and go through their conditions."""

import dataclasses
import json
import pickle

import numpy as np
import pytest

from physkit.core.errors import InputError, UnknownNameError
from physkit.data.readers.mmpd import PROTOCOL
from physkit.data.readers.pure import TASKS
from physkit.synth.parameters import SynthParameters
from physkit.synth.plan import RecordingPlan, plan_recording
from physkit.synth.presets import PRESETS


def planned(preset: str, subject: int = 1, turn: int = 0, layout: str = "ubfc") -> RecordingPlan:
    return plan_recording(
        preset,
        layout=layout,
        seed=5,
        subject=subject,
        turn=turn,
        duration_s=30.0,
        width=640,
        height=480,
        fps=30.0,
    )


def test_no_two_groups_share_the_name_of_a_dial() -> None:
    groups = [
        getattr(SynthParameters(), field.name) for field in dataclasses.fields(SynthParameters)
    ]
    assert len(SynthParameters().flat()) == sum(len(dataclasses.fields(group)) for group in groups)


def test_a_misspelt_dial_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'gamma'"):
        SynthParameters().changed({"gama": 2.0})


def test_a_misspelt_preset_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'ubfc-like'"):
        planned("ubfclike")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_draws_usable_dials_that_json_can_hold(preset: str) -> None:
    for subject in range(1, 25):
        plan = planned(preset, subject)
        for told in (plan.conditions, plan.drawn):
            assert json.loads(json.dumps(told)) == told
        assert set(plan.parameters.flat()) <= set(plan.drawn)
        assert not set(plan.parameters.flat()) & set(plan.conditions)
        assert plan.conditions["preset"] == preset


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_recording_is_drawn_again(preset: str) -> None:
    assert planned(preset, 3) == planned(preset, 3)
    assert pickle.loads(pickle.dumps(planned(preset, 3))) == planned(preset, 3)
    assert planned(preset, 3).parameters != planned(preset, 4).parameters


def test_a_person_keeps_face_and_skin_through_all_sessions() -> None:
    first, second = (planned("mmpd-like", 2, turn).parameters for turn in (0, 1))
    assert (first.skin, first.face.glasses) == (second.skin, second.face.glasses)
    assert first.pulse.heart_rate_bpm != second.pulse.heart_rate_bpm


def test_a_few_people_cover_all_conditions() -> None:
    assert {planned("pure-like", s).combination["task"] for s in range(1, 7)} == set(TASKS)
    seen = {tuple(planned("mmpd-like", s).combination.values()) for s in range(1, 21)}
    assert len(seen) == 20
    assert {light for light, _ in seen} == {light for light, _ in PROTOCOL}


def test_in_pures_layout_the_session_is_the_task() -> None:
    for turn in range(6):
        plan = planned("pure-like", 3, turn, layout="pure")
        assert TASKS[plan.session] == plan.combination["task"]
    with pytest.raises(InputError, match="6 sessions"):
        planned("pure-like", 3, 6, layout="pure")
    assert planned("pure-like", 3, 0, layout="ubfc").session == 0


def test_mmpd_has_four_skin_types_and_says_so() -> None:
    plans = [planned("mmpd-like", subject) for subject in range(1, 41)]
    assert {plan.conditions["skin_color"] for plan in plans} == {3, 4, 5, 6}


def test_clean_recordings_cover_skins_and_hearts() -> None:
    parameters = [planned("clean", subject).parameters for subject in range(1, 61)]
    skins = [d.skin.fitzpatrick for d in parameters]
    rates = [d.pulse.heart_rate_bpm for d in parameters]
    assert min(skins) < 1.5
    assert max(skins) > 5.5
    assert min(rates) < 55
    assert max(rates) > 165


def test_graded_dials_go_evenly_from_easy_to_hard() -> None:
    graded = np.log([planned("ubfc-like", s).parameters.motion.sway for s in range(1, 41)])
    gaps = np.diff(np.sort(graded)) / np.ptp(graded)
    assert gaps.max() < 0.08
