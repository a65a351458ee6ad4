// A thread that shows the same crops to student and teacher, one after the other, and says what each
// reads and how long it takes: compare_crops of kdphys/stream.py.

import { K } from "./constants.js";
import { loadBoth } from "./networks.js";
import { skinMean } from "./skin.js";
import { measureVitals } from "./vitals.js";

let loaded = null;

self.onmessage = async ({ data }) => {
  try {
    loaded ??= await loadBoth();
    self.postMessage(await compared(data));
  } catch (error) {
    self.postMessage({ failed: error.message });
  }
};

async function compared({ crops, places, distrust }) {
  const { FPS } = K.runtime;
  const colours = Float64Array.from(crops.flatMap(skinMean));
  const rows = {};
  for (const [name, wave] of Object.entries({ student: studentWave, teacher: loaded.teacher })) {
    await wave(crops.slice(0, FPS)); // the first run of all makes room for what comes
    const began = performance.now();
    const found = Float64Array.from(await wave(crops));
    const ms = (performance.now() - began) / crops.length;
    const seen = { colours, places, distrust };
    const { heart_rate: heart } = measureVitals(found, FPS, K[name].calibration, seen);
    rows[name] = { ms, ...heart };
  }
  return { compared: rows, seconds: Math.round((10 * crops.length) / FPS) / 10 };
}

async function studentWave(crops) {
  const session = loaded.student();
  return [...(await session.push(crops)), ...(await session.finish(crops.at(-1)))];
}
