// Heads that move in the rhythm that was read, by the rules of kdphys/sway.py.

import { K } from "./constants.js";
import { mean, median } from "./maths.js";
import { changes, squared, swingsAt, windowsOf } from "./rhythm.js";

// The rhythm of a head's movement that a rate may come from, its own or half of it; null if there is none.
export function swayOf(places, fps, bpm) {
  const rhythms = bpm >= 2 * K.sway.SLOWEST_BPM ? [bpm, bpm / 2] : [bpm];
  return rhythms.find((rhythm) => sways(places, fps, rhythm)) ?? null;
}

// Whether a head moves in a rhythm of `bpm`; false too where nothing can be told. `places` are samples
// as rhythm.js has them: the face's centre across and down, and its width, in pixels of the camera.
export function sways(places, fps, bpm) {
  const { LEAST_S, LEAST_SWAY, NEAR_BPM, STANDING } = K.sway;
  const windows = windowsOf(places, fps, LEAST_S);
  if (!windows.length) return false;
  const change = windows.map((window) => window.map((channel) => changes(channel, mean(window[2]))));
  const rates = [0, -NEAR_BPM, NEAR_BPM, ...K.rhythm.ASIDE_BPM].map((beside) => bpm + beside);
  const swings = swingsAt(change, fps, rates);
  return [0, 1, 2].some((way) => {
    const [power, slower, faster, ...around] = rates.map((_, rate) =>
      median(swings.map((window) => squared(window[way][rate]))),
    );
    const stands = power > LEAST_SWAY ** 2 && power > STANDING * median(around);
    return stands && power > slower && power > faster;
  });
}
