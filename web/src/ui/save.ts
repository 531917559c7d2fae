/** A pulse as a file on the user's own disk. */

import type { Wave } from './waveform';

/** Hands `pulse.csv` to the browser's downloads: a row a frame, no sample where no face was seen. */
export function saveCsv({ timesS, samples }: Wave): void {
  const rows = timesS.map((timeS, i) => `${timeS},${Number.isNaN(samples[i]) ? '' : samples[i]}`);
  const text = ['time_s,pulse', ...rows, ''].join('\n');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = 'pulse.csv';
  link.click();
  URL.revokeObjectURL(link.href);
}
