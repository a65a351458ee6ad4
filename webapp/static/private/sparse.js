// Where pictures come too seldom to tell a pulse: PictureSteps of kdphys/sparse.py, by the same rules.
// Each step from picture to picture counts by its length.

import { fill, K } from "./constants.js";
import { longestRunS } from "./filters.js";
import { median } from "./maths.js";

export class PictureSteps {
  constructor(memoryS = Infinity) {
    this.memoryS = memoryS;
    this.steps = []; // [time, seconds since the picture before]
    this.waits = null; // the same of a step that goes on, as no other picture has come yet
  }

  push(timeS, stepS) {
    this.waits = null;
    this.steps.push([timeS, stepS]);
    while (this.steps[0][0] < timeS - this.memoryS) this.steps.shift();
  }

  wait(timeS, stepS) {
    this.waits = [timeS, stepS];
  }

  clear() {
    this.steps = [];
    this.waits = null;
  }

  // Pictures a second around each moment; infinite where too little is known. The moments increase.
  fpsAt(atS) {
    const { REACH_S, LEAST_COVERED_S } = K.sparse;
    const steps = this.waits ? [...this.steps, this.waits] : this.steps;
    const sums = [[0, 0]];
    for (const [, stepS] of steps) sums.push([sums.at(-1)[0] + stepS, sums.at(-1)[1] + stepS ** 2]);
    const long = steps.filter(([, stepS]) => stepS > REACH_S); // whose end may be out of reach
    let [first, last] = [0, 0];
    return atS.map((timeS) => {
      while (first < steps.length && steps[first][0] < timeS - REACH_S) first++;
      while (last < steps.length && steps[last][0] <= timeS + REACH_S) last++;
      const around = long.find(([endS, stepS]) => timeS > endS - stepS && timeS <= endS);
      if (around) return 1 / around[1];
      const coveredS = sums[last][0] - sums[first][0];
      return coveredS >= LEAST_COVERED_S ? coveredS / (sums[last][1] - sums[first][1]) : Infinity;
    });
  }

  // [the wave with gaps where pictures are too few, null], or [the wave, why it is not to be trusted]
  // where that would leave nothing to read. `endStep` is the step after its last sample.
  withoutSparse(wave, endStep, fps, leastS) {
    const { SPARSE, SPARSE_FPS, LEAST_FPS } = K.sparse;
    const found = this.fpsAt(Float64Array.from(wave, (_, at) => (endStep - wave.length + at) / fps));
    const sparse = wave.map((value, at) => Number(found[at] < SPARSE_FPS && Number.isFinite(value)));
    if (!sparse.includes(1)) return [wave, null];
    const kept = wave.map((value, at) => (sparse[at] ? NaN : value));
    if (longestRunS(kept, fps) >= leastS) return [kept, null];
    const usual = median(found.filter((_, at) => sparse[at]));
    return [wave, fill(SPARSE, { found: usual, needed: LEAST_FPS })];
  }
}

// What `withoutSparse` says of pictures that came at `times` with `steps` between, the last of which goes
// on if `waits`: for tests.
export function seen(times, steps, wave, endStep, fps, leastS, waits = false) {
  const pictures = new PictureSteps();
  times.forEach((timeS, at) => {
    if (waits && at === times.length - 1) pictures.wait(timeS, steps[at]);
    else pictures.push(timeS, steps[at]);
  });
  const [kept, why] = pictures.withoutSparse(wave, endStep, fps, leastS);
  return [why, kept];
}
