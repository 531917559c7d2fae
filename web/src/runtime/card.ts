/** What an artifact says of itself: the JSON that `physkit export` writes into its metadata. */

import { Problem } from '../problem';

const METADATA_KEY = 'physkit';
const ARTIFACT_FORMAT = 1;

export interface StateSpec {
  name: string;
  shape: number[];
  dtype: string;
}

/** The part of physkit/core/artifact.py's ArtifactCard that the page needs. */
export interface Card {
  artifact_format: number;
  form: 'step' | 'chunk';
  precision: string;
  height: number;
  width: number;
  fixed_dt_s: number | null;
  order: 'hwc' | 'chw';
  states: StateSpec[];
  states_file: string;
  weights_sha256: string;
  physkit: string;
}

/** The card of a LiteRT file. Throws a Problem for a file that the page cannot run. */
export function readCard(model: Uint8Array, name: string): Card {
  const text = metadata(model, METADATA_KEY);
  if (text === null)
    throw new Problem('bad-artifact', `${name} carries no card; make it by physkit export`);
  const card = JSON.parse(text) as Card;
  if (card.artifact_format !== ARTIFACT_FORMAT)
    throw new Problem(
      'bad-artifact',
      `${name} is of version ${card.artifact_format}, the page runs ${ARTIFACT_FORMAT}; make it again`,
    );
  if (card.form !== 'step')
    throw new Problem('bad-artifact', `${name} takes chunks of frames; export the form step`);
  const odd = card.states.find((state) => state.dtype !== 'float32');
  if (odd)
    throw new Problem(
      'bad-artifact',
      `${name} keeps its state ${odd.name} in ${odd.dtype}, which the web runtime does not take; export float32 states`,
    );
  return card;
}

/** An entry of a LiteRT flatbuffer's metadata as text; null where there is none. */
function metadata(model: Uint8Array, key: string): string | null {
  const view = new DataView(model.buffer, model.byteOffset, model.byteLength);
  try {
    const root = view.getUint32(0, true);
    const buffers = field(view, root, 4);
    const entries = field(view, root, 6);
    if (buffers === null || entries === null) return null;
    for (const entry of elements(view, entries)) {
      const name = field(view, entry, 0);
      const index = field(view, entry, 1);
      if (name === null || text(view, model, name) !== key) continue;
      const buffer = elements(view, buffers)[index === null ? 0 : view.getUint32(index, true)];
      const data = field(view, buffer, 0);
      return data === null ? null : text(view, model, data);
    }
  } catch (error) {
    if (error instanceof RangeError) return null; // cut off, or no flatbuffer at all
    throw error;
  }
  return null;
}

/** Where a table's field lies; null for one that is left out. */
function field(view: DataView, table: number, index: number): number | null {
  const layout = table - view.getInt32(table, true);
  const at = 4 + 2 * index;
  if (at >= view.getUint16(layout, true)) return null;
  const offset = view.getUint16(layout + at, true);
  return offset ? table + offset : null;
}

const follow = (view: DataView, at: number): number => at + view.getUint32(at, true);

/** The tables of a vector of tables. */
function elements(view: DataView, at: number): number[] {
  const vector = follow(view, at);
  const n = view.getUint32(vector, true);
  return Array.from({ length: n }, (_, i) => follow(view, vector + 4 + 4 * i));
}

function text(view: DataView, bytes: Uint8Array, at: number): string {
  const vector = follow(view, at);
  const n = view.getUint32(vector, true);
  return new TextDecoder().decode(bytes.subarray(vector + 4, vector + 4 + n));
}
