// Stretches of a wave and its band-pass, as kdphys/pulse.py has them: waves are Float64Array, NaN in
// gaps. The filter is SciPy's butter(2, band, "bandpass") in two sections, run there and back.

import { K } from "./constants.js";

// [start, stop] of the stretches without a gap that last at least `leastS`, in order.
export function runs(wave, fps, leastS) {
  const found = [];
  let start = 0;
  for (let at = 0; at <= wave.length; at++) {
    if (at < wave.length && Number.isFinite(wave[at])) continue;
    if (at > start && at - start >= leastS * fps - 1e-6) found.push([start, at]);
    start = at + 1;
  }
  return found;
}

// Seconds of the longest stretch without a gap.
export function longestRunS(wave, fps) {
  return runs(wave, fps, 0).reduce((most, [start, stop]) => Math.max(most, stop - start), 0) / fps;
}

// Length of the windows by which a wave is read: short enough that half of what was heard is read.
export function readingWindowS(wave, fps) {
  const most = Math.round(K.pulse.WINDOW_S * fps);
  const heard = runs(wave, fps, 0).map(([start, stop]) => stop - start);
  const lengths = heard.map((samples) => Math.min(samples, most)).sort((a, b) => b - a);
  const sum = (samples) => samples.reduce((total, one) => total + one, 0);
  return lengths.find((length) => 2 * sum(heard.filter((one) => one >= length)) >= sum(heard)) / fps;
}

// First samples of windows of `length`, one every second of each stretch without a gap.
export function windowStarts(wave, fps, length) {
  const { STEP_S } = K.pulse;
  return runs(wave, fps, length / fps).flatMap(([start, stop]) => {
    const count = Math.ceil((stop - start - length + 1) / (STEP_S * fps));
    return Array.from({ length: count }, (_, index) => start + Math.floor(index * STEP_S * fps));
  });
}

// Seconds that windows of a length have looked at: of each stretch but the first, what its windows add.
export function lookedAtS(wave, fps, windowS) {
  const read = runs(wave, fps, Math.round(windowS * fps) / fps);
  const samples = read.reduce((total, [start, stop]) => total + stop - start, 0);
  return samples / fps - (read.length - 1) * (windowS - K.pulse.STEP_S);
}

// Band-pass each stretch by itself; shorter ones become NaN.
export function bandpassRuns(wave, fps, band, leastS) {
  const filtered = new Float64Array(wave.length).fill(NaN);
  for (const [start, stop] of runs(wave, fps, leastS)) {
    filtered.set(bandpass(wave.subarray(start, stop), fps, band), start);
  }
  return filtered;
}

// Keep a band ([low, high] in Hz) of a wave without gaps, without shifting it in time.
export function bandpass(wave, fps, [low, highest]) {
  const limit = K.pulse.HIGHEST_SHARE * fps;
  const high = Math.min(highest, limit);
  if (!(low > 0 && low < high)) {
    throw new RangeError(`band ${low} to ${highest} Hz must lie between 0 and ${limit} Hz`);
  }
  const padding = Math.min(Math.trunc(fps / low), wave.length - 1);
  const sections = butterworth(fps, low, high);
  const there = oddlyExtended(wave, padding);
  sosfilt(sections, there);
  const back = there.reverse();
  sosfilt(sections, back);
  return back.reverse().slice(padding, padding + wave.length);
}

function oddlyExtended(wave, padding) {
  const length = wave.length;
  const longer = new Float64Array(length + 2 * padding);
  longer.set(wave, padding);
  for (let at = 1; at <= padding; at++) {
    longer[padding - at] = 2 * wave[0] - wave[at];
    longer[padding + length - 1 + at] = 2 * wave[length - 1] - wave[length - 1 - at];
  }
  return longer;
}

// Second-order sections { b, a } of a Butterworth band-pass of order 2. Its low-pass has one pole at
// 135 degrees (and its conjugate); shifted to the band, that gives one pole a section.
function butterworth(fps, low, high) {
  const from = 4 * Math.tan((Math.PI * low) / fps); // for a sampling rate of 2, as in SciPy
  const to = 4 * Math.tan((Math.PI * high) / fps);
  const part = ((to - from) / 2) * Math.SQRT1_2;
  const root = squareRoot([-from * to, -2 * part * part]); // of pole^2 - from * to
  const poles = [1, -1].map((sign) => [-part + sign * root[0], part + sign * root[1]]);
  const gain = (to - from) ** 2 * 16; // two zeros at 0, each 4 in the bilinear transform
  const scale = gain / poles.reduce((all, [re, im]) => all * ((4 - re) ** 2 + im * im), 1);
  const placed = poles.map((pole) => divide([4 + pole[0], pole[1]], [4 - pole[0], -pole[1]]));
  placed.sort((one, other) => Math.hypot(...one) - Math.hypot(...other));
  const zero = placed[1][0] > 0 ? 1 : -1; // the sharpest pole goes last, with the zeros nearest to it
  return placed.map(([re, im], index) => {
    const [share, zeros] = index ? [1, zero] : [scale, -zero];
    return {
      b: [share, -2 * zeros * share, share],
      a: [1, -2 * re, re * re + im * im],
    };
  });
}

function squareRoot([re, im]) {
  const size = Math.hypot(re, im);
  return [Math.sqrt((size + re) / 2), Math.sign(im) * Math.sqrt((size - re) / 2)];
}

function divide([re, im], [byRe, byIm]) {
  const size = byRe * byRe + byIm * byIm;
  return [(re * byRe + im * byIm) / size, (im * byRe - re * byIm) / size];
}

// Filter in place, from the state that a constant wave of the first value would have left.
function sosfilt(sections, wave) {
  let level = wave[0];
  for (const { b, a } of sections) {
    let first = (level * (b[1] + b[2] - (a[1] + a[2]) * b[0])) / (1 + a[1] + a[2]);
    let second = (1 + a[1]) * first - level * (b[1] - a[1] * b[0]);
    level *= (b[0] + b[1] + b[2]) / (1 + a[1] + a[2]);
    for (let at = 0; at < wave.length; at++) {
      const value = wave[at];
      const result = b[0] * value + first;
      first = b[1] * value - a[1] * result + second;
      second = b[2] * value - a[2] * result;
      wave[at] = result;
    }
  }
}
