/** The page: sources in, numbers and a line out. All reading is done by two workers. */

import { Camera } from './media/camera';
import { keepOffline } from './offline';
import { asProblem, Problem } from './problem';
import type { Reading } from './signal/reading';
import { element, screen, showProblem, showReading, showReport, showSource, showStatus } from './ui/page';
import { saveCsv } from './ui/save';
import { Waveform } from './ui/waveform';
import { statusOf, type Phase } from './ui/words';
import type { About, Finding, FromPulse, FromReading, Report, ToPulse, ToReading } from './worker/messages';

const READ_EVERY_MS = 700;
const READ_WINDOW_S = 30;
const SHOWN_S = 8;

const pulseWorker = new Worker(new URL('./worker/pulse.worker.ts', import.meta.url));
const readingWorker = new Worker(new URL('./worker/reading.worker.ts', import.meta.url));
const waveform = new Waveform(element('waveform'));
const buttons = {
  camera: element<HTMLButtonElement>('camera'),
  open: element<HTMLButtonElement>('open'),
  stop: element<HTMLButtonElement>('stop'),
};
const fileInput = element<HTMLInputElement>('file');

let phase: Phase = 'loading';
let run = 0;
let camera: Camera | null = null;
let timesS: number[] = [];
let samples: number[] = [];
let originS = 0;
let last: Report | null = null;
let dropped = 0;
let everHadFace = false;
let brightest: number | null = null;
let reading: Reading | null = null;
let isReadingAsked = false;
let readMs = 0;

const tell = (message: ToPulse, transfer: Transferable[] = []) => pulseWorker.postMessage(message, transfer);

function setPhase(next: Phase): void {
  phase = next;
  const isRunning = phase === 'running';
  const hadFocus = Object.values(buttons).some((button) => button === document.activeElement);
  buttons.stop.hidden = !isRunning;
  element('save').hidden = phase !== 'finished' || !timesS.length;
  element<HTMLFieldSetElement>('finding').disabled = isRunning;
  buttons.camera.hidden = buttons.open.hidden = isRunning;
  buttons.camera.disabled = buttons.open.disabled = phase === 'loading';
  document.body.dataset.phase = phase;
  // the button that was pressed is gone: the keyboard goes on at the one in its place
  if (hadFocus && document.activeElement === document.body) (isRunning ? buttons.stop : buttons.open).focus();
  updateStatus();
}

function updateStatus(): void {
  const { hasFace, framesPerS } = last ?? { hasFace: false, framesPerS: 0 };
  const isWaiting = phase === 'running' && !last?.nFrames;
  showStatus(
    statusOf({
      phase,
      isCamera: isCamera(),
      hasFace: hasFace || isWaiting,
      everHadFace,
      brightness: phase === 'finished' ? brightest : (last?.brightness ?? null),
      framesPerS,
      reading,
    }),
  );
}

const isCamera = () => screen.dataset.source === 'camera';

const finding = (): Finding =>
  document.querySelector<HTMLInputElement>('input[name=finding]:checked')?.value === 'centre' ? 'centre' : 'detector';

/** Forgets the last source and makes room for the next. */
function begin(source: 'camera' | 'file'): number {
  run++;
  [timesS, samples, last, reading, everHadFace, brightest] = [[], [], null, null, false, null];
  isReadingAsked = false;
  waveform.reset();
  showProblem(null);
  showReading(null, false);
  dropped = 0;
  showReport(null, source === 'camera');
  showSource('open', source);
  setPhase('running');
  return run;
}

function openFile(file: File): void {
  tell({ type: 'file', run: begin('file'), file, finding: finding() });
}

async function openCamera(): Promise<void> {
  const mine = begin('camera');
  tell({ type: 'camera', run: mine, finding: finding() });
  try {
    const opened = await Camera.open(
      (frame, timeS, capturedMs) => tell({ type: 'frame', run: mine, frame, timeS, capturedMs }, [frame]),
      () => {
        showProblem(new Problem('camera-lost', 'its video ended'));
        stop();
      },
    );
    if (mine === run && phase === 'running') camera = opened;
    else opened.close();
  } catch (error) {
    if (mine !== run) return;
    showProblem(asProblem(error, 'no-camera'));
    showSource('empty', null);
    setPhase('idle');
  }
}

function stop(): void {
  if (camera) {
    camera.close();
    camera = null;
    tell({ type: 'stop', run });
  } else {
    run++; // what the worker still says of the file is not heard
    tell({ type: 'stop', run });
  }
  finish();
}

/** Reads all that was measured, once more and as a whole. */
function finish(): void {
  setPhase('finished');
  askReading(true);
  drawWave();
}

function askReading(isWhole: boolean): void {
  if (!timesS.length) return;
  const newest = timesS[timesS.length - 1];
  const first = isWhole ? 0 : timesS.findLastIndex((timeS) => timeS < newest - READ_WINDOW_S) + 1;
  const message: ToReading = {
    run,
    isWhole,
    samples: Float64Array.from(samples.slice(first)),
    timesS: Float64Array.from(timesS.slice(first)),
  };
  isReadingAsked = true;
  readMs = performance.now();
  readingWorker.postMessage(message, [message.samples.buffer, message.timesS.buffer]);
}

readingWorker.onmessage = ({ data }: MessageEvent<FromReading>) => {
  isReadingAsked = false;
  if (data.run !== run || (phase === 'finished' && !data.isWhole)) return;
  reading = data.reading;
  showReading(reading, data.isWhole);
  updateStatus();
  if (data.isWhole) document.body.dataset.read = 'whole';
};

pulseWorker.onmessage = ({ data }: MessageEvent<FromPulse>) => {
  if (data.type === 'taken') camera?.taken();
  else if (data.type === 'ready') ready(data.about);
  else if (data.type === 'problem') fail(new Problem(data.code, data.detail), data.run);
  else if (data.run !== run) return;
  else if (data.type === 'report') take(data.report);
  else if (phase === 'running') finish();
};
pulseWorker.onerror = (event) => fail(new Problem('unexpected', event.message), null);
readingWorker.onerror = (event) => fail(new Problem('unexpected', event.message), null);

function ready(about: About): void {
  const [byDetector, byCentre] = document.querySelectorAll<HTMLInputElement>('input[name=finding]');
  byDetector.disabled = !about.hasDetector;
  element('no-detector').hidden = about.hasDetector;
  if (!about.hasDetector) byCentre.checked = true;
  element('about').textContent =
    `FacePhys, ${about.precision}, on ${about.runtime}; weights ${about.weights.slice(0, 12)}, physkit ${about.physkit}.`;
  setPhase('idle');
  void keepOffline(about.urls).then((isKept) => (element('offline').hidden = !isKept));
}

function fail(problem: Problem, ofRun: number | null): void {
  if (ofRun !== null && ofRun !== run) return;
  showProblem(problem);
  if (phase === 'loading') {
    showStatus('');
    return;
  }
  if (phase === 'running' && ofRun !== null) finish();
  if (!timesS.length) {
    showSource('empty', null);
    setPhase('idle');
  }
}

function take(report: Report): void {
  for (const { timeS, pulse } of report.samples) {
    if (!timesS.length) originS = isCamera() ? timeS : 0; // a camera's clock began with the page
    timesS.push(timeS - originS);
    samples.push(pulse);
  }
  last = report;
  everHadFace ||= report.hasFace;
  if (report.brightness !== null) brightest = Math.max(brightest ?? 0, report.brightness);
  dropped = camera?.dropped ?? dropped;
  showReport(report, isCamera(), dropped);
  if (phase !== 'running') return;
  updateStatus();
  if (!isReadingAsked && performance.now() - readMs > READ_EVERY_MS) askReading(false);
  requestAnimationFrame(drawWave);
}

function drawWave(): void {
  const lengthS = timesS.length ? timesS[timesS.length - 1] - timesS[0] : 0;
  waveform.draw({ timesS, samples }, phase === 'finished' ? Math.max(SHOWN_S, Math.min(READ_WINDOW_S, lengthS)) : SHOWN_S);
  const label = timesS.length ? `Pulse waveform of ${lengthS.toFixed(0)} seconds` : 'Pulse waveform: nothing yet';
  element('waveform').setAttribute('aria-label', label);
}

buttons.camera.onclick = () => void openCamera();
buttons.open.onclick = () => fileInput.click();
buttons.stop.onclick = stop;
element('save').onclick = () => saveCsv({ timesS, samples });
fileInput.onchange = () => {
  const file = fileInput.files?.[0];
  if (file && phase !== 'loading') openFile(file);
  fileInput.value = '';
};
screen.ondragover = (event) => {
  event.preventDefault();
  screen.classList.add('dropping');
};
screen.ondragleave = () => screen.classList.remove('dropping');
screen.ondrop = (event) => {
  event.preventDefault();
  screen.classList.remove('dropping');
  const file = event.dataTransfer?.files[0];
  if (file && (phase === 'idle' || phase === 'finished')) openFile(file);
};
new ResizeObserver(() => drawWave()).observe(element('waveform'));
matchMedia('(prefers-color-scheme: dark)').onchange = () => drawWave();

const canvas = element<HTMLCanvasElement>('preview').transferControlToOffscreen();
tell({ type: 'load', page: new URL('./', location.href).href, canvas }, [canvas]);
setPhase('loading');
