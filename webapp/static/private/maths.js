// Arithmetic that several files share. Matrices are small, and arrays of rows.

export const SMALLEST = 2 ** -1022; // keeps a division from 0 by 0, as numpy.finfo(float).tiny

// To the nearest whole number, halves to the even one, as Python and NumPy round.
export function rounded(value) {
  const down = Math.floor(value);
  const part = value - down;
  if (part === 0.5) return down % 2 ? down + 1 : down;
  return part < 0.5 ? down : down + 1;
}

export function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// Where the first of the largest values is.
export function argmax(values) {
  let best = 0;
  for (let at = 1; at < values.length; at++) if (values[at] > values[best]) best = at;
  return best;
}

export function sum(values) {
  let total = 0;
  for (let at = 0; at < values.length; at++) total += values[at];
  return total;
}

export function mean(values) {
  return sum(values) / values.length;
}

export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Standard deviation, with `lost` degrees of freedom taken off.
export function spread(values, lost = 0) {
  const level = mean(values);
  return Math.sqrt(sum(values.map((value) => (value - level) ** 2)) / (values.length - lost));
}

// A Hann taper that would close after `period` samples: `length` for spectra, one less for a
// symmetric one.
export function hann(length, period) {
  return Float64Array.from({ length }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / period));
}

// Inverse of a square matrix, by Gauss and Jordan with the largest pivot.
export function inverse(matrix) {
  const size = matrix.length;
  const rows = matrix.map((row, at) => [...row, ...row.map((_, to) => Number(to === at))]);
  for (let at = 0; at < size; at++) {
    let best = at;
    for (let row = at + 1; row < size; row++)
      if (Math.abs(rows[row][at]) > Math.abs(rows[best][at])) best = row;
    [rows[at], rows[best]] = [rows[best], rows[at]];
    const pivot = rows[at][at];
    rows[at] = rows[at].map((value) => value / pivot);
    rows.forEach((row, other) => {
      if (other === at || row[at] === 0) return;
      const factor = row[at];
      rows[other] = row.map((value, to) => value - factor * rows[at][to]);
    });
  }
  return rows.map((row) => row.slice(size));
}

// Product of a matrix and long rows.
export function multiply(matrix, rows) {
  return matrix.map((factors) => {
    const sum = new Float64Array(rows[0].length);
    factors.forEach((factor, at) => {
      for (let place = 0; place < sum.length; place++) sum[place] += factor * rows[at][place];
    });
    return sum;
  });
}
