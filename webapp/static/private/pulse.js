// The rate of a pulse wave over time, by the rules of kdphys/pulse.py, where their reasons are told.
//
// Matrices are arrays of rows, one for each 10 s window; a path holds an index of the spectra's grid
// for each window.

import { K } from "./constants.js";
import { windowStarts } from "./filters.js";
import { SMALLEST, argmax, clip, hann, mean, median, rounded } from "./maths.js";

// Spectra of windows, one every second of each stretch without a gap (a wave of less than one window
// gives one of its length): { timeS, bpm, power, real, imaginary }, the last three matrices.
export function windowSpectra(wave, fps, windowS = K.pulse.WINDOW_S) {
  const { GRID_BPM, HEART_BAND_HZ, HARMONICS, HIGHEST_SHARE } = K.pulse;
  const length = Math.min(Math.round(windowS * fps), wave.length);
  const starts = windowStarts(wave, fps, length);
  const highest = HEART_BAND_HZ[1] * 60 * Math.max(...HARMONICS);
  const bpm = Float64Array.from({ length: Math.ceil(highest / GRID_BPM + 1) }, (_, at) => at * GRID_BPM);
  const beyond = bpm.filter((rate) => rate <= HIGHEST_SHARE * fps * 60).length;
  const taper = hann(length, length);
  const scale = Math.sqrt(taper.reduce((sum, value) => sum + value * value, 0));
  const table = circle((60 * fps) / GRID_BPM);
  const found = { timeS: Float64Array.from(starts, (start) => (start + length / 2) / fps), bpm };
  Object.assign(found, { power: [], real: [], imaginary: [] });
  for (const start of starts) {
    const window = wave.slice(start, start + length);
    const level = mean(window);
    for (let at = 0; at < length; at++) window[at] = ((window[at] - level) * taper[at]) / scale;
    const [real, imaginary] = fourier(window, bpm.length, table);
    for (const part of [real, imaginary]) part.fill(0, beyond);
    found.real.push(real);
    found.imaginary.push(imaginary);
    found.power.push(real.map((value, bin) => value * value + imaginary[bin] * imaginary[bin]));
  }
  return found;
}

const circles = new Map(); // by their points: one, as all waves have the same frame rate

// Cosine and sine of `points` steps around a circle.
function circle(points) {
  const whole = Math.round(points);
  if (Math.abs(points - whole) > 1e-9) throw new Error(`the grid has ${points} points a turn, not whole`);
  if (!circles.has(whole)) {
    const angles = Float64Array.from({ length: whole }, (_, at) => (2 * Math.PI * at) / whole);
    circles.set(whole, { cos: angles.map(Math.cos), sin: angles.map(Math.sin) });
  }
  return circles.get(whole);
}

// Fourier transform of a window at the first `bins` of a whole circle's: real and imaginary parts.
//
// One step of Cooley & Tukey: samples `apart` from each other first, as their sums repeat after
// `period` bins. It takes a fifth of the multiplications.
function fourier(window, bins, { cos, sin }) {
  const points = cos.length;
  let apart = Math.max(1, Math.floor(Math.sqrt((points * window.length) / bins)));
  while (points % apart) apart--;
  const period = points / apart;
  const real = new Float64Array(bins);
  const imaginary = new Float64Array(bins);
  const partReal = new Float64Array(period);
  const partImaginary = new Float64Array(period);
  for (let first = 0; first < apart; first++) {
    for (let bin = 0; bin < period; bin++) {
      let re = 0;
      let im = 0;
      for (let at = first, turn = 0; at < window.length; at += apart) {
        re += window[at] * cos[turn];
        im -= window[at] * sin[turn];
        turn = (turn + bin * apart) % points;
      }
      partReal[bin] = re;
      partImaginary[bin] = im;
    }
    for (let bin = 0, turn = 0; bin < bins; bin++) {
      const part = bin % period;
      real[bin] += cos[turn] * partReal[part] + sin[turn] * partImaginary[part];
      imaginary[bin] += cos[turn] * partImaginary[part] - sin[turn] * partReal[part];
      turn = (turn + first) % points;
    }
  }
  return [real, imaginary];
}

// The most credible path of heart rates: { timeS, bpm, middleBpm, evidence, rival, aloneBpm, snrDb },
// all of one value for each window; { isDoubled, overtone, locked } of all of it.
export function trackRate(spectra) {
  const { HEART_BAND_HZ, GRID_BPM, FAR_BPM, MOST_EVIDENCE } = K.pulse;
  const { power } = spectra;
  const floor = noiseFloor(spectra);
  const [first, last] = HEART_BAND_HZ.map((edge) => Math.round((edge * 60) / GRID_BPM));
  const evidence = power.map((row, window) => rateEvidence(row, floor[window], first, last));
  const loud = loudness(power.map((row) => row.slice(first, last + 1)));
  const likely = evidence.map((row, window) => row.map((value, state) => value * loud[window][state]));
  const reach = FAR_BPM / GRID_BPM;
  const kept = (rows, isKept) =>
    rows.map((row, window) =>
      row.map((value, state) => (isKept(first + state, path[window]) ? value : -MOST_EVIDENCE)),
    );
  const best = (rows) => bestPath(rows).map((state) => first + state);
  let path = best(likely);
  const [octave, isDoubled] = rightOctave(spectra, floor, path, first, last);
  if (octave !== path) {
    path = octave;
    path = best(kept(evidence, (rate, at) => Math.abs(rate - at) <= reach));
  }
  const isFar = (rate, at) => Math.abs(rate - at) > reach && Math.abs(rate - 2 * at) > reach;
  const rival = best(kept(likely, isFar));
  const others = kept(evidence, isFar);
  const bpm = refine(power, floor, path);
  const hasOvertone = 2 * median(path) <= last;
  const holds = !hasOvertone || K.pulse.LOOKS * path.length <= K.pulse.FEW_LOOKS;
  return {
    timeS: spectra.timeS,
    bpm,
    middleBpm: middles(power, floor, bpm),
    evidence: Float64Array.from(path, (rate, window) => evidence[window][rate - first]),
    rival: Float64Array.from(rival, (rate, window) => others[window][rate - first]),
    aloneBpm: refine(
      power,
      floor,
      Int32Array.from(evidence, (row) => first + argmax(row)),
    ),
    snrDb: snrDb(spectra, path),
    isDoubled,
    overtone: hasOvertone ? overtoneOf(power, path) : 0,
    locked: holds ? 1 : locked(spectra, path),
  };
}

// Power at twice a path over that along it, over all windows.
function overtoneOf(power, path) {
  const [once, twice] = [1, 2].map((m) => mean(power.map((row, window) => row[m * path[window]])));
  return twice / Math.max(once, SMALLEST);
}

// Halve or double a path where its lines, averaged over all windows, say so; else the very same. And
// whether it should be halved and would be too slow to be read then.
function rightOctave(spectra, floor, path, low, high) {
  const { LOOKS, SURE_SPREADS, THIRD_SHARE, FEW_LOOKS } = K.pulse;
  const { STRONGEST_OVERTONE, USUAL_OVERTONE, LOCKED, ADRIFT } = K.pulse;
  const looks = Math.max(1, LOOKS * path.length);
  const sure = 1 + SURE_SPREADS / Math.sqrt(looks);
  const excesses = (rate) => excess(spectra.power, floor, rate);
  const double = path.map((rate) => 2 * rate);

  // Power at `rate` over that at its half, and how far the odd halves are over the floor.
  const lines = (rate) => {
    const halves = [1, 2, 3].map((m) => excesses(rate.map((at) => Math.floor((m * at) / 2))));
    return [halves[1][0] / Math.max(halves[0][0], SMALLEST), halves[0][1], halves[2][1]];
  };
  const isOvertone = (rate) => {
    const [ratio, one, three] = lines(rate);
    return ratio <= STRONGEST_OVERTONE && one + THIRD_SHARE * Math.max(three - 1, 0) > sure;
  };
  // Whether those lines are a slow pulse, not a slow movement beside a fast one.
  const isSlowPulse = (rate, least) => {
    const [ratio, one, three] = lines(rate);
    if (ratio <= USUAL_OVERTONE) return true;
    const both = Math.min(one, three) > 1 && one * three > sure ** 2;
    if (looks <= FEW_LOOKS) return both;
    const half = rate.map((at) => Math.floor(at / 2));
    return locked(spectra, half) > (both ? ADRIFT : least);
  };

  const middle = median(path);
  const [doubled, tooSlow] = [isOvertone(path), middle / 2 < low];
  if (doubled && !tooSlow && isSlowPulse(path, LOCKED)) {
    return [path.map((rate) => Math.max(Math.floor(rate / 2), low)), false];
  }
  if (middle * 2 <= high && excesses(double)[1] > excesses(path)[1]) {
    const movement = looks > FEW_LOOKS && !isSlowPulse(double, ADRIFT);
    if (movement || !isOvertone(double)) return [double.map((rate) => Math.min(rate, high)), false];
  }
  return [path, doubled && tooSlow && (looks <= FEW_LOOKS || isSlowPulse(path, LOCKED))];
}

// How steady the phase of an overtone is to that of its fundamental along a path, from 0 to 1.
function locked({ real, imaginary }, path) {
  let sumReal = 0;
  let sumImaginary = 0;
  path.forEach((rate, window) => {
    const [re, im] = [real[window][rate], imaginary[window][rate]];
    const [overRe, overIm] = [real[window][2 * rate], imaginary[window][2 * rate]];
    const [squareRe, squareIm] = [re * re - im * im, 2 * re * im];
    const bothRe = squareRe * overRe + squareIm * overIm;
    const bothIm = squareIm * overRe - squareRe * overIm;
    const size = Math.max(Math.hypot(bothRe, bothIm), SMALLEST);
    sumReal += bothRe / size;
    sumImaginary += bothIm / size;
  });
  return Math.hypot(sumReal, sumImaginary) / path.length;
}

// Mean power above the floor along a path, and over the floor.
function excess(power, floor, path) {
  let above = 0;
  let over = 0;
  path.forEach((rate, window) => {
    const at = Math.min(rate, power[window].length - 1);
    above += power[window][at] - floor[window][at];
    over += power[window][at] / floor[window][at];
  });
  return [above / path.length, over / path.length];
}

// Power that noise has around each frequency, learned in time and frequency. A matrix.
function noiseFloor({ power, bpm }) {
  const { LOWEST_BPM, GRID_BPM, FLOOR_BINS, FLOOR_REACH_BPM, FLOOR_WINDOWS, LEAST_FLOOR } = K.pulse;
  const { LOOKS, FLOOR_REACH_S, STEP_S, FLOOR_RISE, FLOOR_RISE_OF_ONE } = K.pulse;
  const lowest = Math.round(LOWEST_BPM / GRID_BPM);
  const tilt = bpm.map((rate) => Math.max(rate, LOWEST_BPM));
  const columns = Math.ceil((bpm.length - lowest) / FLOOR_BINS);
  const coarse = power.map((row) =>
    Float64Array.from({ length: columns }, (_, column) => {
      const bin = lowest + column * FLOOR_BINS;
      return row[bin] * tilt[bin];
    }),
  );
  const width = Math.round((2 * FLOOR_REACH_BPM) / (GRID_BPM * FLOOR_BINS)) + 1;
  const low = overHalfAMinute(coarse)
    .filter((_, window) => window % FLOOR_WINDOWS === 0)
    .map((row) => runningMean(runningQuantile(row, width), Math.floor(width / 2)));
  const looks = Math.max(1, LOOKS * Math.min(power.length, (2 * FLOOR_REACH_S) / STEP_S));
  const rise = FLOOR_RISE + FLOOR_RISE_OF_ONE / looks;
  return power.map((row, window) => {
    const line = low[Math.floor(window / FLOOR_WINDOWS)];
    const least = LEAST_FLOOR * mean(row);
    return Float64Array.from(tilt, (tilted, bin) => {
      const at = clip((bin - lowest) / FLOOR_BINS, 0, columns - 1);
      const left = Math.min(Math.floor(at), columns - 2);
      const level = line[left] + (at - left) * (line[left + 1] - line[left]);
      return Math.max((level / tilted) * rise, least) + SMALLEST;
    });
  });
}

// Credibility of the rates from `first` to `last` in one window, in nats.
function rateEvidence(power, floor, first, last) {
  const { HARMONICS, STRONGEST_OVERTONE, OVERTONE_SHARE } = K.pulse;
  const highest = crest(power);
  return Float64Array.from({ length: last + 1 - first }, (_, state) => {
    const rate = first + state;
    let total = lineEvidence(power[rate] / floor[rate]);
    for (const harmonic of HARMONICS.slice(1)) {
      const at = harmonic * rate;
      const stronger = power[at] / (STRONGEST_OVERTONE * (power[rate] + SMALLEST));
      total += (OVERTONE_SHARE * lineEvidence(power[at] / floor[at])) / (1 + stronger * stronger);
    }
    return (total * power[rate]) / (highest[rate] + SMALLEST);
  });
}

// Power near each rate beside that of the strongest, over half a minute. A matrix like `power`.
function loudness(power) {
  const shares = power.map((row) => {
    const sum = row.reduce((total, value) => total + value, 0) + SMALLEST;
    return row.map((value) => value / sum);
  });
  return overHalfAMinute(shares).map((row) => {
    const near = crest(row.map((value) => Math.max(value, 0))); // running means may end below 0
    const most = near[argmax(near)] + SMALLEST;
    return near.map((value) => value / most);
  });
}

// Mean over the windows around each, FLOOR_REACH_S to both sides. A matrix like `rows`.
function overHalfAMinute(rows) {
  const { FLOOR_REACH_S, STEP_S } = K.pulse;
  const size = Math.min(Math.round((2 * FLOOR_REACH_S) / STEP_S) + 1, 2 * rows.length + 1);
  const result = rows.map((row) => new Float64Array(row.length));
  for (let column = 0; column < rows[0].length; column++) {
    const means = runningMean(
      Float64Array.from(rows, (row) => row[column]),
      size,
    );
    result.forEach((row, window) => (row[column] = means[window]));
  }
  return result;
}

// Mean of the `size` values around each, the ends going on for ever; more to the left if even.
function runningMean(line, size) {
  const before = Math.floor(size / 2);
  const at = (index) => line[clip(index - before, 0, line.length - 1)];
  const result = new Float64Array(line.length);
  let sum = 0;
  for (let index = 0; index < size; index++) sum += at(index);
  result[0] = sum / size;
  for (let index = 1; index < line.length; index++) {
    result[index] = result[index - 1] + (at(index + size - 1) - at(index - 1)) / size;
  }
  return result;
}

// FLOOR_QUANTILE of the `size` values around each, ends and halves likewise.
function runningQuantile(line, size) {
  const before = Math.floor(size / 2);
  const rank = Math.trunc(size * K.pulse.FLOOR_QUANTILE);
  const around = new Float64Array(size);
  return line.map((_, index) => {
    for (let at = 0; at < size; at++) around[at] = line[clip(index - before + at, 0, line.length - 1)];
    return around.sort()[rank];
  });
}

// The most power within a line's width of each frequency.
function crest(power) {
  const reach = Math.round(K.pulse.CREST_BPM / K.pulse.GRID_BPM) / 2;
  return Float64Array.from(power, (most, bin) => {
    const stop = Math.min(bin + reach, power.length - 1);
    for (let at = Math.max(bin - reach, 0); at <= stop; at++) if (power[at] > most) most = power[at];
    return most;
  });
}

// Log likelihood ratio of a line against exponential noise, held below MOST_EVIDENCE.
function lineEvidence(above) {
  const most = K.pulse.MOST_EVIDENCE;
  const strong = Math.max(above, 1);
  return -most * Math.expm1(-(strong - 1 - Math.log(strong)) / most);
}

// Viterbi path through a matrix of evidence: small steps are cheap, jumps cost. An index each.
function bestPath(evidence) {
  const { GRID_BPM, PATH_SPREAD_BPM, PATH_REACH, PATH_JUMP } = K.pulse;
  const states = evidence[0].length;
  const reach = Math.round((PATH_REACH * PATH_SPREAD_BPM) / GRID_BPM);
  const price = Float64Array.from(
    { length: 2 * reach + 1 },
    (_, at) => 0.5 * (((at - reach) * GRID_BPM) / PATH_SPREAD_BPM) ** 2,
  );
  const cameFrom = [];
  let score = evidence[0];
  for (const row of evidence.slice(1)) {
    const jump = argmax(score);
    const jumped = score[jump] - PATH_JUMP;
    const from = new Int32Array(states);
    const next = new Float64Array(states);
    for (let state = 0; state < states; state++) {
      const stop = Math.min(state + reach, states - 1);
      let best = -Infinity;
      for (let at = Math.max(state - reach, 0); at <= stop; at++) {
        const value = score[at] - price[at - state + reach];
        if (value > best) [best, from[state]] = [value, at];
      }
      if (jumped > best) [best, from[state]] = [jumped, jump];
      next[state] = best + row[state];
    }
    cameFrom.push(from);
    score = next;
  }
  const path = new Int32Array(evidence.length);
  path[path.length - 1] = argmax(score);
  for (let window = path.length - 1; window > 0; window--) {
    path[window - 1] = cameFrom[window - 1][path[window]];
  }
  return path;
}

// Peak of the summed harmonics near a path, interpolated by a parabola; bpm of each window.
function refine(power, floor, path) {
  const { REFINE_BPM, GRID_BPM, HARMONICS } = K.pulse;
  const reach = Math.round(REFINE_BPM / GRID_BPM);
  return Float64Array.from(path, (rate, window) => {
    const last = power[window].length - 1;
    const total = new Float64Array(2 * reach + 1);
    for (const harmonic of HARMONICS) {
      const noise = floor[window][Math.min(harmonic * rate, last)];
      for (let at = 0; at < total.length; at++) {
        total[at] += power[window][Math.min(harmonic * (rate + at - reach), last)] / noise;
      }
    }
    const peak = argmax(total.subarray(1, -1)) + 1;
    const [left, top, right] = total.subarray(peak - 1, peak + 2);
    const bend = left - 2 * top + right;
    const shift = bend < 0 ? (0.5 * (left - right)) / bend : 0;
    return (rate + peak - reach + clip(shift, -0.5, 0.5)) * GRID_BPM;
  });
}

// Centre of the power that goes on above the floor to both sides of rates; bpm of each window.
function middles(power, floor, bpm) {
  const { GRID_BPM, SWING, SWING_ABOVE } = K.pulse;
  return bpm.map((rate, window) => {
    const [first, last] = [1 - SWING, 1 + SWING].map((share) => rounded((share * rate) / GRID_BPM));
    const isHigh = (at) =>
      at >= first &&
      at <= Math.min(last, power[window].length - 1) &&
      power[window][at] - floor[window][at] > (SWING_ABOVE - 1) * floor[window][at];
    const peak = rounded(rate / GRID_BPM);
    if (!isHigh(peak)) return rate;
    let [begin, end] = [peak, peak];
    while (isHigh(begin - 1)) begin -= 1;
    while (isHigh(end + 1)) end += 1;
    let [total, moment] = [0, 0];
    for (let at = begin; at <= end; at++) {
      const excess = power[window][at] - floor[window][at];
      total += excess;
      moment += excess * at;
    }
    return (GRID_BPM * moment) / total;
  });
}

// How much of a wave, NaN in gaps, stays in the line of its rate for half a minute: for each window of
// its track the share of the power in the heart band, from 0 to 1.
export function standing(wave, fps, { timeS, bpm }) {
  const { GRID_BPM, HEART_BAND_HZ, STANDING_BPM, STANDING_S, STANDING_STEP_S } = K.pulse;
  const heard = wave.map((value) => (Number.isFinite(value) ? value : 0));
  const length = Math.min(Math.round(STANDING_S * fps), heard.length);
  const steps = Math.ceil((heard.length - length) / (STANDING_STEP_S * fps));
  const starts = Array.from({ length: steps + 1 }, (_, step) =>
    Math.floor((step * (heard.length - length)) / Math.max(steps, 1)),
  );
  const centreS = Float64Array.from(starts, (start) => (start + length / 2) / fps);
  const taper = hann(length, length);
  const table = circle((60 * fps) / GRID_BPM);
  const [first, last] = HEART_BAND_HZ.map((edge) => Math.round((edge * 60) / GRID_BPM));
  const shares = starts.map((start, stretch) => {
    const within = bpm.filter((_, at) => Math.abs(timeS[at] - centreS[stretch]) <= length / fps / 2);
    const window = taper.map((value, at) => value * heard[start + at]);
    const [real, imaginary] = fourier(window, last + 1, table);
    const middle = mean(within);
    let [near, total] = [0, SMALLEST];
    for (let bin = first; bin <= last; bin++) {
      const power = real[bin] ** 2 + imaginary[bin] ** 2;
      if (Math.abs(bin * GRID_BPM - middle) <= STANDING_BPM) near += power;
      total += power;
    }
    return near / total;
  });
  return Float64Array.from(timeS, (at) => shares[argmax(centreS.map((centre) => -Math.abs(at - centre)))]);
}

// Power near each window's rate and its harmonics over the rest, in dB.
function snrDb({ bpm, power }, path) {
  const { HARMONICS, SNR_BAND_BPM, SNR_REACH_BPM, LEAST_REST, GRID_BPM } = K.pulse;
  return Float64Array.from(path, (rate, window) => {
    let inside = 0;
    let outside = 0;
    bpm.forEach((at, bin) => {
      if (at < SNR_BAND_BPM[0] || at > SNR_BAND_BPM[1]) return;
      const isLine = HARMONICS.some(
        (harmonic) => Math.abs(at - harmonic * rate * GRID_BPM) <= SNR_REACH_BPM + harmonic,
      );
      if (isLine) inside += power[window][bin];
      else outside += power[window][bin];
    });
    return 10 * Math.log10((inside + SMALLEST) / Math.max(outside, LEAST_REST * inside + SMALLEST));
  });
}
