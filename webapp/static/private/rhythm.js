// How much of a rhythm there is in what is seen beside a pulse, by the rules of kdphys/rhythm.py.
//
// Samples are a Float64Array of three values of the first sample, of the second and so on; NaN where
// there is no face.

import { readingWindowS, runs, windowStarts } from "./filters.js";
import { hann, mean } from "./maths.js";

// Samples in windows as a reading has them, each three Float64Arrays.
export function windowsOf(samples, fps, leastS) {
  const { length, starts } = windowsIn(together(samples), fps, leastS);
  return starts.map((start) => channels(samples, start, start + length));
}

// Length and starts of such windows, of samples that are NaN where there is no face.
export function windowsIn(samples, fps, leastS) {
  const seen = new Float64Array(samples.length).fill(NaN);
  for (const [start, stop] of runs(samples, fps, leastS)) seen.fill(0, start, stop);
  if (seen.every(Number.isNaN)) return { length: 0, starts: [] };
  const length = Math.round(readingWindowS(seen, fps) * fps);
  return { length, starts: windowStarts(seen, fps, length) };
}

// How much windows swing at some rates a minute: [real, imaginary] by window, channel and rate.
export function swingsAt(change, fps, rates) {
  const { length } = change[0][0];
  const taper = hann(length, length - 1);
  const scale = 2 / (length * mean(taper));
  const waves = rates.map((bpm) => tapered(taper, (at) => (2 * Math.PI * at * bpm) / (60 * fps), scale));
  return change.map((window) =>
    window.map(withoutSlope).map((channel) => waves.map((wave) => swing(channel, wave))),
  );
}

// The three values of each sample added, NaN where one is missing.
export function together(samples) {
  return Float64Array.from({ length: Math.floor(samples.length / 3) }, (_, at) =>
    samples.slice(3 * at, 3 * at + 3).reduce((sum, value) => sum + value, 0),
  );
}

// The three values from sample `start` to `stop`, each a Float64Array.
export function channels(samples, start, stop) {
  return [0, 1, 2].map((channel) =>
    Float64Array.from({ length: stop - start }, (_, at) => samples[3 * (start + at) + channel]),
  );
}

// How far a channel is off its mean, over `level`.
export function changes(channel, level) {
  const own = mean(channel);
  return channel.map((value) => (value - own) / level);
}

// Cosine and sine of an angle at each sample, tapered and scaled.
export function tapered(taper, angle, scale) {
  return {
    cos: taper.map((value, at) => scale * value * Math.cos(angle(at))),
    sin: taper.map((value, at) => scale * value * Math.sin(angle(at))),
  };
}

// How much of such a wave a change holds: real and imaginary part.
export function swing(change, { cos, sin }) {
  let re = 0;
  let im = 0;
  for (let at = 0; at < change.length; at++) {
    re += change[at] * cos[at];
    im -= change[at] * sin[at];
  }
  return [re, im];
}

export function squared([re, im]) {
  return re * re + im * im;
}

// Take out a ramp from one end to the other.
function withoutSlope(change) {
  const ramp = change.map((_, at) => (2 * at) / (change.length - 1) - 1);
  const along = ramp.reduce((sum, value, at) => sum + value * change[at], 0);
  const share = along / ramp.reduce((sum, value) => sum + value * value, 0);
  return change.map((value, at) => value - share * ramp[at]);
}
