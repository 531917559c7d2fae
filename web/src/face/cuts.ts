/** Sudden changes of the whole picture; same code as physkit/face/cuts.py. */

import type { Picture } from '../media/picture';

/** Sudden mean change from one frame to the next, in grey levels of 255, that is a cut. */
const CUT_LEVEL = 25;

export class CutFinder {
  private last: Float32Array | null = null;
  private lastChange = 0;

  /** Whether a picture begins another scene than the one before; a change of size does. */
  isCut(picture: Picture): boolean {
    const grid = picture.brightnessGrid();
    const last = this.last;
    this.last = grid;
    if (!last || last.length !== grid.length) {
      this.lastChange = 0;
      return last !== null;
    }
    let change = 0;
    for (let i = 0; i < grid.length; i++) change += Math.abs(grid[i] - last[i]);
    change /= grid.length;
    const before = this.lastChange;
    this.lastChange = change;
    return change > CUT_LEVEL && before < change / 2;
  }
}
