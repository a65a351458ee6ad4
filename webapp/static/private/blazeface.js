// Faces in a square picture, by MediaPipe's near and far models (Bazarevsky et al. 2019, arXiv
// 1907.05047): the same networks, anchors and joining of overlapping boxes as in the server's MediaPipe.

import { K } from "./constants.js";

const NEAR_GRIDS = [
  { cells: 16, count: 2 },
  { cells: 8, count: 6 },
];
const FAR_GRIDS = [{ cells: 48, count: 1 }];
const NUMBERS = 16; // of each anchor: a box, and six points of the face
const LEAST_OVERLAP = 0.3; // of boxes that are one face, as intersection over union
const MOST_LOGIT = 100;

// Middles of the places where a model looks, in shares of its picture.
const anchorsOf = (grids) =>
  grids.flatMap(({ cells, count }) =>
    Array.from({ length: cells * cells * count }, (_, at) => {
      const cell = Math.floor(at / count);
      return [((cell % cells) + 0.5) / cells, (Math.floor(cell / cells) + 0.5) / cells];
    }),
  );

export class BlazeFace {
  // `network` is a session of ONNX Runtime, `Tensor` its class for arrays, `model` NEAR or FAR.
  constructor(network, Tensor, model) {
    this.network = network;
    this.Tensor = Tensor;
    this.size = K.face.INPUT_PX[model];
    this.leastScore = K.face.MIN_SCORE[model];
    this.anchors = anchorsOf(model === K.face.NEAR ? NEAR_GRIDS : FAR_GRIDS);
  }

  // Squares { x, y, side, score } in shares of a picture of `size` pixels, middles first; best first.
  async look(rgb) {
    const { network, size } = this;
    const picture = Float32Array.from(rgb, (level) => level / 127.5 - 1);
    const input = new this.Tensor("float32", picture, [1, size, size, 3]);
    const found = await network.run({ [network.inputNames[0]]: input });
    const [regressors, logits] = network.outputNames.map((name) => found[name].data);
    return joined(this.boxes(regressors, logits));
  }

  boxes(regressors, logits) {
    const { size } = this;
    const found = [];
    this.anchors.forEach(([x, y], at) => {
      const score = 1 / (1 + Math.exp(-Math.max(-MOST_LOGIT, Math.min(MOST_LOGIT, logits[at]))));
      if (score < this.leastScore) return;
      const [right, down, wide, high] = regressors.subarray(NUMBERS * at, NUMBERS * at + 4);
      found.push({ x: x + right / size, y: y + down / size, wide: wide / size, high: high / size, score });
    });
    return found.sort((one, other) => other.score - one.score);
  }
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
