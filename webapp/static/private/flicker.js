// Whether a rhythm is that of the light, by the rules of kdphys/flicker.py: light brightens and darkens
// all colours alike or in colours of its own, blood does not.
//
// `colours` are samples as rhythm.js has them, of red, green and blue.

import { K } from "./constants.js";
import { runs } from "./filters.js";
import { argmax, hann, mean, median, sum } from "./maths.js";
import {
  changes,
  channels,
  squared,
  swing,
  swingsAt,
  tapered,
  together,
  windowsIn,
  windowsOf,
} from "./rhythm.js";

// Whether a rhythm of `bpm` in no colour of blood stands out; false too where nothing can be told.
export function isLight(colours, fps, bpm) {
  const windows = windowsOf(colours, fps, K.flicker.LEAST_S).filter((window) => window.every(isLit));
  if (!windows.length) return false;
  const asShares = windows.map((window) => window.map((channel) => changes(channel, mean(channel))));
  const asGlare = windows.map((window) => window.map((channel) => changes(channel, mean(window[1]))));
  const share = rhythm(asShares, fps, bpm);
  return isGrey(share) || isTinted(share) || isGrey(rhythm(asGlare, fps, bpm));
}

// Whether a wave (Float64Array, NaN where there is no face) swings around `bpm` as the face does in all
// colours alike; false too where nothing can be told.
export function followsLight(wave, colours, fps, bpm) {
  const both = Math.min(wave.length, Math.floor(colours.length / 3));
  const seen = together(colours.slice(0, 3 * both)).map((value, at) => value + wave[at]);
  const { length, starts } = windowsIn(seen, fps, K.flicker.LEAST_S);
  const windows = starts
    .map((start) => [wave.slice(start, start + length), ...channels(colours, start, start + length)])
    .filter(([, ...shares]) => shares.every(isLit));
  if (!windows.length) return false;
  const change = windows.map(([own, ...shares]) => [
    changes(own, 1),
    ...shares.map((share) => changes(share, mean(share))),
  ]);
  const near = K.flicker.NEAR_BPM.map((aside) => bpm + aside);
  const swings = swingsAt(change, fps, near);
  const [red, green, blue] = [1, 2, 3].map((colour) => dot(swings, 0, colour));
  const [power] = dot(swings, 0, 0);
  const [ofGreen] = dot(swings, 2, 2);
  const { LEAST_ALIKE, MOST_UNLIKE, TINY } = K.flicker;
  const alike = squared(green) / Math.max(power * ofGreen, TINY);
  const off = Math.max(Math.hypot(...minus(red, green)), Math.hypot(...minus(blue, green)));
  return alike > LEAST_ALIKE && off / Math.max(Math.hypot(...green), TINY) < MOST_UNLIKE;
}

// Whether the strongest rhythm of the last seconds, at whatever rate, stands out in no colour of blood.
export function flickers(colours, fps) {
  const { FLICKER_HZ, HIGHEST_SHARE, LEAST_FLICKER } = K.flicker;
  const samples = Math.floor(colours.length / 3);
  const [start, stop] = runs(together(colours), fps, 0).at(-1) ?? [0, 0];
  const length = Math.min(stop - start, Math.round(K.pulse.WINDOW_S * fps));
  if (stop < samples || length < K.flicker.LEAST_S * fps) return false;
  const latest = channels(colours, samples - length, samples);
  if (!latest.every(isLit)) return false;
  const change = latest.map((channel) => changes(channel, mean(channel)));
  const taper = hann(length, length - 1);
  const whole = length * mean(taper);
  const highest = Math.min(FLICKER_HZ[1], HIGHEST_SHARE * fps);
  let [most, rhythmHz] = [0, 0];
  for (let bin = 0; bin <= length / 2; bin++) {
    const hz = bin * (1 / (length * (1 / fps)));
    if (hz < FLICKER_HZ[0] || hz > highest) continue;
    const wave = tapered(taper, (at) => (2 * Math.PI * ((bin * at) % length)) / length, 2 / whole);
    const least = Math.min(...change.map((channel) => Math.hypot(...swing(channel, wave))));
    if (least > most) [most, rhythmHz] = [least, hz];
  }
  const found = rhythm([change], fps, 60 * rhythmHz);
  return most > LEAST_FLICKER && (isGrey(found) || isTinted(found));
}

// Whether it stands out and is the same in all colours.
function isGrey(found) {
  return stands(found, K.flicker.LEAST_STANDING) && found.unlike < K.flicker.GREY;
}

// Whether it clearly stands out and is redder or bluer than blood is.
function isTinted(found) {
  const { CLEAR_STANDING, MOST_BLUE, MOST_RED } = K.flicker;
  return stands(found, CLEAR_STANDING) && (found.red > MOST_RED || found.blue > MOST_BLUE);
}

function stands({ power, standing }, least) {
  return power > K.flicker.LEAST_SWING ** 2 && standing > least;
}

// How colours swing at a rate, over windows of which restless ones count for less; `change` has three
// colours for each window. { power, standing, unlike, red, blue } as in kdphys/flicker.py.
function rhythm(change, fps, bpm) {
  const { CALM_SHARE, TINY } = K.flicker;
  const rates = [0, ...K.rhythm.ASIDE_BPM].map((aside) => bpm + aside);
  const swings = swingsAt(change, fps, rates);
  const around = swings.map(([, [, ...aside]]) => median(aside.map(squared)));
  const calm = CALM_SHARE * median(around) + TINY;
  const weights = around.map((each) => 1 / (each + calm));
  const over = (values) => sum(values.map((value, window) => weights[window] * value)) / sum(weights);
  const power = [0, 1, 2].map((colour) =>
    swings[0][colour].map((_, rate) => over(swings.map((window) => squared(window[colour][rate])))),
  );
  const offGreen = [0, 2].map((colour) =>
    over(swings.map((window) => squared(minus(window[colour][0], window[1][0])))),
  );
  const most = power[argmax(power.map(([own]) => own))];
  const ofGreen = Math.max(power[1][0], TINY);
  return {
    power: most[0],
    standing: most[0] / Math.max(median(most.slice(1)), TINY),
    unlike: Math.max(...offGreen) / ofGreen,
    red: Math.sqrt(power[0][0] / ofGreen),
    blue: Math.sqrt(power[2][0] / ofGreen),
  };
}

function isLit(channel) {
  const level = mean(channel);
  return Number.isFinite(level) && level > 0;
}

// How two channels of windows swing together over all windows and rates: the one, conjugate, times the other.
function dot(swings, one, other) {
  let [re, im] = [0, 0];
  for (const window of swings)
    window[one].forEach(([a, b], rate) => {
      const [c, d] = window[other][rate];
      re += a * c + b * d;
      im += a * d - b * c;
    });
  return [re, im];
}

function minus([re, im], [otherRe, otherIm]) {
  return [re - otherRe, im - otherIm];
}
