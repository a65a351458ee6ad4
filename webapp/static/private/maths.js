// Small matrices, as arrays of rows.

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
