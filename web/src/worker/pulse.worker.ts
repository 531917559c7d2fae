/** Frames in, pulse out, off the page's own thread. Nothing here talks to anyone but the page. */

import { FaceDetector } from '../face/detector';
import { openFile } from '../media/file';
import { Picture } from '../media/picture';
import { asProblem, Problem } from '../problem';
import { readCard } from '../runtime/card';
import { loadFaceNetwork, loadRuntime, PulseNetwork } from '../runtime/litert';
import { readStates } from '../runtime/states';
import type { ArtifactList, Finding, FromPulse, ToPulse } from './messages';
import { Pipeline } from './pipeline';
import { Preview } from './preview';

const REPORT_EVERY_MS = 60;

let network: PulseNetwork;
let detector: FaceDetector | null = null;
let preview: Preview;
/** The source that is being read; messages of others are late. */
let current = -1;
let live: Pipeline | null = null;
/** Sources and frames are handled one after another, in the order in which they came. */
let queue: Promise<void> = Promise.resolve();
let reportedMs = 0;

const say = (message: FromPulse) => self.postMessage(message);

self.onmessage = ({ data }: MessageEvent<ToPulse>) => {
  if (data.type === 'stop' || data.type === 'file' || data.type === 'camera') current = data.run;
  queue = queue.then(() => handle(data)).catch((error: unknown) => {
    const { code, detail } = asProblem(error);
    say({ type: 'problem', run: 'run' in data ? data.run : null, code, detail });
  });
};

async function handle(message: ToPulse): Promise<void> {
  if (message.type === 'load') return load(message.page, message.canvas);
  if (message.type === 'frame') return takeFrame(message);
  if (message.type === 'stop') return stop(message.run);
  if (message.run !== current) return;
  if (message.type === 'file') return readFile(message.run, message.file, message.finding);
  live = new Pipeline(network, detector, message.finding, true);
}

async function load(page: string, canvas: OffscreenCanvas): Promise<void> {
  preview = new Preview(canvas);
  const list = (await (await fetched(new URL('artifacts.json', page))).json()) as ArtifactList;
  const runtime = await loadRuntime(new URL('litert/', page).pathname);
  const model = await bytes(new URL(list.model, page));
  const card = readCard(model, list.model.split('/').pop() ?? list.model);
  const states = await bytes(new URL(list.states, page));
  network = await PulseNetwork.load(runtime, model, card, readStates(states.buffer as ArrayBuffer, card));
  if (list.detector !== null)
    detector = new FaceDetector(await loadFaceNetwork(runtime, await bytes(new URL(list.detector, page))));
  const { precision, physkit, weights_sha256: weights } = card;
  const urls = performance.getEntriesByType('resource').map((entry) => entry.name);
  const about = { precision, physkit, weights, runtime: 'LiteRT', hasDetector: detector !== null, urls };
  say({ type: 'ready', about });
}

async function fetched(url: URL): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Problem('no-artifact', `${url.pathname}: ${response.status}`);
  return response;
}

const bytes = async (url: URL) => new Uint8Array(await (await fetched(url)).arrayBuffer());

async function readFile(run: number, file: File, finding: Finding): Promise<void> {
  const video = await openFile(file);
  const pipeline = new Pipeline(network, detector, finding, false);
  let lastS = 0;
  const progress = () => (video.durationS > 0 ? Math.min(1, lastS / video.durationS) : null);
  try {
    for await (const { picture, timeS, draw } of video.frames()) {
      if (run !== current) return;
      preview.show(draw, picture.width, picture.height, pipeline.face);
      await pipeline.push(picture, timeS);
      lastS = timeS;
      if (performance.now() - reportedMs > REPORT_EVERY_MS) report(run, pipeline, null, progress());
    }
  } finally {
    video.close();
    // of a damaged file, too, what was read until then is worth something
    await pipeline.finish();
    if (run === current) {
      report(run, pipeline, null, progress());
      say({ type: 'finished', run });
    }
  }
}

async function takeFrame({ run, frame, timeS, capturedMs }: ToPulse & { type: 'frame' }): Promise<void> {
  try {
    if (run !== current || !live) return;
    const picture = await Picture.of(frame);
    preview.show((context, w, h) => context.drawImage(frame, 0, 0, w, h), picture.width, picture.height, live.face);
    frame.close();
    await live.push(picture, timeS);
    const latencyMs = performance.timeOrigin + performance.now() - capturedMs;
    report(run, live, latencyMs, null);
  } finally {
    frame.close();
    say({ type: 'taken', run });
  }
}

async function stop(run: number): Promise<void> {
  if (!live) return;
  await live.finish();
  report(run, live, null, null);
  live = null;
  say({ type: 'finished', run });
}

function report(run: number, pipeline: Pipeline, latencyMs: number | null, progress: number | null): void {
  reportedMs = performance.now();
  say({ type: 'report', run, report: pipeline.report(latencyMs, progress) });
}
