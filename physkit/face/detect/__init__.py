"""Face detectors by name."""

from physkit.core.registry import Registry

DETECTORS = Registry(
    "detector",
    {
        "haar": "physkit.face.detect.haar:HaarDetector",
        "blazeface": "physkit.face.detect.blazeface:BlazeFaceDetector",
    },
    extras={"blazeface": "litert"},
)
