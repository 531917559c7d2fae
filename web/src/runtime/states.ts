/** The states before the first frame: a safetensors file beside the artifact. */

import { Problem } from '../problem';
import type { Card } from './card';

export type States = Map<string, Float32Array>;

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Every state of the card, its axes as the artifact wants them. Throws a Problem for others. */
export function readStates(file: ArrayBuffer, card: Card): States {
  const wrong = (why: string) => new Problem('bad-artifact', `${card.states_file}: ${why}`);
  let header: Record<string, Entry> & { __metadata__?: Record<string, string> };
  let start: number;
  try {
    const length = Number(new DataView(file).getBigUint64(0, true));
    header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
    start = 8 + length;
  } catch (error) {
    throw wrong(`no readable safetensors file (${String(error)}); make it again`);
  }
  if (header.__metadata__?.weights_sha256 !== card.weights_sha256)
    throw wrong('of other weights than the artifact; export both again');
  const states: States = new Map();
  for (const { name, shape } of card.states) {
    const entry = header[name];
    if (!entry || entry.dtype !== 'F32') throw wrong(`no float32 state ${name}; export again`);
    const n = shape.reduce((a, b) => a * b, 1);
    const [from, to] = entry.data_offsets;
    if (to - from !== 4 * n) throw wrong(`${name} has another size; export again`);
    const values = new Float32Array(file.slice(start + from, start + to));
    const isTurned = card.order === 'chw' && /^(mean|var)_/.test(name);
    states.set(name, isTurned ? channelsFirst(values, entry.shape) : values);
  }
  return states;
}

function channelsFirst(x: Float32Array, [height, width, channels]: number[]): Float32Array {
  const pixels = height * width;
  return Float32Array.from({ length: x.length }, (_, i) => x[(i % pixels) * channels + Math.floor(i / pixels)]);
}
