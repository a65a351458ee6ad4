// Faces in a square picture, by MediaPipe's near model (Bazarevsky et al. 2019, arXiv 1907.05047):
// the same network, anchors and joining of overlapping boxes as in the server's MediaPipe.

import { K } from "./constants.js";

const GRIDS = [
  { cells: 16, anchors: 2 },
  { cells: 8, anchors: 6 },
];
const NUMBERS = 16; // of each anchor: a box, and six points of the face
const LEAST_OVERLAP = 0.3; // of boxes that are one face, as intersection over union
const MOST_LOGIT = 100;

const anchors = GRIDS.flatMap(({ cells, anchors: count }) =>
  Array.from({ length: cells * cells * count }, (_, at) => {
    const cell = Math.floor(at / count);
    return [((cell % cells) + 0.5) / cells, (Math.floor(cell / cells) + 0.5) / cells];
  }),
);

export class BlazeFace {
  // `network` is a session of ONNX Runtime, `Tensor` its class for arrays.
  constructor(network, Tensor) {
    this.network = network;
    this.Tensor = Tensor;
  }

  // Squares { x, y, side, score } in shares of a picture of INPUT_PX, middles first; best first.
  async look(rgb) {
    const size = K.face.INPUT_PX[K.face.NEAR];
    const picture = Float32Array.from(rgb, (level) => level / 127.5 - 1);
    const input = new this.Tensor("float32", picture, [1, size, size, 3]);
    const { regressors, classificators } = await this.network.run({ input });
    return joined(boxes(regressors.data, classificators.data, size));
  }
}

function boxes(regressors, logits, size) {
  const found = [];
  anchors.forEach(([x, y], at) => {
    const score = 1 / (1 + Math.exp(-Math.max(-MOST_LOGIT, Math.min(MOST_LOGIT, logits[at]))));
    if (score < K.face.MIN_SCORE) return;
    const [right, down, wide, high] = regressors.subarray(NUMBERS * at, NUMBERS * at + 4);
    found.push({ x: x + right / size, y: y + down / size, wide: wide / size, high: high / size, score });
  });
  return found.sort((one, other) => other.score - one.score);
}

// Each best box becomes the mean, weighted by score, of those that overlap it.
function joined(found) {
  const faces = [];
  while (found.length) {
    const [best] = found;
    const same = found.filter((box) => overlap(box, best) > LEAST_OVERLAP);
    found = found.filter((box) => !same.includes(box));
    if (!same.length) break;
    const total = same.reduce((sum, { score }) => sum + score, 0);
    const mean = (of) => same.reduce((sum, box) => sum + box.score * of(box), 0) / total;
    faces.push({ x: mean((b) => b.x), y: mean((b) => b.y), side: mean((b) => b.wide), score: best.score });
  }
  return faces;
}

function overlap(one, other) {
  const along = (middle, side) =>
    Math.min(one[middle] + one[side] / 2, other[middle] + other[side] / 2) -
    Math.max(one[middle] - one[side] / 2, other[middle] - other[side] / 2);
  const common = Math.max(0, along("x", "wide")) * Math.max(0, along("y", "high"));
  return common / (one.wide * one.high + other.wide * other.high - common);
}
