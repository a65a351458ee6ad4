// How many pictures go to the network: all of them, unless they pile up on the way. Then every second,
// or every third, evenly: bursts with pauses between them tell less of a pulse than their number says.
// Fewer than 8 a second, which do not tell it, are sent only where the line can't carry these.

const LONGEST_STEP_S = 1 / 8; // between pictures that tell a pulse
const PILED_UP_S = 0.5; // that answers come later than they can: fewer pictures are sent,
const HIGH_UP_S = 1.5; // and fewer than tell a pulse
const IN_TIME_S = 0.15; // later than they can: more may be tried
const HOPELESS_S = 2; // later than they can: none is sent until the line has recovered
const BRIEF_S = 1; // that they may come so late: a machine that was busy for a moment catches up
const SETTLE_S = 1; // until it shows what was changed
const FIRST_TRY_S = 3; // of answers in time, until more pictures are tried;
const LAST_TRY_S = 60; // twice as long after each try that failed, up to this,
const KEPT_S = 10; // as a try has that piles up within so long
const LEARNING = 0.1; // of the camera's step from one more picture

export class Pace {
  constructor() {
    this.every = 1; // picture that is sent
    this.cameraS = 1 / 30; // between pictures of the camera
    this.pausedS = FIRST_TRY_S;
    this.latestS = this.inTimeS = this.changedS = this.triedS = -Infinity;
    this.count = 0;
  }

  // Whether the picture of this time is sent. `lateS` is how much longer than the quickest answer the
  // oldest picture that was sent has waited.
  admits(timeS, lateS) {
    const stepS = timeS - this.latestS;
    if (stepS < 4 * LONGEST_STEP_S) this.cameraS += LEARNING * (stepS - this.cameraS);
    this.latestS = timeS;
    const sinceS = timeS - this.changedS;
    const tooLateS = this.every < this.most ? PILED_UP_S : HIGH_UP_S;
    if (lateS <= tooLateS) this.inTimeS = timeS;
    const piledUp = timeS - this.inTimeS > (this.every > 1 ? 0 : BRIEF_S);
    if (piledUp && sinceS > SETTLE_S + lateS) this.slow(timeS);
    else if (lateS < IN_TIME_S && this.every > 1 && sinceS > this.pausedS) this.quicken(timeS);
    this.count += 1;
    return lateS < HOPELESS_S && this.count % this.every === 0;
  }

  // The most pictures of which one, sent, tells a pulse.
  get most() {
    return Math.max(1, Math.floor(LONGEST_STEP_S / this.cameraS + 1e-3));
  }

  slow(timeS) {
    const failed = timeS - this.triedS < KEPT_S;
    this.pausedS = failed ? Math.min(2 * this.pausedS, LAST_TRY_S) : FIRST_TRY_S;
    this.every += 1;
    this.changedS = timeS;
  }

  quicken(timeS) {
    this.every -= 1;
    this.changedS = this.triedS = timeS;
  }
}
