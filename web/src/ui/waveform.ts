/** The pulse as a line that runs from left to right. */

export interface Wave {
  timesS: number[];
  /** NaN where no face was seen: the line breaks. */
  samples: number[];
}

/** Room below for the seconds. */
const FOOT_PX = 18;
const LABEL_PX = 30;
const MARGIN = 0.08;
/** How fast the vertical scale follows, a share a drawing. */
const FOLLOW = 0.12;

export class Waveform {
  private readonly context: CanvasRenderingContext2D;
  private middle = 0;
  private reach = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext('2d')!;
  }

  reset(): void {
    this.reach = 0;
  }

  /** Draws the last `windowS` seconds. */
  draw({ timesS, samples }: Wave, windowS: number): void {
    const { context } = this;
    const [width, height] = this.fit();
    const ink = getComputedStyle(this.canvas);
    context.clearRect(0, 0, width, height);
    const last = timesS.length ? timesS[timesS.length - 1] : 0;
    const firstS = Math.max(last - windowS, timesS.length ? timesS[0] : 0);
    const x = (timeS: number) => ((timeS - firstS) / windowS) * width;
    this.grid(firstS, windowS, width, height, ink);
    if (!timesS.length) return;
    const from = timesS.findLastIndex((timeS) => timeS < firstS) + 1;
    this.scale(samples.slice(from));
    const room = height - FOOT_PX;
    const y = (value: number) => room * (0.5 - ((value - this.middle) / this.reach) * (0.5 - MARGIN));
    context.strokeStyle = ink.getPropertyValue('--pulse');
    context.lineWidth = windowS > 15 ? 1.6 : 2.4;
    context.lineJoin = context.lineCap = 'round';
    context.beginPath();
    let isBroken = true;
    for (let i = from; i < samples.length; i++) {
      if (Number.isNaN(samples[i])) isBroken = true;
      else {
        if (isBroken) context.moveTo(x(timesS[i]), y(samples[i]));
        else context.lineTo(x(timesS[i]), y(samples[i]));
        isBroken = false;
      }
    }
    context.stroke();
  }

  /** A line a second (or five), and the seconds below. */
  private grid(firstS: number, windowS: number, width: number, height: number, ink: CSSStyleDeclaration): void {
    const { context } = this;
    context.strokeStyle = ink.getPropertyValue('--line');
    context.fillStyle = ink.getPropertyValue('--quiet');
    context.font = `11px ${ink.fontFamily}`;
    context.lineWidth = 1;
    const everyS = windowS > 15 ? 5 : 1;
    for (let s = Math.ceil(firstS / everyS) * everyS; s <= firstS + windowS; s += everyS) {
      const at = Math.round(((s - firstS) / windowS) * width) + 0.5;
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, height - FOOT_PX);
      context.stroke();
      if (width - at > LABEL_PX) context.fillText(`${s} s`, at, height - 3);
    }
  }

  private scale(samples: number[]): void {
    const seen = samples.filter(Number.isFinite).sort((a, b) => a - b);
    if (!seen.length) return;
    // a single jump must not flatten the rest
    const low = seen[Math.floor(0.01 * (seen.length - 1))];
    const high = seen[Math.ceil(0.99 * (seen.length - 1))];
    const [middle, reach] = [(low + high) / 2, Math.max((high - low) / 2, 1e-6)];
    const share = this.reach === 0 || seen.length < 30 ? 1 : FOLLOW;
    this.middle += share * (middle - this.middle);
    this.reach += share * (reach - this.reach);
  }

  /** Matches the canvas to the screen; its size in CSS pixels. */
  private fit(): [number, number] {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) [this.canvas.width, this.canvas.height] = [w, h];
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return [width, height];
  }
}
