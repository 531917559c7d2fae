/** LiteRT's web runtime: loading it from this site, and networks that it runs. */

import { loadAndCompile, loadLiteRt, Tensor, type CompiledModel, type LiteRt } from '@litertjs/core';
import { INPUT_PX, type FaceNetwork } from '../face/detector';
import { Problem } from '../problem';
import type { Card } from './card';
import type { States } from './states';

/** What the runtime tells its developers at every start. */
const CHATTER = /^(INFO|WARNING): |^Failed to create default WebGPU device/;

/** Loads the runtime from a folder of this site. Throws a Problem where the browser cannot. */
export async function loadRuntime(folder: string): Promise<LiteRt> {
  const warn = console.warn;
  const unless = (say: typeof warn) => (line: unknown, ...more: unknown[]) => {
    if (!CHATTER.test(String(line))) say(line, ...more);
  };
  // else its WebAssembly would be looked for beside this worker's script
  const locateFile = (name: string) => folder + name;
  Object.assign(self, { Module: { locateFile, printErr: unless(console.error) } });
  // it would wake the fast GPU of a laptop, for networks that run on the CPU
  Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: () => Promise.resolve(null) } });
  console.warn = unless(warn);
  try {
    return await loadLiteRt(folder);
  } catch (error) {
    throw new Problem('no-runtime', error instanceof Error ? error.message : String(error));
  } finally {
    console.warn = warn;
  }
}

/** A tensor of one shape, written anew for every call. */
class Input {
  readonly tensor: Tensor;

  constructor(
    private readonly runtime: LiteRt,
    shape: number[],
  ) {
    this.tensor = new Tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
  }

  write(values: Float32Array): void {
    const wasm = this.runtime.liteRtWasm;
    const buffer = this.tensor.liteRtTensorBuffer;
    const at = buffer.lock(wasm.LiteRtTensorBufferLockMode.WRITE);
    wasm.HEAPU8.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    buffer.unlock();
  }
}

/** The one-frame step of FacePhys; its states stay in the runtime's memory. */
export class PulseNetwork {
  private readonly frames: Input;
  private readonly dtS: Input | null;
  private states: Record<string, Tensor> = {};

  private constructor(
    runtime: LiteRt,
    private readonly model: CompiledModel,
    readonly card: Card,
    private readonly first: States,
  ) {
    this.frames = new Input(runtime, [1, card.height, card.width, 3]);
    this.dtS = card.fixed_dt_s === null ? new Input(runtime, [1]) : null;
    this.reset();
  }

  static async load(
    runtime: LiteRt,
    file: Uint8Array,
    card: Card,
    first: States,
  ): Promise<PulseNetwork> {
    let model: CompiledModel;
    try {
      model = await loadAndCompile(file, { accelerator: 'wasm' });
    } catch (error) {
      throw new Problem('bad-artifact', `the runtime refuses it: ${String(error)}`);
    }
    const inputs = new Set(model.getInputDetails().map(({ name }) => name));
    const missing = ['frames', ...card.states.map(({ name }) => name)].find((name) => !inputs.has(name));
    if (missing) throw new Problem('bad-artifact', `it has no input called ${missing}; export it again`);
    return new PulseNetwork(runtime, model, card, first);
  }

  /** Begins a new stream. */
  reset(): void {
    this.drop(this.states);
    this.states = {};
    for (const { name, shape } of this.card.states)
      this.states[name] = new Tensor(this.first.get(name)!.slice(), shape);
  }

  /** A sample of pulse for one crop, RGB in [0, 1], that came `dtS` seconds after the last. */
  async step(crop: Float32Array, dtS: number): Promise<number> {
    this.frames.write(crop);
    this.dtS?.write(Float32Array.of(dtS));
    const inputs = { ...this.states, frames: this.frames.tensor };
    const outputs = await this.model.run(this.dtS ? { ...inputs, dt_s: this.dtS.tensor } : inputs);
    const [pulse] = outputs.pulse.toTypedArray();
    const after: Record<string, Tensor> = {};
    for (const name in this.states) after[name] = outputs[`new_${name}`];
    this.drop(this.states);
    this.states = after;
    outputs.pulse.delete();
    return pulse;
  }

  private drop(tensors: Record<string, Tensor>): void {
    for (const name in tensors) tensors[name].delete();
  }
}

/** BlazeFace as the detector wants it. Throws a Problem for another model. */
export async function loadFaceNetwork(runtime: LiteRt, file: Uint8Array): Promise<FaceNetwork> {
  const model = await loadAndCompile(file, { accelerator: 'wasm' }).catch((error: unknown) => {
    throw new Problem('bad-artifact', `face detector: ${String(error)}`);
  });
  const input = new Input(runtime, [1, INPUT_PX, INPUT_PX, 3]);
  return async (pixels) => {
    input.write(pixels);
    const tensors = await model.run([input.tensor]);
    const [scores, numbers] = tensors
      .map((tensor) => tensor.toTypedArray() as Float32Array)
      .sort((a, b) => a.length - b.length);
    tensors.forEach((tensor) => tensor.delete());
    return [scores, numbers];
  };
}
