// Crops on an even grid of time, one at a time and without looking ahead, as EvenGrid of
// kdphys/clip.py has it: a grid crop is the mean over its time step of the crops joined by straight
// lines in time.

import { K } from "./constants.js";
import { rounded } from "./maths.js";

export class EvenGrid {
  constructor(fps) {
    this.fps = fps;
    this.split = false; // the latest push opened a segment
    this.firstStep = 0;
    this.originS = null;
    this.before = null; // { light, now }
    this.step = 0;
    this.light = null; // the crops integrated over the open step so far
  }

  get startS() {
    return this.originS + this.firstStep / this.fps;
  }

  // Forget the crop before: the next one opens a new segment.
  restart() {
    this.before = null;
  }

  // Take one crop; give the grid crops that are now complete.
  push(crop, timeS) {
    this.originS ??= timeS;
    const now = (timeS - this.originS) * this.fps;
    const { before } = this;
    const here = { light: Float32Array.from(crop), now };
    this.before = here;
    this.split = before === null || now - before.now > K.clip.MAX_GAP_S * this.fps;
    if (this.split) {
      this.open(here);
      return [];
    }
    const done = [];
    let start = before.now;
    for (let edge = this.step + 0.5; edge <= now; edge = this.step + 0.5) {
      this.add(before, here, start, edge);
      done.push(Uint8Array.from(this.light, rounded));
      this.light.fill(0);
      this.step += 1;
      start = edge;
    }
    this.add(before, here, start, now);
    return done;
  }

  open({ light, now }) {
    this.step = this.firstStep = Math.floor(now + 0.5);
    const share = now - (this.step - 0.5);
    this.light = light.map((level) => level * share);
  }

  add(left, right, start, stop) {
    const share = ((start + stop) / 2 - left.now) / (right.now - left.now);
    const ofLeft = (1 - share) * (stop - start);
    const ofRight = share * (stop - start);
    for (let at = 0; at < this.light.length; at++)
      this.light[at] += left.light[at] * ofLeft + right.light[at] * ofRight;
  }
}
