// The student in ONNX Runtime: crops in, pulse wave out, as StudentSession of kdphys/runtime.py.

import { K } from "./constants.js";

export class StudentSession {
  constructor(network, Tensor) {
    this.network = network;
    this.Tensor = Tensor;
    this.frames = null;
    const past = new Float32Array(K.student.past.reduce((product, side) => product * side));
    this.past = new Tensor("float32", past, K.student.past);
    this.toSkip = K.student.lag;
  }

  // Take the next crops; give the samples that are ready.
  async push(crops) {
    const wave = [];
    for (let at = 0; at < crops.length; at += K.runtime.STREAM_CHUNK)
      wave.push(...(await this.run(crops.slice(at, at + K.runtime.STREAM_CHUNK))));
    const skipped = Math.min(this.toSkip, wave.length);
    this.toSkip -= skipped;
    return wave.slice(skipped);
  }

  async run(crops) {
    const clip = clipOf(this.Tensor, crops);
    this.frames ??= clipOf(this.Tensor, Array(K.student.reach).fill(crops[0]));
    const found = await this.network.run({ clip, frames: this.frames, features: this.past });
    this.frames = found.next_frames;
    this.past = found.next_features;
    return found.wave.data;
  }

  // The last samples, as if the last crop stood still.
  finish(last) {
    return this.push(Array(K.student.lag).fill(last));
  }
}

// Crops as the networks take them: colours first, in [0, 1].
export function clipOf(Tensor, crops) {
  const size = K.runtime.SIZE;
  const pixels = size * size;
  const clip = new Float32Array(crops.length * 3 * pixels);
  const unit = Math.fround(1 / 255);
  crops.forEach((crop, place) => {
    for (let colour = 0; colour < 3; colour++)
      for (let at = 0, to = (3 * place + colour) * pixels; at < pixels; at++, to++)
        clip[to] = crop[3 * at + colour] * unit;
  });
  return new Tensor("float32", clip, [1, crops.length, 3, size, size]);
}
