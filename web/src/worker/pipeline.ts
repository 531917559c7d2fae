/** One source's way from pictures to pulse: face, crop, network, report. */

import { pixels, type Box } from '../face/box';
import { CentreTracker, LiveTracker, LookaheadTracker, type Tracked, type Tracker } from '../face/track';
import type { FaceDetector } from '../face/detector';
import type { Picture } from '../media/picture';
import { PulseStream } from '../pulse/stream';
import type { PulseNetwork } from '../runtime/litert';
import type { Finding, Report } from './messages';

/** As FacePhys' warmup_s. */
const WARMUP_S = 2;
const RATE_WINDOW_MS = 1000;
const SMOOTHING = 0.05;

export class Pipeline {
  private readonly tracker: Tracker;
  private readonly stream: PulseStream;
  private samples: Report['samples'] = [];
  private handledMs: number[] = [];
  private readonly beganMs = performance.now();
  private stepMs = 0;
  private brightness: number | null = null;
  /** The face as it was last seen. */
  face: Box | null = null;
  nFrames = 0;

  constructor(
    private readonly network: PulseNetwork,
    detector: FaceDetector | null,
    finding: Finding,
    private readonly isLive: boolean,
  ) {
    if (finding === 'centre' || !detector) this.tracker = new CentreTracker();
    else this.tracker = isLive ? new LiveTracker(detector) : new LookaheadTracker(detector);
    const timed = {
      reset: () => network.reset(),
      step: async (crop: Float32Array, dtS: number) => {
        const beganMs = performance.now();
        const pulse = await network.step(crop, dtS);
        const tookMs = performance.now() - beganMs;
        this.stepMs += (this.stepMs ? SMOOTHING : 1) * (tookMs - this.stepMs);
        return pulse;
      },
    };
    this.stream = new PulseStream(timed, isLive ? 0 : WARMUP_S);
  }

  async push(picture: Picture, timeS: number): Promise<void> {
    for (const tracked of await this.tracker.push({ picture, timeS })) await this.take(tracked);
  }

  async finish(): Promise<void> {
    for (const tracked of await this.tracker.finish()) await this.take(tracked);
    this.deliver(await this.stream.finish());
  }

  private deliver(samples: Report['samples']): void {
    this.samples.push(...samples);
    this.nFrames += samples.length;
  }

  /** What happened since the last call. */
  report(latencyMs: number | null, progress: number | null): Report {
    const samples = this.samples;
    this.samples = [];
    return {
      samples,
      nFrames: this.nFrames,
      framesPerS: this.framesPerS(),
      stepMs: this.stepMs,
      latencyMs,
      hasFace: this.face !== null,
      brightness: this.brightness,
      progress,
    };
  }

  /** Of a file the mean so far, the second reading of its begin included; of a camera of late. */
  framesPerS(): number {
    const times = this.handledMs;
    const nowMs = performance.now();
    if (!this.isLive) return (1000 * this.nFrames) / (nowMs - this.beganMs);
    return times.length > 1 ? (1000 * (times.length - 1)) / (nowMs - times[0]) : 0;
  }

  private async take({ picture, box, timeS, segment }: Tracked): Promise<void> {
    const { width, height } = this.network.card;
    let crop: Float32Array | null = null;
    if (box) {
      crop = picture.shrunk(pixels(box, picture.width, picture.height), width, height);
      for (let i = 0; i < crop.length; i++) crop[i] /= 255;
    }
    this.face = box;
    this.brightness = crop && crop.reduce((a, b) => a + b, 0) / crop.length;
    this.deliver(await this.stream.push({ timeS, pixels: crop, segment }));
    const nowMs = performance.now();
    this.handledMs.push(nowMs);
    while (this.handledMs[0] < nowMs - RATE_WINDOW_MS) this.handledMs.shift();
  }
}
