// Reads clips of pulse as JSON from standard input, prints what the page reads in them.
import { text } from 'node:stream/consumers';
import { runnerImport } from 'vite';

const { module } = await runnerImport(new URL('../src/signal/reading.ts', import.meta.url).pathname, {
  configFile: false,
  logLevel: 'error',
});
const clips = JSON.parse(await text(process.stdin));
const numbers = (list) => Float64Array.from(list, (value) => value ?? NaN);
const readings = clips.map(({ samples, times_s }) =>
  module.readPulse(numbers(samples), numbers(times_s)),
);
process.stdout.write(JSON.stringify(readings));
