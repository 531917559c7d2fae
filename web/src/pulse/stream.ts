/** From crops with gaps to a pulse on the true clock; same code as physkit/inference/stream.py. */

/** A face unseen for longer starts anew. */
const MAX_GAP_S = 0.5;
/** Duration of a lone frame, of which no neighbour tells. */
const NOMINAL_DT_S = 1 / 30;

/** What the stream drives: PulseNetwork, or a stand-in for it. */
export interface Stepper {
  reset(): void;
  step(crop: Float32Array, dtS: number): Promise<number>;
}

export interface Crop {
  timeS: number;
  /** RGB in [0, 1]; null where there is no face. */
  pixels: Float32Array | null;
  /** Number of the unbroken stretch of one face. */
  segment: number;
}

export interface Sample {
  timeS: number;
  /** NaN where no face was seen. */
  pulse: number;
}

/**
 * Crops in, in order of time; a sample for each out, in order. A new segment or a long gap begins
 * a new stretch. A stretch's first `warmupS` seconds are read twice: once to settle the state.
 */
export class PulseStream {
  private waiting: Crop[] = [];
  private isSettled = false;
  private lastSeenS: number | null = null;
  /** When the network last took a crop of this stretch. */
  private steppedS: number | null = null;
  private segment = -1;

  constructor(
    private readonly network: Stepper,
    private readonly warmupS: number,
  ) {}

  async push(crop: Crop): Promise<Sample[]> {
    const given: Sample[] = [];
    if (crop.pixels && this.isNewStretch(crop)) {
      given.push(...(await this.finish()));
      this.network.reset();
      this.isSettled = this.warmupS <= 0;
      this.steppedS = null;
    }
    if (crop.pixels) [this.segment, this.lastSeenS] = [crop.segment, crop.timeS];
    this.waiting.push(crop);
    const begin = this.waiting.find(({ pixels }) => pixels);
    const isDue = !begin || this.isSettled || crop.timeS - begin.timeS >= this.warmupS;
    if (isDue) given.push(...(await this.finish()));
    return given;
  }

  /** The samples that are still missing. */
  async finish(): Promise<Sample[]> {
    const items = this.waiting;
    this.waiting = [];
    const seen = items.filter(({ pixels }) => pixels);
    if (seen.length && !this.isSettled) {
      const settling = seen.filter(({ timeS }) => timeS - seen[0].timeS <= this.warmupS);
      await this.run(settling, null, seen);
      this.isSettled = true;
      this.steppedS = null;
    }
    return this.run(items, this.steppedS, seen);
  }

  private async run(items: Crop[], before: number | null, seen: Crop[]): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const { timeS, pixels } of items) {
      let pulse = NaN;
      if (pixels) {
        // a stretch's first frame is taken to last like its second
        const firstS = seen.length > 1 ? seen[1].timeS - seen[0].timeS : NOMINAL_DT_S;
        pulse = await this.network.step(pixels, before === null ? firstS : timeS - before);
        before = timeS;
      }
      samples.push({ timeS, pulse });
    }
    this.steppedS = before;
    return samples;
  }

  private isNewStretch({ timeS, segment }: Crop): boolean {
    const last = this.lastSeenS;
    return last === null || segment !== this.segment || timeS - last > MAX_GAP_S;
  }
}
