/** Sudden changes of the whole picture; same code as physkit/face/cuts.py. */

import type { Picture } from '../media/picture';

/** Sudden mean change from one frame to the next, in grey levels of 255, that is a cut. */
const CUT_LEVEL = 25;
/** The same of what no change of brightness or contrast explains. */
const SCENE_LEVEL = 6;
/** Times the change before it that such a change must be. */
const SUDDEN = 4;

export class CutFinder {
  private last: Float32Array | null = null;
  private lastChange = 0;
  private lastUnlike = 0;

  /** Whether a picture begins another scene than the one before; a change of size does. */
  isCut(picture: Picture): boolean {
    const grid = picture.brightnessGrid();
    const last = this.last;
    this.last = grid;
    if (!last || last.length !== grid.length) {
      this.lastChange = this.lastUnlike = 0;
      return last !== null;
    }
    let change = 0;
    for (let i = 0; i < grid.length; i++) change += Math.abs(grid[i] - last[i]);
    change /= grid.length;
    const unlike = unlikeness(last, grid);
    const [before, unlikeBefore] = [this.lastChange, this.lastUnlike];
    [this.lastChange, this.lastUnlike] = [change, unlike];
    const isOtherScene = unlike > SCENE_LEVEL && unlikeBefore < unlike / SUDDEN;
    return isOtherScene || (change > CUT_LEVEL && before < change / 2);
  }
}

/** Mean change that is left when brightness and contrast of the last grid are fitted. */
function unlikeness(last: Float32Array, grid: Float32Array): number {
  const average = (x: Float32Array) => x.reduce((total, value) => total + value, 0) / x.length;
  const [meanLast, meanNow] = [average(last), average(grid)];
  let [power, shared] = [0, 0];
  for (let i = 0; i < grid.length; i++) {
    power += (last[i] - meanLast) ** 2;
    shared += (last[i] - meanLast) * (grid[i] - meanNow);
  }
  const contrast = power > 0 ? shared / power : 0;
  let total = 0;
  for (let i = 0; i < grid.length; i++)
    total += Math.abs(grid[i] - meanNow - contrast * (last[i] - meanLast));
  return total / grid.length;
}
