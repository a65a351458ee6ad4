// The teacher over a whole recording, as TeacherSession of kdphys/runtime.py: windows that overlap by
// half, each faded into the one before.

import { K } from "./constants.js";
import { clipOf } from "./student.js";

// The wave of crops, one sample each.
export async function teacherWave(network, Tensor, crops) {
  const { frames } = K.teacher;
  const hop = frames >> 1;
  const wave = new Float32Array(crops.length);
  let tail = new Float32Array(0); // of the window before
  for (let at = 0; at < crops.length; at += hop) {
    const isLast = crops.length - at < frames;
    const piece = filled(crops.slice(at, at + frames), isLast ? 4 : frames);
    const found = (await network.run({ clip: clipOf(Tensor, piece) })).wave.data;
    const joined = faded(tail, found);
    wave.set(joined.subarray(0, isLast ? crops.length - at : hop), at);
    if (isLast) break;
    tail = joined.slice(hop);
  }
  return wave;
}

// Crops with the last one repeated up to a multiple of some length.
function filled(crops, multiple) {
  const missing = (multiple - (crops.length % multiple)) % multiple;
  return [...crops, ...Array(missing).fill(crops.at(-1))];
}

function faded(tail, wave) {
  const common = Math.min(tail.length, wave.length);
  return Float32Array.from(wave, (value, at) => {
    if (at >= common) return value;
    const rise = Math.sin((((at + 0.5) / common) * Math.PI) / 2) ** 2;
    return rise * value + (1 - rise) * tail[at];
  });
}
