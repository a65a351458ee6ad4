// A box in a picture averaged down to a small square, as kdphys/crop.py does it.
//
// A picture is { rgb, wide, high }, RGB in 0..255, row by row; a box { x0, y0, x1, y1, score }.

import { K } from "./constants.js";
import { clip, rounded } from "./maths.js";

const TINY = 1e-9; // of a pixel: rounding, which would reach beyond the last one
export const COEFFICIENT = 2048; // OpenCV's fixed point for straight lines between pixels

export const widthOf = (box) => box.x1 - box.x0;
export const centreOf = (box) => [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2];

// The mean light of each of size x size parts of a box; beyond the picture its edge goes on.
export function cropFace(picture, box, size) {
  const least = Math.min(box.x1 - box.x0, box.y1 - box.y0);
  if (!(least > 0)) throw new Error("a box must have an extent above 0");
  const shrink = Math.max(1, Math.floor(least / (K.crop.ENOUGH_SAMPLES * size)));
  const enlarge = Math.min(K.crop.MAX_ENLARGE, Math.ceil((K.crop.FEWEST_SAMPLES * size) / least));
  const left = Math.floor(box.x0 / shrink) - 1;
  const right = Math.ceil(box.x1 / shrink) + 1;
  const top = Math.floor(box.y0 / shrink) - 1;
  const bottom = Math.ceil(box.y1 / shrink) + 1;
  let patch = cut(picture, left * shrink, top * shrink, (right - left) * shrink, (bottom - top) * shrink);
  if (shrink > 1) patch = shrunk(patch, shrink);
  else if (enlarge > 1) patch = enlarged(patch, enlarge);
  const scale = enlarge / shrink;
  const [across, down] = [((box.x1 - box.x0) * scale) / size, ((box.y1 - box.y0) * scale) / size];
  const columns = covered(box.x0 * scale - left * enlarge, across, size);
  const rows = covered(box.y0 * scale - top * enlarge, down, size);
  return averaged(patch, columns, rows, across * down);
}

export function cut({ rgb, wide, high }, x, y, width, height) {
  const result = new Uint8Array(width * height * 3);
  for (let row = 0, to = 0; row < height; row++) {
    const from = clip(y + row, 0, high - 1) * wide;
    for (let column = 0; column < width; column++, to += 3) {
      const at = 3 * (from + clip(x + column, 0, wide - 1));
      result[to] = rgb[at];
      result[to + 1] = rgb[at + 1];
      result[to + 2] = rgb[at + 2];
    }
  }
  return { rgb: result, wide: width, high: height };
}

// Whole blocks of pixels to their rounded means.
function shrunk({ rgb, wide, high }, times) {
  const [width, height] = [wide / times, high / times];
  const result = new Uint8Array(width * height * 3);
  for (let at = 0; at < result.length; at++) {
    const colour = at % 3;
    const column = ((at - colour) / 3) % width;
    const row = ((at - colour) / 3 - column) / width;
    let sum = 0;
    for (let down = 0; down < times; down++)
      for (let across = 0; across < times; across++)
        sum += rgb[3 * ((row * times + down) * wide + column * times + across) + colour];
    result[at] = times === 2 ? (sum + 2) >> 2 : rounded(sum / times ** 2); // as OpenCV
  }
  return { rgb: result, wide: width, high: height };
}

function enlarged(picture, times) {
  return stretched(picture, between(picture.wide, times), between(picture.high, times));
}

// Straight lines between pixels, in the integers that OpenCV takes: each column and row of the
// result lies between a `first` and a `second` one, by `part` of COEFFICIENT closer to the second.
export function stretched({ rgb, wide, high }, columns, rows) {
  const length = columns.length * 3;
  const lines = new Int32Array(length * high);
  for (let row = 0, to = 0; row < high; row++)
    for (const { first, second, part } of columns)
      for (let colour = 0; colour < 3; colour++, to++)
        lines[to] =
          rgb[3 * (row * wide + first) + colour] * (COEFFICIENT - part) +
          rgb[3 * (row * wide + second) + colour] * part;
  const result = new Uint8Array(length * rows.length);
  let to = 0;
  for (const { first, second, part } of rows)
    for (let at = 0; at < length; at++, to++) {
      const upper = (COEFFICIENT - part) * (lines[first * length + at] >> 4);
      const lower = part * (lines[second * length + at] >> 4);
      result[to] = ((upper >> 16) + (lower >> 16) + 2) >> 2;
    }
  return { rgb: result, wide: columns.length, high: rows.length };
}

function between(length, times) {
  return Array.from({ length: length * times }, (_, at) => {
    const place = (at + 0.5) / times - 0.5;
    const first = Math.floor(place);
    const part = rounded((place - first) * COEFFICIENT);
    if (first < 0) return { first: 0, second: 0, part: 0 };
    return { first, second: Math.min(first + 1, length - 1), part: first < length - 1 ? part : 0 };
  });
}

// Which pixels each of `size` parts of a line covers, and how much of each: [[at, share], ...].
export function covered(start, step, size) {
  return Array.from({ length: size }, (_, part) => {
    const from = start + part * step;
    const to = from + step;
    const shares = [];
    for (let at = Math.floor(from); at < to; at++) {
      const share = Math.min(at + 1, to) - Math.max(at, from);
      if (share > TINY) shares.push([at, share]);
    }
    return shares;
  });
}

// Sums over shares of rows and columns, by an area.
export function averaged({ rgb, wide }, columns, rows, area) {
  const result = new Uint8Array(columns.length * rows.length * 3);
  const line = new Float64Array(wide * 3);
  let to = 0;
  for (const row of rows) {
    line.fill(0);
    for (const [at, share] of row)
      for (let place = 0, from = at * wide * 3; place < line.length; place++, from++)
        line[place] += share * rgb[from];
    for (const column of columns) {
      for (let colour = 0; colour < 3; colour++, to++) {
        let sum = 0;
        for (const [at, share] of column) sum += share * line[3 * at + colour];
        result[to] = rounded(sum / area);
      }
    }
  }
  return result;
}
