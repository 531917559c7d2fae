"""The parameters of each recording: subject by subject, session by session."""

from collections.abc import Mapping
from dataclasses import dataclass

from physkit.core.errors import InputError
from physkit.data.formats.truth import Truth
from physkit.data.readers.base import NewRecording
from physkit.data.recording import Condition
from physkit.synth.generate import Seed, Synthesis
from physkit.synth.parameters import SynthParameters
from physkit.synth.presets import find_preset
from physkit.synth.streams import Streams


@dataclass(frozen=True)
class RecordingPlan:
    """Everything that a recording is made from; can be pickled."""

    preset: str
    """Name of the preset."""
    seed: int
    """Seed of the whole set."""
    subject: int
    """The person's number, from 1."""
    session: int
    """Which of the person's recordings, from 0."""
    combination: Mapping[str, str]
    """Conditions of the preset, by column."""
    parameters: SynthParameters
    """What was drawn."""
    duration_s: float
    """Length in seconds."""

    @property
    def conditions(self) -> dict[str, Condition]:
        """The condition columns of data sets, and the preset."""
        parameters = self.parameters
        return {
            **self.combination,
            "skin_color": round(parameters.skin.fitzpatrick),
            "glasser": parameters.face.glasses,
            "makeup": parameters.face.makeup_cover > 0,
            "hair_cover": parameters.face.fringe > 0,
            "exercise": parameters.pulse.recovery_bpm > 0,
            "preset": self.preset,
        }

    @property
    def drawn(self) -> dict[str, Condition]:
        """Every parameter, and the origin of the recording."""
        return {
            **self.parameters.flat(),
            "seed": self.seed,
            "subject_number": self.subject,
            "session_number": self.session,
        }

    def synthesis(self) -> Synthesis:
        """The synthetic recording. Raises InputError where it would hold under two beats."""
        person = (self.seed, self.subject)
        seed = Seed(person, (*person, self.session))
        return Synthesis(self.parameters, duration_s=self.duration_s, seed=seed)

    def new_recording(self, synthesis: Synthesis) -> NewRecording:
        """The recording as a reader writes it."""
        camera = self.parameters.camera
        return NewRecording(
            subject=self.subject,
            session=self.session,
            conditions=self.conditions,
            width=camera.width,
            height=camera.height,
            fps=camera.fps,
            duration_s=self.duration_s,
            frames=synthesis.frames(),
            measure=synthesis.measure,
        )

    def truth(self, synthesis: Synthesis) -> Truth:
        """The true values, which are stored beside the recordings."""
        return Truth(
            conditions=self.conditions,
            parameters=self.drawn,
            heart_rate_bpm=synthesis.heart_rate_bpm,
            beat_times_s=synthesis.beat_times_s,
            pulse=synthesis.pulse,
            face_boxes=synthesis.face_boxes,
        )


GOLDEN = 0.5 * (5**0.5 - 1)
"""Multiples of it, modulo 1, never repeat and are evenly spread for any number of them."""


def plan_recording(
    preset: str,
    *,
    layout: str,
    seed: int,
    subject: int,
    turn: int,
    duration_s: float,
    width: int,
    height: int,
    fps: float,
) -> RecordingPlan:
    """The `turn`-th recording (from 0) of a person (from 1).

    Each person starts one condition later than the person before, so a few people with one
    recording each cover the conditions of the preset. Where `layout` is the data set in which the
    preset numbers its conditions, the session has that number.

    Raises UnknownNameError for the preset's name, InputError for a turn too many.
    """
    found = find_preset(preset)
    index = (subject - 1 + turn) % found.n_combinations
    combination = found.combination(index)
    session = index if layout == found.numbered_in else turn
    if layout == found.numbered_in and turn >= found.n_combinations:
        raise InputError(f"{layout}: a person has {found.n_combinations} sessions, not {turn + 1}")
    drawn = found.draw(
        combination,
        place=_place(seed, subject, turn, found.n_combinations),
        person=Streams(seed, subject),
        session=Streams(seed, subject, session),
    )
    camera = {"width": width, "height": height, "fps": fps}
    return RecordingPlan(
        preset=preset,
        seed=seed,
        subject=subject,
        session=session,
        combination=combination,
        parameters=SynthParameters().changed({**drawn, **camera}),
        duration_s=duration_s,
    )


def _place(seed: int, subject: int, turn: int, n_combinations: int) -> float:
    """Position of a recording for `Graded` parameters, 0 to 1.

    Recordings of the same conditions are evenly spread, and recordings of one person differ.
    """
    start = float(Streams(seed).of("grade").uniform())
    rounds, condition = divmod(subject - 1 + turn, n_combinations)
    return (start + GOLDEN * (rounds + 7 * turn) + condition / n_combinations) % 1.0
