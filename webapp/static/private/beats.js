// Single beats of a pulse wave and what their timing tells, step by step as kdphys/beats.py has it.
// Waves are Float64Array, NaN in gaps; where that file calls SciPy, a function below does the same.

import { K } from "./constants.js";
import { bandpass, runs } from "./filters.js";
import { SMALLEST, argmax, clip, hann, mean, rounded, spread, sum } from "./maths.js";

// Beats of all stretches that hold enough of them at the mean rate `bpm`: times of their steepest
// rise and of the peak that follows, the slope of the rise, and the stretch each belongs to.
export function findBeats(wave, fps, bpm) {
  const found = { riseS: [], peakS: [], slope: [], run: [] };
  runs(wave, fps, (K.beats.LEAST_BEATS * 60) / bpm).forEach(([start, stop], run) => {
    const beats = beatsOfRun(wave.subarray(start, stop), fps, bpm / 60);
    found.riseS.push(...beats.rise.map((at) => start / fps + at));
    found.peakS.push(...beats.peak.map((at) => start / fps + at));
    found.slope.push(...beats.slope);
    found.run.push(...beats.slope.map(() => run));
  });
  return {
    riseS: Float64Array.from(found.riseS),
    peakS: Float64Array.from(found.peakS),
    slope: Float64Array.from(found.slope),
    run: Int32Array.from(found.run),
  };
}

function beatsOfRun(wave, fps, rateHz) {
  const { BEAT_BAND, FINE_HZ, LEAST_APART, LEAST_PROMINENCE, LEAST_UPPER_HZ, PEAK_WITHIN } = K.beats;
  const [low, high] = BEAT_BAND.map((edge) => edge * rateHz);
  const narrow = bandpass(wave, fps, [low, Math.max(high, LEAST_UPPER_HZ)]);
  const { height, slope } = splined(narrow, fps, FINE_HZ);
  const apart = (LEAST_APART * FINE_HZ) / rateHz;
  const ahead = rounded((PEAK_WITHIN * FINE_HZ) / rateHz);
  const rises = findPeaks(slope, apart, LEAST_PROMINENCE * spread(slope)).filter(
    (rise) => slope[rise] > 0 && rise + ahead < height.length,
  );
  const peaks = rises.map((rise) => {
    const peak = rise + argmax(height.subarray(rise, rise + ahead));
    return clip(peak, 1, height.length - 2);
  });
  return {
    rise: rises.map((at) => crestS(slope, at, FINE_HZ)),
    peak: peaks.map((at) => crestS(height, at, FINE_HZ)),
    slope: rises.map((at) => slope[at]),
  };
}

// Time of the peak at index `at`, interpolated by parabola; an end that still rises stays.
function crestS(wave, at, hz) {
  const bend = wave[at - 1] - 2 * wave[at] + wave[at + 1];
  const shift = bend < 0 ? (0.5 * (wave[at - 1] - wave[at + 1])) / bend : 0;
  return at * (1 / hz) + clip(shift, -0.5, 0.5) / hz;
}

// Beat-to-beat intervals within stretches, the times at which they end, which of them are normal
// beats, and which follow straight upon the one before.
export function intervals({ riseS, run }) {
  const { LEAST_INTERVAL_S, MOST_CHANGE, MOST_INTERVAL_S, NEIGHBOURS } = K.beats;
  const ends = Array.from(run.keys()).filter((beat) => beat > 0 && run[beat] === run[beat - 1]);
  const seconds = Float64Array.from(ends, (beat) => riseS[beat] - riseS[beat - 1]);
  const usual = runningMedian(seconds, NEIGHBOURS);
  return {
    seconds,
    endS: Float64Array.from(ends, (beat) => riseS[beat]),
    clean: Array.from(
      seconds,
      (each, index) =>
        each >= LEAST_INTERVAL_S &&
        each <= MOST_INTERVAL_S &&
        Math.abs(each - usual[index]) <= MOST_CHANGE * usual[index],
    ),
    paired: ends.map((beat, index) => index > 0 && run[beat] === run[ends[index - 1]]),
  };
}

// How far noise alone moves the time of a beat, in ms; NaN where too few beats follow one another.
export function timingNoiseMs({ seconds, clean, paired }, { slope, run }, slopeMs) {
  const order = K.beats.NOISE_ORDER;
  let squares = 0;
  let count = 0;
  for (let at = 0; at + order <= seconds.length; at++) {
    const row = Array.from({ length: order }, (_, index) => at + index);
    if (!row.every((index) => clean[index]) || !row.slice(1).every((index) => paired[index])) continue;
    let steps = row.map((index) => seconds[index]);
    while (steps.length > 1) steps = steps.slice(1).map((step, index) => step - steps[index]);
    squares += steps[0] ** 2;
    count += 1;
  }
  if (!count) return NaN;
  const bySteps = 1000 * Math.sqrt(squares / count / middleOfPascal(order));
  const bends = [];
  for (let beat = 2; beat < slope.length; beat++)
    if (run[beat] === run[beat - 2]) bends.push((slope[beat] - 2 * slope[beat - 1] + slope[beat - 2]) ** 2);
  if (!slopeMs || !bends.length) return bySteps;
  return Math.min(bySteps, (slopeMs * Math.sqrt(mean(Float64Array.from(bends)) / 6)) / mean(slope));
}

// The largest binomial coefficient of 2 `order`.
function middleOfPascal(order) {
  let found = 1;
  for (let each = 1; each <= order; each++) found *= (order + each) / each;
  return found;
}

// A figure of variability without noise, of which its square has so many variances.
export function withoutNoise(figureMs, noises, noiseMs) {
  const rest = figureMs ** 2 - noises * noiseMs ** 2;
  return Number.isNaN(rest) ? rest : Math.sqrt(Math.max(rest, 0));
}

// Root mean square of successive differences in ms, and how many went into it.
export function rmssdMs({ seconds, clean, paired }) {
  let squares = 0;
  let count = 0;
  for (let index = 1; index < seconds.length; index++) {
    if (!(clean[index] && clean[index - 1] && paired[index])) continue;
    squares += (seconds[index] - seconds[index - 1]) ** 2;
    count += 1;
  }
  return [count ? 1000 * Math.sqrt(squares / count) : 0, count];
}

// Standard deviation of the normal intervals in ms, and how many there are.
export function sdnnMs({ seconds, clean }) {
  const normal = seconds.filter((_, index) => clean[index]);
  return [normal.length > 1 ? 1000 * spread(normal, 1) : 0, normal.length];
}

// Breaths per minute from how breathing sways the rate and steepness of beats, and the share of the
// modulation that is at this rate.
export function breathing({ seconds, endS, clean }, { riseS, slope }) {
  const { BREATHING_LINE_PER_MIN, BREATHING_PER_MIN, TINY } = K.beats;
  const isClean = (_, index) => clean[index];
  const { perMin, power: ofRate } = modulation(endS.filter(isClean), seconds.filter(isClean));
  const { power: ofSlope } = modulation(riseS, slope);
  const total = ofRate.map((power, bin) => Math.sqrt(power * ofSlope[bin]) + 0.5 * (power + ofSlope[bin]));
  const [slowest, fastest] = BREATHING_PER_MIN;
  const isBreath = (_, bin) => perMin[bin] >= slowest && perMin[bin] <= fastest;
  const heard = total.filter(isBreath);
  const rates = perMin.filter(isBreath);
  const strongest = argmax(heard);
  const peak = rates[strongest];
  if (strongest === 0 || strongest === heard.length - 1) return [peak, 0];
  const near = heard.filter((_, bin) => Math.abs(rates[bin] - peak) <= BREATHING_LINE_PER_MIN);
  return [peak, sum(near) / Math.max(sum(heard), TINY)];
}

// Spectrum of a beat-to-beat series: per minute, and power of unit sum.
function modulation(at, value) {
  const { BREATHING_OVERLAP, BREATHING_POINTS, BREATHING_WINDOW_S } = K.beats;
  const { MODULATION_HZ, TACHOGRAM_HZ } = K.beats;
  const even = evenly(at, value, TACHOGRAM_HZ);
  const length = Math.min(even.length, rounded(BREATHING_WINDOW_S * TACHOGRAM_HZ));
  const overlap = Math.trunc(BREATHING_OVERLAP * length);
  const bins = [];
  for (let bin = 0; bin <= BREATHING_POINTS / 2; bin++) {
    const hz = (bin * TACHOGRAM_HZ) / BREATHING_POINTS;
    if (hz >= MODULATION_HZ[0] && hz <= MODULATION_HZ[1]) bins.push(bin);
  }
  const power = welch(even, length, overlap, BREATHING_POINTS, bins);
  const whole = Math.max(sum(power), SMALLEST);
  return {
    perMin: bins.map((bin) => (60 * bin * TACHOGRAM_HZ) / BREATHING_POINTS),
    power: power.map((each) => each / whole),
  };
}

// numpy.interp at `hz`, from the first time to before the last.
function evenly(at, value, hz) {
  const even = new Float64Array(Math.ceil((at.at(-1) - at[0]) * hz));
  let left = 0;
  for (let index = 0; index < even.length; index++) {
    const time = at[0] + index / hz;
    while (left < at.length - 2 && at[left + 1] <= time) left += 1;
    const slope = (value[left + 1] - value[left]) / (at[left + 1] - at[left]);
    even[index] = value[left] + slope * (time - at[left]);
  }
  return even;
}

// Power at some bins of a spectrum of `points`: the sum over windows, without Welch's scale.
function welch(wave, length, overlap, points, bins) {
  const turn = (2 * Math.PI) / points;
  const cosine = Float64Array.from({ length: points }, (_, index) => Math.cos(turn * index));
  const sine = Float64Array.from({ length: points }, (_, index) => Math.sin(turn * index));
  const power = new Float64Array(bins.length);
  for (let start = 0; start + length <= wave.length; start += length - overlap) {
    const window = tapered(wave.subarray(start, start + length));
    bins.forEach((bin, index) => {
      let re = 0;
      let im = 0;
      let angle = 0;
      for (const value of window) {
        re += value * cosine[angle];
        im += value * sine[angle];
        angle = (angle + bin) % points;
      }
      power[index] += re * re + im * im;
    });
  }
  return power;
}

// Without its mean and linear trend, under a periodic Hann window.
function tapered(wave) {
  const middle = (wave.length - 1) / 2;
  const level = mean(wave);
  let along = 0;
  let spreadAlong = 0;
  wave.forEach((value, index) => {
    along += (index - middle) * value;
    spreadAlong += (index - middle) ** 2;
  });
  const trend = spreadAlong ? along / spreadAlong : 0;
  const taper = hann(wave.length, wave.length);
  return wave.map((value, index) => (value - level - trend * (index - middle)) * taper[index]);
}

// A cubic spline through an even wave and its derivative, at `hz` from the start to before the end.
export function splined(wave, fps, hz) {
  const slopes = knotSlopes(wave, fps);
  const lastS = (wave.length - 1) / fps;
  const height = new Float64Array(Math.ceil(lastS / (1 / hz)));
  const slope = new Float64Array(height.length);
  for (let index = 0; index < height.length; index++) {
    const at = index * (1 / hz);
    const knot = Math.min(Math.floor(at * fps), wave.length - 2);
    const past = at - knot / fps;
    const chord = (wave[knot + 1] - wave[knot]) * fps;
    const twist = (slopes[knot] + slopes[knot + 1] - 2 * chord) * fps;
    const bend = (chord - slopes[knot]) * fps - twist;
    height[index] = wave[knot] + past * (slopes[knot] + past * (bend + past * twist * fps));
    slope[index] = slopes[knot] + past * (2 * bend + 3 * past * twist * fps);
  }
  return { height, slope };
}

// Slopes of that spline at the samples. Its third derivative goes on at the second sample and at
// the last but one ("not a knot"), which makes the first and last row of the system differ.
function knotSlopes(wave, fps) {
  const last = wave.length - 1;
  const chord = (at) => (wave[at + 1] - wave[at]) * fps;
  const over = new Float64Array(last + 1); // what each row has left of the next slope
  const slopes = new Float64Array(last + 1);
  over[0] = 2;
  slopes[0] = (5 * chord(0) + chord(1)) / 2;
  for (let at = 1; at < last; at++) {
    const pivot = 4 - over[at - 1];
    over[at] = 1 / pivot;
    slopes[at] = (3 * (chord(at - 1) + chord(at)) - slopes[at - 1]) / pivot;
  }
  const end = (chord(last - 2) + 5 * chord(last - 1)) / 2;
  slopes[last] = (end - 2 * slopes[last - 1]) / (1 - 2 * over[last - 1]);
  for (let at = last - 1; at >= 0; at--) slopes[at] -= over[at] * slopes[at + 1];
  return slopes;
}

// SciPy's find_peaks with a distance and a prominence, in this order.
export function findPeaks(wave, distance, prominence) {
  const apart = farApart(localMaxima(wave), wave, Math.ceil(distance));
  return apart.filter((peak) => wave[peak] - saddle(wave, peak) >= prominence);
}

// Indices of all peaks; of a flat top its middle.
function localMaxima(wave) {
  const peaks = [];
  for (let at = 1; at < wave.length - 1; at++) {
    if (wave[at - 1] >= wave[at]) continue;
    let next = at + 1;
    while (next < wave.length - 1 && wave[next] === wave[at]) next += 1;
    if (wave[next] >= wave[at]) continue;
    peaks.push(Math.floor((at + next - 1) / 2));
    at = next;
  }
  return peaks;
}

// Leave out what is closer than `distance` to a higher peak that stays.
function farApart(peaks, wave, distance) {
  const keep = peaks.map(() => true);
  const lowestFirst = [...peaks.keys()].sort((one, other) => wave[peaks[one]] - wave[peaks[other]]);
  for (const high of lowestFirst.reverse()) {
    if (!keep[high]) continue;
    for (let at = high - 1; at >= 0 && peaks[high] - peaks[at] < distance; at--) keep[at] = false;
    for (let at = high + 1; at < peaks.length && peaks[at] - peaks[high] < distance; at++) {
      keep[at] = false;
    }
  }
  return peaks.filter((_, index) => keep[index]);
}

// The higher of the lowest points to both sides of a peak, each up to where the wave is above it.
function saddle(wave, peak) {
  const lowest = [-1, 1].map((step) => {
    let least = wave[peak];
    for (let at = peak; at >= 0 && at < wave.length && wave[at] <= wave[peak]; at += step) {
      least = Math.min(least, wave[at]);
    }
    return least;
  });
  return Math.max(...lowest);
}

// Median of an odd number of neighbours; the values go back beyond the ends, as in a mirror.
function runningMedian(values, count) {
  const reach = (count - 1) / 2;
  return values.map((_, at) => {
    const around = Float64Array.from({ length: count }, (__, index) => {
      return values[mirrored(at - reach + index, values.length)];
    });
    return around.sort()[reach];
  });
}

// Index of a line that goes back and forth for ever.
function mirrored(index, length) {
  const turn = Math.max(1, 2 * (length - 1));
  const at = ((index % turn) + turn) % turn;
  return at < length ? at : turn - at;
}
