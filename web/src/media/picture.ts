/** One video frame as planes of bytes, upright, of which only the wanted part is converted. */

/** One channel: the byte of column x, row y is data[origin + x * stepX + y * stepY]. */
interface Plane {
  origin: number;
  stepX: number;
  stepY: number;
  width: number;
  height: number;
}

export type Rotation = 0 | 90 | 180 | 270;

/** From Y, U, V of 0 to 255 to R, G, B. */
interface Matrix {
  kr: number;
  kb: number;
  isFull: boolean;
}

const LUMA_STEPS = 219;
const CHROMA_STEPS = 224;
const GRID_PX = 32;
/** The standards' shares of red and blue in luma; BT.601 where a video names none. */
const SHARES: Record<string, [number, number]> = {
  bt709: [0.2126, 0.0722],
  'bt2020-ncl': [0.2627, 0.0593],
};
const BT601: [number, number] = [0.299, 0.114];

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}

export class Picture {
  readonly width: number;
  readonly height: number;

  private constructor(
    private readonly data: Uint8Array,
    private readonly planes: Plane[],
    private readonly matrix: Matrix | null,
  ) {
    this.width = planes[0].width;
    this.height = planes[0].height;
  }

  /** Copies a frame, which may then be closed. Throws an Error for one without readable pixels. */
  static async of(frame: VideoFrame, rotation: Rotation = 0): Promise<Picture> {
    const rect = frame.visibleRect ?? undefined;
    const { width, height } = rect ?? { width: frame.codedWidth, height: frame.codedHeight };
    if (frame.format === 'I420' || frame.format === 'NV12') {
      const data = new Uint8Array(frame.allocationSize({ rect }));
      const layout = await frame.copyTo(data, { rect });
      const stored = subsampled(frame.format, layout, width, height);
      return new Picture(data, turned(stored, rotation), matrixOf(frame.colorSpace));
    }
    const data = await packedPixels(frame, rect, width, height);
    const stored = [0, 1, 2].map((origin) => ({ origin, stepX: 4, stepY: 4 * width, width, height }));
    return new Picture(data, turned(stored, rotation), null);
  }

  /** RGB bytes, width x height x 3, each the mean of the area it covers; the area has whole edges. */
  shrunk(area: Area, width: number, height: number): Float32Array {
    const channels = this.planes.map((plane) => {
      const scaleX = plane.width === this.width ? 1 : 0.5;
      const scaleY = plane.height === this.height ? 1 : 0.5;
      const across = shares(area.x * scaleX, area.width * scaleX, width, plane.width);
      const down = shares(area.y * scaleY, area.height * scaleY, height, plane.height);
      return averaged(this.data, plane, across, down);
    });
    const rgb = new Float32Array(width * height * 3);
    for (let i = 0; i < width * height; i++) {
      const [a, b, c] = [channels[0][i], channels[1][i], channels[2][i]];
      const [red, green, blue] = this.matrix ? toRgb(a, b, c, this.matrix) : [a, b, c];
      rgb[3 * i] = whole(red);
      rgb[3 * i + 1] = whole(green);
      rgb[3 * i + 2] = whole(blue);
    }
    return rgb;
  }

  /** Brightness of about 32 x 32 single pixels, 0 to 255, by which cuts are found. */
  brightnessGrid(): Float32Array {
    const plane = this.planes[this.matrix ? 0 : 1];
    const stretch = this.matrix && !this.matrix.isFull ? 255 / LUMA_STEPS : 1;
    const everyX = Math.max(1, Math.floor(plane.width / GRID_PX));
    const everyY = Math.max(1, Math.floor(plane.height / GRID_PX));
    const values: number[] = [];
    for (let y = 0; y < plane.height; y += everyY)
      for (let x = 0; x < plane.width; x += everyX)
        values.push(stretch * this.data[plane.origin + x * plane.stepX + y * plane.stepY]);
    return Float32Array.from(values);
  }
}

const whole = (value: number): number => Math.min(Math.max(Math.round(value), 0), 255);

function subsampled(format: string, layout: PlaneLayout[], width: number, height: number): Plane[] {
  const half = { width: Math.ceil(width / 2), height: Math.ceil(height / 2) };
  const luma = { origin: layout[0].offset, stepX: 1, stepY: layout[0].stride, width, height };
  if (format === 'NV12') {
    const { offset, stride } = layout[1];
    return [luma, ...[0, 1].map((i) => ({ origin: offset + i, stepX: 2, stepY: stride, ...half }))];
  }
  const chroma = layout.slice(1, 3).map(({ offset, stride }) => ({
    origin: offset,
    stepX: 1,
    stepY: stride,
    ...half,
  }));
  return [luma, ...chroma];
}

/** RGBA of any other frame: converted by the browser, on a canvas where it cannot otherwise. */
async function packedPixels(
  frame: VideoFrame,
  rect: DOMRectReadOnly | undefined,
  width: number,
  height: number,
): Promise<Uint8Array> {
  if (frame.format !== null) {
    const options = { rect, format: 'RGBA' } as const;
    const data = new Uint8Array(frame.allocationSize(options));
    await frame.copyTo(data, options);
    return data;
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('the browser gives no pixels of this video');
  context.drawImage(frame, 0, 0, width, height);
  return new Uint8Array(context.getImageData(0, 0, width, height).data.buffer);
}

/** The same planes seen upright: turned clockwise by walking through them another way. */
function turned(planes: Plane[], rotation: Rotation): Plane[] {
  return planes.map(({ origin, stepX, stepY, width, height }) => {
    const right = origin + (width - 1) * stepX;
    const bottom = origin + (height - 1) * stepY;
    if (rotation === 90)
      return { origin: bottom, stepX: -stepY, stepY: stepX, width: height, height: width };
    if (rotation === 180)
      return { origin: right + bottom - origin, stepX: -stepX, stepY: -stepY, width, height };
    if (rotation === 270)
      return { origin: right, stepX: stepY, stepY: -stepX, width: height, height: width };
    return { origin, stepX, stepY, width, height };
  });
}

function matrixOf(space: VideoColorSpace): Matrix {
  const [kr, kb] = SHARES[space.matrix ?? ''] ?? BT601;
  return { kr, kb, isFull: space.fullRange ?? false };
}

function toRgb(y: number, u: number, v: number, m: Matrix): [number, number, number] {
  const luma = m.isFull ? y : ((y - 16) * 255) / LUMA_STEPS;
  const scale = m.isFull ? 1 : 255 / CHROMA_STEPS;
  const red = luma + 2 * (1 - m.kr) * scale * (v - 128);
  const blue = luma + 2 * (1 - m.kb) * scale * (u - 128);
  return [red, (luma - m.kr * red - m.kb * blue) / (1 - m.kr - m.kb), blue];
}

/** What each of `n` cells of a stretch takes of the pixels it covers. */
interface Shares {
  first: Int32Array;
  weights: Float64Array[];
}

function shares(start: number, length: number, n: number, limit: number): Shares {
  const first = new Int32Array(n);
  const weights: Float64Array[] = [];
  for (let i = 0; i < n; i++) {
    const from = start + (i * length) / n;
    const to = start + ((i + 1) * length) / n;
    first[i] = Math.min(Math.floor(from), limit - 1);
    const last = Math.min(Math.max(Math.ceil(to - 1e-9), first[i] + 1), limit);
    const covered = new Float64Array(last - first[i]);
    let total = 0;
    for (let k = 0; k < covered.length; k++) {
      const pixel = first[i] + k;
      covered[k] = Math.max(0, Math.min(to, pixel + 1) - Math.max(from, pixel));
      total += covered[k];
    }
    for (let k = 0; k < covered.length; k++)
      covered[k] = total > 0 ? covered[k] / total : 1 / covered.length;
    weights.push(covered);
  }
  return { first, weights };
}

/** Means over cells: rows are summed into a line first, which is the quicker way round. */
function averaged(data: Uint8Array, plane: Plane, across: Shares, down: Shares): Float32Array {
  const [width, height] = [across.first.length, down.first.length];
  const result = new Float32Array(width * height);
  const left = across.first[0];
  const length = across.first[width - 1] + across.weights[width - 1].length - left;
  const line = new Float64Array(length);
  const { stepX, stepY } = plane;
  for (let cellY = 0; cellY < height; cellY++) {
    const rows = down.weights[cellY];
    line.fill(0);
    for (let row = 0; row < rows.length; row++) {
      const weight = rows[row];
      let at = plane.origin + (down.first[cellY] + row) * stepY + left * stepX;
      for (let x = 0; x < length; x++, at += stepX) line[x] += weight * data[at];
    }
    for (let cellX = 0; cellX < width; cellX++) {
      const columns = across.weights[cellX];
      const first = across.first[cellX] - left;
      let total = 0;
      for (let k = 0; k < columns.length; k++) total += columns[k] * line[first + k];
      result[cellY * width + cellX] = total;
    }
  }
  return result;
}
