// Numbers for a person from a pulse wave, by the rules of kdphys/vitals.py: each with a unit, a quality,
// and a reason if it is missing.

import { breathing, findBeats, intervals, rmssdMs, sdnnMs, timingNoiseMs, withoutNoise } from "./beats.js";
import { fill, K } from "./constants.js";
import { bandpassRuns, longestRunS, lookedAtS, readingWindowS } from "./filters.js";
import { followsLight, isLight } from "./flicker.js";
import { clip, mean, spread } from "./maths.js";
import { standing, trackRate, windowSpectra } from "./pulse.js";
import { swayOf } from "./sway.js";

// { heart_rate, rmssd, sdnn, respiration } of a pulse wave (Float64Array, NaN where there is no face),
// each { value, unit, quality, reason, is_early } with a null for what there is not; and the `context`
// for a reading of its end, { bpm, quality, either } or null.
//
// `calibration` is the network's; `colours` tell the light and `places` how the head moves (see flicker.js
// and sway.js); `distrust` is what else speaks against any reading, in words; `latestS` are the seconds at
// the end in which beats are counted, for a rate as it is now; `context` is that of a longer wave with this
// one at its end.
export function measureVitals(
  wave,
  fps,
  calibration,
  { colours = null, places = null, distrust = null, latestS = null, context = null } = {},
) {
  const { LEAST_SECONDS, LEAST_QUALITY, DISTRUST, FLAT, NO_WAVE } = K.vitals;
  const heard = wave.map((value) => (Number.isFinite(value) ? value : NaN));
  const unusable = ofUnusable(heard, fps, distrust);
  if (unusable) return { ...unusable, context: null };
  const kept = bandpassRuns(heard, fps, K.pulse.WAVE_BAND_HZ, LEAST_SECONDS);
  if (spread(heardIn(kept)) <= FLAT) return { ...nothing(distrust ?? NO_WAVE), context: null };
  const rate = readRate(kept, fps, calibration, latestS);
  if (context) rate.quality = qualityInContext(rate, context);
  const noHeart =
    !distrust && rate.quality >= LEAST_QUALITY ? whyNoHeart(rate, heard, fps, colours, places) : null;
  const blame = distrust ?? noHeart;
  const either = blame ? null : whyEither(rate);
  const doubted = blame ?? either;
  if (doubted) rate.quality /= DISTRUST;
  const bpm = mean(rate.rates.slice(-K.vitals.CONTEXT_WINDOWS));
  const own = { bpm, quality: rate.quality, either: either !== null };
  const found = readAll(rate, calibration, doubted);
  return { ...found, context: blame ? null : own };
}

// Why what has this rate is not a heart that beats so, or null.
function whyNoHeart(rate, wave, fps, colours, places) {
  const slow = whyTooSlow(rate);
  if (slow) return slow;
  const sway = places && swayOf(places, fps, rate.bpm);
  if (sway) return fill(K.sway.SWAYS, { bpm: sway });
  const isLit = (order) => isLight(colours, fps, order * rate.bpm);
  if (!colours) return null;
  if (K.vitals.LIGHT_ORDERS.some(isLit)) return K.flicker.ANY_LIGHT;
  const wanders = rate.quality < K.vitals.STEADY && followsLight(wave, colours, fps, rate.bpm);
  return wanders ? K.flicker.WANDERING_LIGHT : null;
}

// Why the heart may as well beat twice as fast, or null.
function whyEither({ bpm, quality, overtone, locked }) {
  const { EITHER, LEAST_QUALITY, LOUD_OVERTONE, NO_PULSE, STEADY } = K.vitals;
  const isSure = quality >= STEADY && locked >= K.pulse.ADRIFT;
  if (quality < LEAST_QUALITY || overtone <= LOUD_OVERTONE || isSure) return null;
  return fill(NO_PULSE, { why: fill(EITHER, { bpm, twice: 2 * bpm }) });
}

// All numbers of a wave whose rate is known; `blame` is what makes that doubtful, or null.
function readAll(rate, calibration, blame) {
  if (rate.quality < K.vitals.LEAST_QUALITY) return doubtful(rate, blame ?? doubt(rate));
  const { beats } = rate;
  const heart = reading("heart_rate", rate.bpm, rate.quality);
  if (risesFar(rate.rates)) {
    const [slowest, fastest] = [Math.min(...rate.rates), Math.max(...rate.rates)];
    return { ...nothing(fill(K.vitals.UNEVEN, { slowest, fastest })), heart_rate: heart };
  }
  const found = intervals(beats);
  const noiseMs = timingNoiseMs(found, beats, calibration.slope_ms);
  return {
    heart_rate: heart,
    rmssd: readRmssd(found, rate, calibration, noiseMs),
    sdnn: readSdnn(found, rate, calibration, noiseMs),
    respiration: readBreathing(found, beats, rate),
  };
}

// The confidence that a rate has in a longer wave: its own and that wave's, but its own alone where it has
// just changed, or is one of two between which that could not choose.
function qualityInContext(rate, context) {
  const { AGREE_BPM, CONTEXT_SHARE, LEAST_QUALITY } = K.vitals;
  if (context.either && Math.abs(rate.bpm - 2 * context.bpm) <= 2 * AGREE_BPM) return rate.quality;
  const hasChanged = Math.abs(rate.bpm - context.bpm) > AGREE_BPM;
  if (context.quality >= LEAST_QUALITY && hasChanged) return rate.quality;
  const own = odds(rate.quality);
  return chance(own + CONTEXT_SHARE * (odds(context.quality) - own));
}

// Logarithm of the odds of a probability.
function odds(probability) {
  const least = Math.exp(-K.vitals.MOST_ODDS);
  const held = clip(probability, least, 1 - least);
  return Math.log(held / (1 - held));
}

// Probability from the logarithm of its odds.
function chance(logOdds) {
  const most = K.vitals.MOST_ODDS;
  return Number.isNaN(logOdds) ? 0 : 1 / (1 + Math.exp(-clip(logOdds, -most, most)));
}

// Heart rate of a wave in WAVE_BAND_HZ, whatever its quality: { bpm, beats, features, quality, rates },
// the last of which are those of its windows.
export function readRate(wave, fps, calibration, latestS = null) {
  const { AGREE_BPM, FLAT, LEAST_SECONDS, LEAST_STANDING, LEAST_WEIGHT } = K.vitals;
  const { MOST_HEIGHT, SWINGING_BPM } = K.vitals;
  const { WINDOW_S, HEART_BAND_HZ } = K.pulse;
  const windowS = readingWindowS(wave, fps);
  const track = trackRate(windowSpectra(wave, fps, windowS));
  const change = bends(track.bpm);
  const margin = track.evidence.map((value, window) => value - track.rival[window]);
  const agrees = track.bpm.map((bpm, window) => Number(Math.abs(track.aloneBpm[window] - bpm) < AGREE_BPM));
  const usableS = lookedAtS(wave, fps, windowS);
  const heard = spread(heardIn(bandpassRuns(wave, fps, HEART_BAND_HZ, LEAST_SECONDS)));
  const height = Math.min(Math.log10(heard + FLAT), MOST_HEIGHT);
  const stands = standing(wave, fps, track).map((share) => Math.max(share, LEAST_STANDING));
  const weights = track.bpm.map(
    (_, window) =>
      LEAST_WEIGHT +
      quality(calibration, {
        snr_db: track.snrDb[window],
        evidence: track.evidence[window],
        margin: margin[window],
        wandering: Math.log1p(change[window]),
        agreement: agrees[window],
        log_seconds: Math.log10(Math.min(usableS, WINDOW_S)),
        log_amplitude: height,
        log_standing: Math.log10(stands[window]),
      }),
  );
  const features = {
    snr_db: mean(track.snrDb),
    evidence: mean(track.evidence),
    margin: mean(margin),
    wandering: Math.log1p(mean(change)),
    agreement: mean(agrees),
    log_seconds: Math.log10(usableS),
    log_amplitude: height,
    log_standing: Math.log10(mean(stands)),
  };
  const weighted = track.bpm.map((bpm, window) => bpm * weights[window]);
  const dwells = mean(weighted) / mean(weights);
  const middle = mean(track.middleBpm);
  const bpm = latestS === null && Math.abs(middle - dwells) > SWINGING_BPM ? middle : dwells;
  const beats = findBeats(wave, fps, bpm);
  const sinceS = latestS === null ? -Infinity : wave.length / fps - latestS;
  return {
    bpm: (risesFar(track.bpm) ? null : counted(beats, sinceS)) ?? bpm,
    beats,
    features,
    quality: quality(calibration, features),
    rates: track.bpm,
    isDoubled: track.isDoubled,
    overtone: track.overtone,
    locked: track.locked,
  };
}

// Whether beats that are found with one rate for all would be missed or seen twice.
function risesFar(rates) {
  return Math.max(...rates) > K.vitals.MOST_RISE * Math.min(...rates);
}

// Mean rate of beats since a time, where they are surely all of them and nothing else; else null.
function counted(beats, sinceS) {
  const { ALIKE, COUNTED, LEAST_COUNTED } = K.vitals;
  const { seconds, endS, clean } = intervals(beats);
  const latest = seconds.filter((each, index) => endS[index] - each >= sinceS);
  if (latest.length < LEAST_COUNTED || clean.filter(Boolean).length < COUNTED * clean.length) return null;
  return spread(beats.slope) > ALIKE * mean(beats.slope) ? null : 60 / mean(latest);
}

// Probability that a heart rate is right to 3 bpm; features and weights share their names.
function quality({ intercept, ...weights }, features) {
  let logOdds = intercept;
  for (const [name, value] of Object.entries(features)) logOdds += weights[name] * value;
  return chance(logOdds);
}

// Twice how far each rate is off the line through those 3 s before and after, in bpm.
function bends(bpm) {
  const reach = K.vitals.BEND_WINDOWS;
  if (bpm.length <= 2 * reach) return bpm.map(() => 0);
  return bpm.map((_, window) => {
    const at = Math.min(Math.max(window, reach), bpm.length - 1 - reach);
    return Math.abs(bpm[at + reach] - 2 * bpm[at] + bpm[at - reach]);
  });
}

function readRmssd(found, rate, calibration, noiseMs) {
  const { RMSSD_SECONDS, RMSSD_STEPS, FEW_STEPS } = K.vitals;
  const [raw, count] = rmssdMs(found);
  const value = withoutNoise(raw, K.beats.RMSSD_NOISE, noiseMs);
  const figure = { raw, value, count, noiseMs, noises: K.beats.RMSSD_NOISE };
  return readVariability("rmssd", figure, found, rate, calibration, [RMSSD_SECONDS, RMSSD_STEPS, FEW_STEPS]);
}

function readSdnn(found, rate, calibration, noiseMs) {
  const { SDNN_SECONDS, SDNN_BEATS, FEW_INTERVALS } = K.vitals;
  const [raw, count] = sdnnMs(found);
  const value = withoutNoise(raw, K.beats.SDNN_NOISE, noiseMs);
  const figure = { raw, value, count, noiseMs, noises: K.beats.SDNN_NOISE };
  return readVariability("sdnn", figure, found, rate, calibration, [SDNN_SECONDS, SDNN_BEATS, FEW_INTERVALS]);
}

// A figure of variability, as measured and without noise, when there are beats enough and they are
// timed well enough.
function readVariability(name, figure, found, rate, calibration, [needed, least, few]) {
  const { SPARE_SECONDS, TAKEN_OFF, MUCH_NOISE, TOLERANCE, TOLERANCE_MS, MOST_NOISE_MS } = K.vitals;
  const { raw, value, count, noiseMs, noises } = figure;
  const heardS = found.seconds.reduce((sum, seconds) => sum + seconds, 0);
  if (heardS < needed - SPARE_SECONDS || count < least) {
    return reading(name, null, 0, fill(few, { found: heardS, count, needed, least }));
  }
  const irregular = whyIrregular(found);
  if (irregular) return reading(name, null, 0, irregular);
  const tolerance = Math.max(TOLERANCE_MS, TOLERANCE * value);
  const clean = mean(Float64Array.from(found.clean));
  // A network's noise goes on from beat to beat, so that some is left.
  const doubt = calibration.slope_ms
    ? ((raw - value) / tolerance / TAKEN_OFF) ** 2
    : (noiseMs / tolerance / MUCH_NOISE) ** 2 * noises;
  const trust = (rate.quality * clean) / (1 + doubt);
  return reading(name, value, noiseMs <= MOST_NOISE_MS ? trust : 0, K.vitals.NOISY_BEATS);
}

// Breathing rate, when it sways the beats clearly.
function readBreathing(found, beats, rate) {
  const { BREATHING_SECONDS: needed, SPARE_SECONDS, FEW_BEATS, NO_BREATHING } = K.vitals;
  const { BREATHING_SHARE, BREATHING_STEEPNESS, LEAST_QUALITY, ALIASED } = K.vitals;
  const heardS = found.seconds.reduce((sum, seconds, at) => sum + (found.clean[at] ? seconds : 0), 0);
  if (heardS < needed - SPARE_SECONDS) {
    return reading("respiration", null, 0, fill(FEW_BEATS, { found: heardS, needed }));
  }
  const irregular = whyIrregular(found);
  if (irregular) return reading("respiration", null, 0, irregular);
  const [perMin, share] = breathing(found, beats);
  const trust = rate.quality / (1 + Math.exp(-BREATHING_STEEPNESS * (share - BREATHING_SHARE)));
  const other = rate.bpm - perMin;
  const isAliased = perMin < other && other <= K.beats.BREATHING_PER_MIN[1]; // beats sample it once each
  if (trust < LEAST_QUALITY || !isAliased) return reading("respiration", perMin, trust, NO_BREATHING);
  return reading("respiration", null, 0, fill(ALIASED, { bpm: rate.bpm, value: perMin, other }));
}

// A value if it is trusted, else the reason why not, which may be that too little was seen yet.
function reading(name, value, trust, reason = null, isEarly = false) {
  const sure = trust >= K.vitals.LEAST_QUALITY;
  const unit = K.vitals.UNITS[name];
  const shown = { value: sure ? value : null, unit, quality: trust };
  return { ...shown, reason: sure ? null : reason, is_early: isEarly };
}

// Vitals without a number, as nothing can be read from the wave.
function nothing(reason, isEarly = false) {
  const names = Object.keys(K.vitals.UNITS);
  return Object.fromEntries(names.map((name) => [name, reading(name, null, 0, reason, isEarly)]));
}

// Vitals without a number, as the heart rate is not trusted.
function doubtful(rate, reason) {
  return {
    heart_rate: reading("heart_rate", null, rate.quality, reason),
    rmssd: reading("rmssd", null, 0, K.vitals.UNSTEADY),
    sdnn: reading("sdnn", null, 0, K.vitals.UNSTEADY),
    respiration: reading("respiration", null, 0, K.vitals.UNSTEADY_BREATHING),
  };
}

// Why normal beats can't be told from others, or null.
function whyIrregular({ clean }) {
  const share = mean(Float64Array.from(clean));
  return share >= K.vitals.LEAST_CLEAN ? null : fill(K.vitals.IRREGULAR, { share: 100 * (1 - share) });
}

// What is said of a wave that can't be read at all; null of one that can.
function ofUnusable(wave, fps, distrust) {
  const { LEAST_SECONDS, FLAT, NO_WAVE, TOO_SHORT } = K.vitals;
  const foundS = longestRunS(wave, fps);
  if (foundS >= LEAST_SECONDS) return spread(heardIn(wave)) <= FLAT ? nothing(distrust ?? NO_WAVE) : null;
  const found = Math.floor(10 * foundS) / 10;
  return nothing(fill(TOO_SHORT, { found, needed: LEAST_SECONDS }), true);
}

// Why a rate is not trusted, in words.
function doubt(rate) {
  const { MOST_WANDERING_BPM, MUCH_EVIDENCE, NO_PULSE, WANDERS, RIVALS, DROWNED } = K.vitals;
  const { wandering, evidence } = rate.features;
  if (Math.expm1(wandering) > MOST_WANDERING_BPM) return fill(NO_PULSE, { why: WANDERS });
  if (evidence <= MUCH_EVIDENCE) return fill(NO_PULSE, { why: DROWNED });
  return whyTooSlow(rate) ?? fill(NO_PULSE, { why: RIVALS });
}

// That a heart beats at half the rate, which is not read, or null.
function whyTooSlow({ isDoubled }) {
  return isDoubled ? fill(K.vitals.TOO_SLOW, { slowest: 60 * K.pulse.HEART_BAND_HZ[0] }) : null;
}

// A wave without its gaps.
function heardIn(wave) {
  return wave.filter(Number.isFinite);
}
