// What the server says to a browser (webapp/live.py), said by the browser itself.

import { follow, whole } from "./view.js";
import { K } from "./constants.js";
import { Meter } from "./meter.js";

const HEAD_BYTES = 4;
const PICTURE_BYTES = 16;

export class Visit {
  constructor({ width, height, visit }, finder, student) {
    this.wide = width;
    this.high = height;
    this.name = visit;
    this.newMeter = () => new Meter(finder, student);
    this.restart();
    this.latestS = -Infinity;
    this.late = 0;
  }

  restart() {
    this.meter = this.newMeter();
    this.view = whole(this.wide, this.high);
  }

  // Look at a batch of pictures; say what came of it.
  async take(batch) {
    const shots = opened(batch);
    let vitals = null;
    for (const { timeS, view, rgb } of shots) {
      if (timeS < this.latestS + K.live.LEAST_STEP_S) {
        this.late += 1;
        continue;
      }
      this.latestS = timeS;
      const picture = { rgb, wide: view[3], high: view[3] };
      vitals = (await this.meter.push(picture, timeS, view)) ?? vitals;
    }
    const { box } = this.meter.faces;
    this.view = follow(this.view, box, this.wide, this.high);
    const { firstStep, wave } = this.meter.take();
    const said = {
      view: this.view,
      box: box && [box.x0, box.y0, box.x1, box.y1],
      hint: this.meter.hint,
      step: firstStep,
      wave: Array.from(wave, (value) => (Number.isNaN(value) ? null : value)),
      time_s: shots.at(-1).timeS,
      late: this.late,
    };
    return vitals ? { ...said, vitals: told(vitals), network_ms: this.meter.networkMs } : said;
  }
}

// Vitals as the page takes them.
function told(vitals) {
  const shown = ({ value, quality, ...rest }) => ({
    value: value === null ? null : Number(value.toFixed(1)),
    quality: Number(quality.toFixed(3)),
    ...rest,
  });
  return Object.fromEntries(Object.entries(vitals).map(([name, reading]) => [name, shown(reading)]));
}

// The shots of a batch as pixels.js packs them.
function opened(batch) {
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
