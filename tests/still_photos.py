"""Labels of people beside videos of still photos: pairs that have nothing to do with each other.

    python tests/still_photos.py [PAIRS]

counts the recordings of 20 s in which the audit finds a lag, a drift or an inverted label all the
same. `docs/audit.md` has the figures.
"""

import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np

from physkit.audit.across import settle_lags
from physkit.audit.evidence import Audited, judge, watch
from physkit.core.types import Pulse
from physkit.inference.crops import TimedCrop
from physkit.synth.pulse import PulseConfig, draw_heartbeats, pulse_at

FPS, LABEL_HZ = 30.0, 60.0
SKIN_RGB = np.array([190.0, 140.0, 120.0])
FALSE = {"lag", "clock-drift", "label-inverted"}


def still_photo(rng: np.random.Generator, *, duration_s: float) -> Iterator[TimedCrop]:
    """A face that does not change, with the noise of a sensor and of a lamp."""
    face = SKIN_RGB + rng.normal(0, 8, (8, 8, 3))
    for index in range(round(duration_s * FPS)):
        picture = face + rng.normal(0, 3, face.shape) + rng.normal(0, 0.15, 3)
        yield TimedCrop(index / FPS, np.clip(picture, 0, 255).astype(np.uint8), 0)


def label(rng: np.random.Generator, *, duration_s: float) -> Pulse:
    """What a finger's sensor shows of somebody."""
    config = PulseConfig(heart_rate_bpm=float(rng.uniform(48, 120)))
    beats = draw_heartbeats(config, duration_s=duration_s, rng=rng)
    times_s = np.arange(0, duration_s, 1 / LABEL_HZ)
    return Pulse(pulse_at(beats, times_s, config=config), times_s)


def audited_pair(seed: int, *, duration_s: float = 20.0) -> Audited:
    """One unrelated pair as the audit of its recording sees it."""
    rng = np.random.default_rng(seed)
    video = watch(still_photo(rng, duration_s=duration_s))
    truth = label(rng, duration_s=duration_s)
    return judge(f"pair{seed}", subject=str(seed), video=video, label=truth, found=())


def false_findings(n_pairs: int) -> dict[str, set[str]]:
    """What is found in unrelated pairs, by pair; none where all is well."""
    pairs = settle_lags([audited_pair(seed) for seed in range(n_pairs)])
    found = {a.summary.recording: {f.check for f in a.findings} & FALSE for a in pairs}
    return {name: checks for name, checks in found.items() if checks}


if __name__ == "__main__":
    n_pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    found = false_findings(n_pairs)
    counts = Counter(check for checks in found.values() for check in checks)
    sys.stdout.write(f"{len(found)} of {n_pairs} pairs: {dict(counts)}\n")
