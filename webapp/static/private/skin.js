// Mean colour of the oval of a crop in which skin is, as kdphys/classical.py takes it.

import { K } from "./constants.js";

export function skinMean(crop) {
  const size = Math.sqrt(crop.length / 3);
  const [[middleX, middleY], [wide, high]] = [K.classical.ELLIPSE_CENTRE, K.classical.ELLIPSE_RADII];
  const sums = [0, 0, 0];
  let count = 0;
  for (let row = 0, at = 0; row < size; row++)
    for (let column = 0; column < size; column++, at += 3) {
      const across = ((column + 0.5) / size - middleX) / wide;
      const down = ((row + 0.5) / size - middleY) / high;
      if (across ** 2 + down ** 2 > 1) continue;
      for (let colour = 0; colour < 3; colour++) sums[colour] += crop[at + colour];
      count += 1;
    }
  return sums.map((sum) => sum / count);
}
