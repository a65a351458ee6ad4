// What the server says to a browser (webapp/live.py), said by the browser itself.

import { follow, whole } from "./view.js";
import { K } from "./constants.js";
import { Meter } from "./meter.js";
import { unpacked } from "../pixels.js";

export class Visit {
  constructor({ width, height, visit }, finder, student) {
    this.wide = width;
    this.high = height;
    this.name = visit;
    this.meter = new Meter(finder, student);
    this.view = whole(width, height);
    this.latestS = -Infinity;
    this.late = 0;
  }

  // Look at a batch of pictures; say what came of it.
  async take(batch) {
    const shots = unpacked(batch);
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
