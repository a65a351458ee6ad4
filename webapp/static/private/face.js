// Where the face is: detection on thumbnails, and one steady box that follows a face. The rules and
// numbers are those of kdphys/face.py.

import { K } from "./constants.js";
import { COEFFICIENT, averaged, centreOf, covered, cropFace, cut, stretched, widthOf } from "./crop.js";
import { inverse, multiply, rounded, sum } from "./maths.js";

const MODES = 5; // of a patch: shift in x and y, growth, gain, shift in light

export class FaceFinder {
  constructor(near, far) {
    this.near = near;
    this.far = far;
  }

  // All faces, the largest first.
  async find(picture) {
    const { wide, high } = picture;
    const { near, far } = this;
    for (const [model, scale] of [
      [near, 1],
      [near, K.face.PADDED],
      [far, 1],
    ]) {
      const view = around([wide / 2, high / 2], scale * Math.max(wide, high));
      const faces = [];
      for (const box of await this.look(model, picture, view)) {
        const face = await this.follow(picture, box);
        if (face && face.score >= K.face.NEW_SCORE) faces.push(face);
      }
      if (faces.length) return withoutTwins(faces.sort((one, other) => widthOf(other) - widthOf(one)));
    }
    return [];
  }

  // The face that was in `box` a moment ago, or null.
  async follow(picture, box) {
    const view = around(centreOf(box), K.face.ZOOM * widthOf(box));
    return nearest(await this.look(this.near, picture, view), box);
  }

  async look(model, picture, view) {
    const found = await model.look(thumbnail(picture, view, model.size));
    return found.map(({ x, y, side, score }) => {
      const width = side * view.side;
      const across = view.x + x * view.side;
      const down = view.y + y * view.side - K.face.RAISE * width;
      return square(across, down, K.face.GROW * width, score);
    });
  }
}

export class FaceTracker {
  constructor(finder) {
    this.finder = finder;
    this.changed = false; // the latest box is on another face than the one before
    this.face = null;
    this.hadFace = false;
    this.timeS = this.nextLookS = this.nextSurveyS = -Infinity;
  }

  // Take the next picture; give the box of the face in it, or null.
  async update(picture, timeS) {
    const stepS = timeS - this.timeS;
    this.timeS = timeS;
    this.changed = false;
    const most = K.face.MOST_WIDTH * Math.max(picture.wide, picture.high);
    if (this.face && this.face.state[2] > most) this.face = null; // it can't be in this picture
    if (this.face) await this.carryOn(this.face, picture, stepS);
    else await this.search(picture);
    return this.face && this.face.box(this.face.missing);
  }

  // Go over to pictures that show another part of the same scene.
  reframe(to) {
    this.face?.reframe(to);
  }

  async search(picture) {
    if (this.timeS < this.nextLookS) return;
    this.nextLookS = this.timeS + K.face.SEARCH_S;
    const [first] = await this.survey(picture);
    if (first) this.begin(picture, first);
  }

  async carryOn(face, picture, stepS) {
    const held = face.register(picture);
    if (!held || this.timeS >= this.nextLookS) await this.lookAgain(face, picture, held);
    face.pull(stepS);
    if (this.face === face && face.missing && this.timeS - face.seenS > K.face.BRIDGE_S) this.face = null;
  }

  async lookAgain(face, picture, held) {
    const others = this.timeS >= this.nextSurveyS ? await this.survey(picture) : [];
    const found = nearest(others, face.box()) ?? (await this.finder.follow(picture, face.box()));
    if (others.length && this.prefers(others[0], found, face)) {
      this.begin(picture, others[0]);
    } else if (found && !held && !face.missing && face.misfit > K.face.CUT_MISFIT) {
      this.begin(picture, found);
    } else if (found) {
      face.see(picture, found, this.timeS, held);
      this.nextLookS = this.timeS + K.face.LOOK_S;
    } else {
      face.missing = true;
      this.nextLookS = this.timeS; // look again at once
      this.nextSurveyS = Math.min(this.nextSurveyS, this.timeS + K.face.RETRY_S);
    }
  }

  prefers(other, found, face) {
    if (!found) return this.timeS - face.seenS > K.face.PATIENCE_S;
    return widthOf(other) > K.face.MUCH_LARGER * widthOf(found);
  }

  survey(picture) {
    this.nextSurveyS = this.timeS + K.face.SURVEY_S;
    return this.finder.find(picture);
  }

  begin(picture, box) {
    this.face = new Followed(picture, box, this.timeS);
    this.changed = this.hadFace;
    this.hadFace = true;
    this.nextLookS = this.timeS + K.face.LOOK_S;
  }
}

// One face: where the picture has carried it (`anchor`), and how far the box is drawn off that
// (`offset`) towards the latest detection (`goal`). Each is [x, y, side].
class Followed {
  constructor(picture, box, timeS) {
    this.anchor = stateOf(box);
    this.offset = [0, 0, 0];
    this.goal = [0, 0, 0];
    this.see(picture, box, timeS, false);
  }

  get state() {
    return plus(this.anchor, this.offset);
  }

  box(bridged = false) {
    return square(...this.state, bridged ? 0 : this.score);
  }

  reframe({ scale, x, y }) {
    this.anchor = plus(times(this.anchor, scale), [x, y, 0]);
    this.offset = times(this.offset, scale);
    this.goal = times(this.goal, scale);
  }

  // Take in a detection; where the picture did not hold the box, go where it says.
  see(picture, found, timeS, held) {
    if (!held) {
      const move = minus(minus(stateOf(found), this.goal), this.anchor);
      const size = largest(move) / this.anchor[2];
      this.anchor = plus(this.anchor, times(move, size / (size + K.face.JITTER)));
    }
    const strayed = largest(this.offset) > K.face.MAX_STRAY * widthOf(found);
    if (strayed) {
      this.anchor = this.state; // the box stays where it is, on an anchor of its own
      this.offset = [0, 0, 0];
    }
    this.goal = minus(stateOf(found), this.anchor);
    this.score = found.score;
    this.seenS = timeS;
    this.missing = false;
    if (!held || strayed || this.misfit > K.face.STALE_MISFIT) {
      this.pattern = new Pattern(patch(picture, this.anchor));
      this.misfit = 0;
    }
  }

  // Move with the picture; false, and no move, where it no longer looks like the face.
  register(picture) {
    let { anchor } = this;
    for (let turn = 0; turn < K.face.REGISTER_STEPS; turn++) {
      const { move, misfit } = this.pattern.motion(patch(picture, anchor));
      this.misfit = misfit;
      const step = largest(move);
      if (step > K.face.MAX_MOTION) return false;
      anchor = plus(anchor, times(move, anchor[2]));
      if (step < K.face.FINE_MOTION) break;
    }
    if (this.misfit > K.face.MAX_MISFIT) return false;
    this.anchor = anchor;
    return true;
  }

  // Draw the box towards the latest detection.
  pull(stepS) {
    const error = minus(this.goal, this.offset);
    const distance = largest(error) / this.anchor[2];
    if (distance <= K.face.SLACK) return;
    const cutOffHz = K.face.PULL_HZ + K.face.PULL_HZ_PER_SIDE * (distance - K.face.SLACK);
    const share = -Math.expm1(-2 * Math.PI * cutOffHz * stepS);
    this.offset = plus(this.offset, times(error, (1 - K.face.SLACK / distance) * share));
  }
}

// What a face looks like, and how that changes where it moves by a little.
class Pattern {
  constructor(grey) {
    this.grey = grey;
    const { weight, modes } = shape(grey);
    this.weight = weight;
    this.modes = modes;
    const weighted = modes.map((mode) => mode.map((value, at) => value * weight[at]));
    const normal = modes.map((mode) => weighted.map((other) => dot(mode, other)));
    const ridge = 1e-6 * normal.reduce((sum, row, at) => sum + row[at], 0); // for a flat patch
    this.solve = multiply(
      inverse(normal.map((row, at) => row.map((value, to) => value + (at === to) * ridge))),
      weighted,
    );
    const mean = dot(weight, grey);
    this.contrast = Math.sqrt(
      dot(
        weight,
        grey.map((level) => (level - mean) ** 2),
      ),
    );
  }

  // How a patch has moved, in shares of the box, and how far it is still unlike.
  motion(patch) {
    const change = patch.map((level, at) => level - this.grey[at]);
    const found = this.solve.map((row) => dot(row, change));
    let rest = 0;
    for (let at = 0; at < change.length; at++) {
      let left = change[at];
      for (let mode = 0; mode < MODES; mode++) left -= this.modes[mode][at] * found[mode];
      rest += this.weight[at] * left * left;
    }
    const misfit = Math.sqrt(rest) / Math.max(this.contrast, K.face.MIN_CONTRAST);
    return { move: found.slice(0, 3), misfit };
  }
}

// Weights of a patch's pixels, and the change that each mode brings to it.
function shape(grey) {
  const size = K.face.PATCH_PX;
  const weight = new Float64Array(size * size);
  const modes = Array.from({ length: MODES }, () => new Float64Array(size * size));
  const slope = (at, step, place) => {
    if (place === 0) return grey[at + step] - grey[at];
    if (place === size - 1) return grey[at] - grey[at - step];
    return (grey[at + step] - grey[at - step]) / 2;
  };
  for (let row = 0, at = 0; row < size; row++)
    for (let column = 0; column < size; column++, at++) {
      const across = (column + 0.5) / size - 0.5;
      const down = (row + 0.5) / size - 0.5;
      const [wide, high] = K.face.WINDOW_SPREAD;
      weight[at] = Math.exp(-((across / wide) ** 2 + (down / high) ** 2) / 2);
      const right = slope(at, 1, column) * size;
      const below = slope(at, size, row) * size;
      modes[0][at] = -right;
      modes[1][at] = -below;
      modes[2][at] = -(across * right + down * below);
      modes[3][at] = grey[at];
      modes[4][at] = 1;
    }
  const total = sum(weight);
  return { weight: weight.map((value) => value / total), modes };
}

// The grey mean light of a square, averaged down.
function patch(picture, [x, y, side]) {
  const rgb = cropFace(picture, square(x, y, side, 0), K.face.PATCH_PX);
  return Float64Array.from(
    { length: rgb.length / 3 },
    (_, at) => (rgb[3 * at] + rgb[3 * at + 1] + rgb[3 * at + 2]) / 3,
  );
}

function around([x, y], side) {
  return { x: rounded(x - side / 2), y: rounded(y - side / 2), side: Math.max(2, rounded(side)) };
}

// A view averaged down, black beyond the picture.
function thumbnail(picture, { x, y, side }, size) {
  const { wide, high } = picture;
  const canvas = new Uint8Array(size * size * 3);
  const [x0, x1] = [Math.max(x, 0), Math.min(x + side, wide)];
  const [y0, y1] = [Math.max(y, 0), Math.min(y + side, high)];
  const scale = size / side;
  const [left, right] = [rounded((x0 - x) * scale), rounded((x1 - x) * scale)];
  const [top, bottom] = [rounded((y0 - y) * scale), rounded((y1 - y) * scale)];
  if (right <= left || bottom <= top) return canvas;
  const part = cut(picture, x0, y0, x1 - x0, y1 - y0);
  const shown = resized(part, right - left, bottom - top);
  for (let row = 0; row < shown.high; row++) {
    const line = shown.rgb.subarray(3 * row * shown.wide, 3 * (row + 1) * shown.wide);
    canvas.set(line, 3 * ((top + row) * size + left));
  }
  return canvas;
}

// As OpenCV's INTER_AREA has it: shares of the area where pixels get fewer, else straight lines over
// their seams.
function resized(picture, wide, high) {
  if (picture.wide < wide || picture.high < high)
    return stretched(picture, seams(picture.wide, wide), seams(picture.high, high));
  const columns = covered(0, picture.wide / wide, wide);
  const rows = covered(0, picture.high / high, high);
  const area = (picture.wide / wide) * (picture.high / high);
  return { rgb: averaged(picture, columns, rows, area), wide, high };
}

// OpenCV takes the step from its inverse, and the place between two pixels in single precision.
function seams(length, count) {
  const inverse = count / length;
  const step = 1 / inverse;
  return Array.from({ length: count }, (_, at) => {
    const first = Math.min(Math.floor(at * step), length - 1);
    const over = Math.max(0, Math.fround(at + 1 - (first + 1) * inverse));
    return { first, second: Math.min(first + 1, length - 1), part: rounded((over % 1) * COEFFICIENT) };
  });
}

function square(x, y, side, score) {
  const half = side / 2;
  return { x0: x - half, y0: y - half, x1: x + half, y1: y + half, score };
}

const stateOf = (box) => [...centreOf(box), widthOf(box)];
const plus = (one, other) => one.map((value, at) => value + other[at]);
const minus = (one, other) => one.map((value, at) => value - other[at]);
const times = (one, factor) => one.map((value) => value * factor);
const largest = (values) => Math.max(...values.map(Math.abs));

function dot(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += one[at] * other[at];
  return sum;
}

function distance(box, other) {
  const [[x, y], [otherX, otherY]] = [centreOf(box), centreOf(other)];
  return Math.hypot(x - otherX, y - otherY) / Math.max(widthOf(box), widthOf(other));
}

function isSameFace(box, other) {
  const ratio = widthOf(box) / widthOf(other);
  return (
    distance(box, other) < K.face.SAME_DISTANCE && ratio > 1 / K.face.SAME_WIDTH && ratio < K.face.SAME_WIDTH
  );
}

function nearest(faces, box) {
  const same = faces.filter((face) => isSameFace(face, box));
  return same.sort((one, other) => distance(one, box) - distance(other, box))[0] ?? null;
}

function withoutTwins(faces) {
  const kept = [];
  for (const face of faces) if (!kept.some((other) => isSameFace(face, other))) kept.push(face);
  return kept;
}
