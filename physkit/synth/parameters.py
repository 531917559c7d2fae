"""Every setting of a synthetic recording, grouped by cause and flat."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from physkit.core.registry import unknown_name
from physkit.synth.camera import CameraConfig
from physkit.synth.face import FaceConfig
from physkit.synth.light import LightConfig
from physkit.synth.motion import MotionConfig
from physkit.synth.pulse import PulseConfig
from physkit.synth.skin import SkinConfig


@dataclass(frozen=True)
class SynthParameters:
    """One person, one lamp, one camera. No two groups share a name of a parameter."""

    pulse: PulseConfig = field(default_factory=PulseConfig)
    """The heart."""
    skin: SkinConfig = field(default_factory=SkinConfig)
    """The skin."""
    face: FaceConfig = field(default_factory=FaceConfig)
    """The person."""
    motion: MotionConfig = field(default_factory=MotionConfig)
    """The head's motion."""
    light: LightConfig = field(default_factory=LightConfig)
    """The lamps."""
    camera: CameraConfig = field(default_factory=CameraConfig)
    """The camera."""

    def flat(self) -> dict[str, Any]:
        """All parameters by name."""
        return {
            name: getattr(getattr(self, group), parameter)
            for name, (group, parameter) in _names().items()
        }

    def changed(self, values: Mapping[str, Any]) -> "SynthParameters":
        """These parameters with some set anew, by flat name; raises UnknownNameError for others."""
        names = _names()
        groups: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if name not in names:
                raise unknown_name("parameter", name, names)
            group, parameter = names[name]
            groups.setdefault(group, {})[parameter] = value
        changed = {
            group: dataclasses.replace(getattr(self, group), **parameters)
            for group, parameters in groups.items()
        }
        return dataclasses.replace(self, **changed)


def _names() -> dict[str, tuple[str, str]]:
    """Flat names, each with its group and the name within it."""
    names: dict[str, tuple[str, str]] = {}
    for group in dataclasses.fields(SynthParameters):
        for parameter in dataclasses.fields(group.default_factory):  # type: ignore[arg-type]
            names[parameter.name] = (group.name, parameter.name)
    return names
