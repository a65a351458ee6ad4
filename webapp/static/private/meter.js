// Pictures in, vitals out: FaceStream and LiveMeter of kdphys/stream.py. Time is the stamp of each
// picture; one meter serves one person.

import { EvenGrid } from "./clip.js";
import { fill, K } from "./constants.js";
import { centreOf, cropFace, widthOf } from "./crop.js";
import { FaceTracker } from "./face.js";
import { flickers } from "./flicker.js";
import { clip, median, rounded } from "./maths.js";
import { skinMean } from "./skin.js";
import { PictureSteps } from "./sparse.js";
import { inCamera, moved } from "./view.js";
import { measureVitals } from "./vitals.js";

class FaceStream {
  constructor(finder) {
    this.tracker = new FaceTracker(finder);
    this.grid = new EvenGrid(K.runtime.FPS);
    this.firstS = null;
    this.step = 0;
    this.newS = -Infinity;
    this.place = [-Infinity, [0, 0, 0]]; // when and where the face was last
    this.seen = null;
    this.view = null;
    this.box = null; // in the latest picture of the camera
  }

  // Take one picture; give what it adds to the grid, null where there is no face.
  async push(picture, timeS, view) {
    this.firstS ??= timeS;
    const repeats = this.repeats(picture, view);
    if (this.view && this.view.some((value, at) => value !== view[at]))
      this.tracker.reframe(moved(this.view, view));
    this.view = view;
    const box = await this.tracker.update(picture, timeS);
    this.box = box && inCamera(view, box);
    if (!box || this.tracker.changed) this.grid.restart();
    if (!box) return null;
    const crop = cropFace(picture, box, K.runtime.SIZE);
    const crops = this.grid.push(crop, timeS);
    if (this.grid.split) this.step = rounded((this.grid.startS - this.firstS) * K.runtime.FPS);
    const firstStep = this.step;
    this.step += crops.length;
    const places = this.goTo(this.box, timeS, firstStep, crops.length);
    const stepS = this.grid.split || repeats ? null : timeS - this.newS; // since the last other picture
    if (!repeats || this.grid.split) this.newS = timeS;
    const heldS = timeS - this.newS;
    const opens = this.grid.split;
    return { crops, places, firstStep, opens, crop, timeS: timeS - this.firstS, stepS, heldS };
  }

  // Note where the face is now; give where it was in the steps before, as samples for sway.js.
  goTo(box, timeS, firstStep, count) {
    const [beforeS, before] = this.place;
    const now = [...centreOf(box), widthOf(box)];
    this.place = [timeS, now];
    return Array.from({ length: count }, (_, at) => {
      const stepS = this.firstS + (firstStep + at) / K.runtime.FPS;
      const share = clip((stepS - beforeS) / (timeS - beforeS), 0, 1);
      return before.map((value, way) => value + share * (now[way] - value));
    }).flat();
  }

  // Whether a picture is the one before again, as where a slow source is shown fast.
  repeats({ rgb }, view) {
    const { seen } = this;
    this.seen = { rgb, view };
    if (!seen || seen.rgb.length !== rgb.length) return false;
    return (
      seen.view.every((value, at) => value === view[at]) && seen.rgb.every((level, at) => level === rgb[at])
    );
  }

  stepAt(timeS) {
    return this.firstS === null ? 0 : Math.floor((timeS - this.firstS) * K.runtime.FPS);
  }
}

export class Meter {
  // `student` makes a session; readings look back `K.stream.WINDOW_S` and come every `K.live.EVERY_S`.
  constructor(finder, student) {
    this.faces = new FaceStream(finder);
    this.student = student;
    this.session = student();
    this.window = Math.round(K.stream.WINDOW_S * K.runtime.FPS);
    const length = Math.max(this.window, Math.round(K.stream.MEMORY_S * K.runtime.FPS));
    this.wave = new Float64Array(length).fill(NaN);
    this.colours = new Float64Array(3 * length).fill(NaN);
    this.places = new Float64Array(3 * length).fill(NaN);
    this.endStep = this.takenStep = 0;
    this.shownStep = 0; // end of colours and places, of which the wave is a little short
    this.nextS = null;
    this.longer = null;
    this.longerStep = this.longerS = 0; // when that was, and how much was known then
    this.flickers = false;
    this.sparse = false;
    this.heldS = 0; // since the last other picture
    this.pictures = new PictureSteps(length / K.runtime.FPS + K.sparse.REACH_S);
    this.crop = null;
    this.recentBoxes = []; // [time, box]
    this.recent = []; // crops that another model can be shown
    this.times = []; // of the network for a picture, in ms
  }

  // Take one picture; give new vitals when it is time.
  async push(picture, timeS, view) {
    const found = await this.faces.push(picture, timeS, view);
    if (this.faces.tracker.changed) this.forget();
    this.notice(found, timeS);
    if (found) {
      if (found.opens) {
        this.session = this.student();
        this.recent = [];
        this.advanceTo(found.firstStep);
      }
      if (found.crops.length) await this.watch(found);
    } else {
      this.recent = []; // no one's who is there now
      const step = this.faces.stepAt(timeS);
      if (step > this.endStep) this.advanceTo(step);
    }
    const everyS = K.live.EVERY_S;
    this.nextS ??= timeS + everyS;
    if (timeS < this.nextS) return null;
    this.nextS += everyS * (Math.floor((timeS - this.nextS) / everyS) + 1);
    return this.read();
  }

  // Begin anew with a face that came back: it may be another person's.
  forget() {
    this.wave.fill(NaN);
    this.colours.fill(NaN);
    this.places.fill(NaN);
    this.longer = null;
    this.flickers = false;
    this.sparse = false;
    this.pictures.clear();
    this.recentBoxes = [];
  }

  // The samples since the last call, as far as they are remembered.
  take() {
    const fresh = Math.min(this.endStep - this.takenStep, this.wave.length);
    this.takenStep = this.endStep;
    return { firstStep: this.endStep - fresh, wave: this.wave.slice(this.wave.length - fresh) };
  }

  // What stands in the way of a reading, by the latest pictures.
  get hint() {
    const { box } = this.faces;
    if (!box || !this.crop) return "no face";
    if (box.score === 0) return "face lost";
    if (widthOf(box) < K.stream.TOO_FAR_PX) return "too far";
    const level = Math.max(...skinMean(this.crop));
    if (level < K.stream.TOO_DARK) return "too dark";
    if (level > K.stream.TOO_BRIGHT) return "too bright";
    const middles = this.recentBoxes.map(([, seen]) => centreOf(seen));
    const ways = [0, 1].map((axis) => {
      const along = middles.map((middle) => middle[axis]);
      return Math.max(...along) - Math.min(...along);
    });
    if (Math.max(...ways) > K.stream.RESTLESS * widthOf(box)) return "restless";
    if (this.sparse && this.heldS <= K.stream.GONE_S) return "sparse"; // else the reading says what it is
    return this.flickers ? "flicker" : null;
  }

  get networkMs() {
    return this.times.length ? median(this.times) : null;
  }

  async watch({ crops, places }) {
    const began = performance.now();
    const wave = await this.session.push(crops);
    this.times.push((performance.now() - began) / crops.length);
    if (this.times.length > K.stream.TIMED) this.times.shift();
    this.append(wave);
    shift(this.colours, crops.flatMap(skinMean));
    shift(this.places, places);
    this.shownStep += crops.length;
    this.recent = [...this.recent, ...crops].slice(-K.stream.RECENT_CROPS_S * K.runtime.FPS);
  }

  read() {
    const { FPS } = K.runtime;
    const isKnown = (from) => this.wave.subarray(from).some(Number.isFinite);
    // What is known long after a face was lost is no one's who is there now.
    const wave = isKnown(-Math.round(K.stream.GONE_S * FPS)) ? this.wave : this.wave.map(() => NaN);
    const colours = this.colours.slice(-3 * this.window);
    this.sparse = this.pictures.fpsAt([this.endStep / FPS])[0] < K.sparse.SPARSE_FPS;
    const known = wave.filter(Number.isFinite).length;
    const context = known > this.window && this.longer ? this.longer.context : null;
    const latestS = (K.stream.LATEST * this.window) / FPS;
    const { heart_rate } = this.readWave(wave.slice(-this.window), { latestS, context });
    this.flickers = heart_rate.value === null && flickers(colours, FPS);
    const begins = heart_rate.value !== null && this.longerS < K.vitals.LEAST_SECONDS;
    if (!this.longer || begins || this.endStep - this.longerStep >= K.stream.LONGER_EVERY_S * FPS) {
      this.longer = this.readWave(wave);
      [this.longerStep, this.longerS] = [this.endStep, known / FPS];
    }
    const { rmssd, sdnn, respiration } = this.longer;
    return { heart_rate, rmssd, sdnn, respiration };
  }

  // Read the end of the wave, but for what too few pictures tell; `asked` as measureVitals takes it.
  readWave(wave, asked) {
    const { FPS } = K.runtime;
    const [kept, few] = this.pictures.withoutSparse(wave, this.endStep, FPS, K.vitals.LEAST_SECONDS);
    const distrust = this.heldS > K.stream.GONE_S ? fill(K.stream.HELD, { held: this.heldS }) : few;
    const [colours, places] = [this.colours, this.places].map((samples) => samples.slice(-3 * wave.length));
    return measureVitals(kept, FPS, K.student.calibration, { ...asked, colours, places, distrust });
  }

  // The recent crops, where the face was in each, and what speaks against reading them, in words or null.
  get lately() {
    const { FPS } = K.runtime;
    const { length } = this.recent;
    const places = this.places.slice(this.places.length - 3 * length);
    const empty = new Float64Array(length);
    const [, distrust] = this.pictures.withoutSparse(empty, this.endStep, FPS, length / FPS);
    return { crops: this.recent, places, distrust };
  }

  // Remember what the hint needs, and how the pictures came.
  notice(found, timeS) {
    this.crop = found?.crop ?? null;
    this.heldS = found?.heldS ?? 0;
    if (found?.stepS) this.pictures.push(found.timeS, found.stepS);
    else if (this.heldS) this.pictures.wait(found.timeS, this.heldS);
    if (this.faces.box) this.recentBoxes.push([timeS, this.faces.box]);
    if (this.recentBoxes.length > K.stream.MOST_BOXES) this.recentBoxes.shift();
    const since = timeS - K.stream.RECENT_S;
    while (this.recentBoxes.length && this.recentBoxes[0][0] < since) this.recentBoxes.shift();
  }

  // Leave a gap up to a step of the grid.
  advanceTo(step) {
    const since = (end) => Math.min(Math.max(step - end, 0), this.wave.length);
    const [missing, unseen] = [since(this.endStep), since(this.shownStep)];
    shift(this.wave, Array(missing).fill(NaN));
    shift(this.colours, Array(3 * unseen).fill(NaN));
    shift(this.places, Array(3 * unseen).fill(NaN));
    this.endStep = step;
    this.shownStep = Math.max(step, this.shownStep);
  }

  append(wave) {
    shift(this.wave, wave);
    this.endStep += wave.length;
  }
}

// Put more at the end; as much is lost at the front.
function shift(values, more) {
  values.copyWithin(0, more.length);
  values.set(
    more.length > values.length ? more.slice(-values.length) : more,
    Math.max(0, values.length - more.length),
  );
}
