// Every number and sentence of the private mode: the server's own, so that both read alike.
//
// `K.pulse.STEP_S` is STEP_S of kdphys/pulse.py, and so on; webapp/private.py gives them.

import { rounded } from "./maths.js";

export const K = {};

export function learn(found) {
  Object.assign(K, found);
}

// Fill a sentence of the server in: {name}, {name:.0f} and {name:g}, as Python's str.format has them.
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)(?::(?:\.(\d+)f|g))?\}/g, (_, name, digits) => {
    const value = values[name];
    if (digits === undefined) return String(value);
    return Number(digits) ? value.toFixed(Number(digits)) : String(rounded(value)); // halves as in Python
  });
}
