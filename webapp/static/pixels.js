// Pictures for the server: a square part of the camera's picture, averaged down exactly.
//
// A pulse changes skin by half a grey level, so every pixel that is sent is the mean over its share
// of the camera's pixels, fractions included. The canvas only copies; its own smoothing picks.

const HEAD_BYTES = 4;
const PICTURE_BYTES = 16;
const VERSION = 1;

export class Averager {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  // Average `view` ([x, y, side, pixels], in pixels of the picture) down; RGB, row by row.
  average(picture, [x, y, side, pixels]) {
    const [wide, high] = sizeOf(picture);
    const left = Math.min(Math.max(x, 0), wide - 1);
    const top = Math.min(Math.max(y, 0), high - 1);
    const width = Math.max(1, Math.min(x + side, wide) - left);
    const height = Math.max(1, Math.min(y + side, high) - top);
    if (this.canvas.width < width) this.canvas.width = width;
    if (this.canvas.height < height) this.canvas.height = height;
    this.context.drawImage(picture, left, top, width, height, 0, 0, width, height);
    const source = this.context.getImageData(0, 0, width, height).data;
    const columns = shares(x - left, side, pixels, width);
    const rows = shares(y - top, side, pixels, height);
    return weigh(source, width, columns, rows, pixels, (pixels / side) ** 2);
  }
}

// Width and height of a video's picture, as it is shown.
export function sizeOf({ displayWidth, displayHeight, videoWidth, videoHeight }) {
  return [displayWidth ?? videoWidth, displayHeight ?? videoHeight];
}

// Which of `length` source pixels each of `pixels` parts of a line of `side` covers, and how much of
// them; beyond the line its first or last pixel goes on. Part p covers starts[p] to starts[p + 1].
function shares(start, side, pixels, length) {
  const starts = new Int32Array(pixels + 1);
  const places = [];
  const weights = [];
  for (let part = 0; part < pixels; part++) {
    const from = start + (part * side) / pixels;
    const to = start + ((part + 1) * side) / pixels;
    for (let at = Math.floor(from); at < to; at++) {
      const share = Math.min(at + 1, to) - Math.max(at, from);
      if (share < 1e-9) continue;
      places.push(Math.min(Math.max(at, 0), length - 1));
      weights.push(share);
    }
    starts[part + 1] = places.length;
  }
  return { starts, places: Int32Array.from(places), weights: Float64Array.from(weights) };
}

function weigh(source, width, columns, rows, pixels, scale) {
  const result = new Uint8Array(pixels * pixels * 3);
  const sums = new Float64Array(pixels * 3);
  let line = new Float64Array(0);
  let known = -1; // the row of the source that `line` holds, averaged along x
  for (let part = 0; part < pixels; part++) {
    sums.fill(0);
    for (let row = rows.starts[part]; row < rows.starts[part + 1]; row++) {
      if (rows.places[row] !== known) line = across(source, width, rows.places[row], columns, pixels);
      known = rows.places[row];
      for (let at = 0; at < sums.length; at++) sums[at] += rows.weights[row] * line[at];
    }
    const from = part * pixels * 3;
    for (let at = 0; at < sums.length; at++) result[from + at] = Math.round(scale * sums[at]);
  }
  return result;
}

function across(source, width, row, columns, pixels) {
  const line = new Float64Array(pixels * 3);
  for (let part = 0; part < pixels; part++) {
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let column = columns.starts[part]; column < columns.starts[part + 1]; column++) {
      const at = 4 * (row * width + columns.places[column]);
      const share = columns.weights[column];
      red += share * source[at];
      green += share * source[at + 1];
      blue += share * source[at + 2];
    }
    line[3 * part] = red;
    line[3 * part + 1] = green;
    line[3 * part + 2] = blue;
  }
  return line;
}

// A binary batch as webapp/wire.py reads it; each shot is { timeS, view, rgb }.
export function batch(shots) {
  const size = shots.reduce((sum, shot) => sum + PICTURE_BYTES + shot.rgb.length, HEAD_BYTES);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x4b, 0x44, VERSION, shots.length]);
  let at = HEAD_BYTES;
  for (const shot of shots) {
    const [x, y, side, pixels] = shot.view;
    view.setFloat64(at, shot.timeS, true);
    view.setInt16(at + 8, x, true);
    view.setInt16(at + 10, y, true);
    view.setUint16(at + 12, side, true);
    view.setUint8(at + 14, pixels);
    bytes.set(shot.rgb, at + PICTURE_BYTES);
    at += PICTURE_BYTES + shot.rgb.length;
  }
  return bytes;
}

// The shots of such a batch, an ArrayBuffer.
export function unpacked(batch) {
  const bytes = new DataView(batch);
  const shots = [];
  for (let at = HEAD_BYTES; at < batch.byteLength;) {
    const pixels = bytes.getUint8(at + 14);
    const view = [
      bytes.getInt16(at + 8, true),
      bytes.getInt16(at + 10, true),
      bytes.getUint16(at + 12, true),
      pixels,
    ];
    const rgb = new Uint8Array(batch, at + PICTURE_BYTES, pixels * pixels * 3);
    shots.push({ timeS: bytes.getFloat64(at, true), view, rgb });
    at += PICTURE_BYTES + rgb.length;
  }
  return shots;
}
