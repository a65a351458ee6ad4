// How many pictures go to the network: all of them, unless it can't keep up. Then fewer, but evenly
// spaced: bursts with pauses between them tell less of a pulse than their number says.

const CAMERA_STEP_S = 1 / 30; // between pictures of a usual camera
const MOST_STEP_S = 0.12; // more than 8 a second, below which a pulse can't be read
const SETTLE_S = 1; // until it shows what fewer pictures changed
const EASE_S = 3; // of keeping up, until more are tried
const EASING = 1.3;

export class Pace {
  constructor() {
    this.stepS = 0; // between two pictures; 0 lets every one through
    this.changedS = this.nextS = -Infinity;
  }

  // Whether the picture of this time is sent; `isFull` while too much of what was sent is waiting.
  admits(timeS, isFull) {
    const sinceS = timeS - this.changedS;
    if (isFull && sinceS > SETTLE_S)
      this.set(Math.min(MOST_STEP_S, 2 * Math.max(this.stepS, CAMERA_STEP_S)), timeS);
    else if (this.stepS && !isFull && sinceS > EASE_S) this.set(this.stepS / EASING, timeS);
    if (isFull || timeS < this.nextS - CAMERA_STEP_S / 2) return false;
    this.nextS = Math.max(this.nextS, timeS - CAMERA_STEP_S / 2) + this.stepS;
    return true;
  }

  set(stepS, timeS) {
    this.stepS = stepS > CAMERA_STEP_S ? stepS : 0;
    this.changedS = timeS;
  }
}
