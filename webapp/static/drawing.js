// The pulse trace and the history of the rate, drawn on canvases at the screen's own pace.

const SHOWN_S = 8;
const KEPT = 3600; // samples
const ROOM = 2; // samples that the right edge is ahead, so that it scrolls evenly and hides none
const CATCH_UP = 0.05; // share of its distance that it makes good in each picture
const PAD = 6;
const LEAST_HEIGHT = 0.3; // noise of a wave without a pulse stays small
const EASE = 0.08; // share of the way to a new height in each picture
const TIMES_PX = 14; // below the history, for the times
const TIMES_S = [10, 30, 60, 120, 300, 600, 1800]; // that may lie between two of them
const MOST_TIMES = 5;

export class Trace {
  // `fps` samples of the wave a second.
  constructor(canvas, fps) {
    this.canvas = canvas;
    this.fps = fps;
    this.clear();
  }

  clear() {
    this.values = new Map();
    this.latest = this.edge = null;
    this.height = 1; // half of what is shown from top to bottom,
    this.middle = 0; // around this
    this.drawnMs = null;
  }

  push(step, wave) {
    wave.forEach((value, index) => this.values.set(step + index, value));
    if (wave.length) this.latest = step + wave.length - 1;
    this.edge ??= this.latest + ROOM;
    for (const old of this.values.keys()) {
      if (this.values.size <= KEPT) break;
      this.values.delete(old);
    }
  }

  draw(nowMs = performance.now()) {
    const passedS = this.drawnMs === null ? 0 : (nowMs - this.drawnMs) / 1000;
    this.drawnMs = nowMs;
    if (this.edge !== null) {
      this.edge += passedS * this.fps;
      this.edge += CATCH_UP * (this.latest + ROOM - this.edge);
      this.edge = Math.min(this.edge, this.latest + 2 * ROOM);
    }
    const { pen, wide, high, style } = fitted(this.canvas);
    pen.clearRect(0, 0, wide, high);
    grid(pen, wide, high, style);
    if (this.edge !== null) this.line(pen, wide, high, style, this.edge);
  }

  // Up to a step at the right edge, or as far as samples have come.
  line(pen, wide, high, style, edge) {
    const shown = SHOWN_S * this.fps;
    const first = edge - shown;
    let [low, top] = [Infinity, -Infinity];
    for (let step = Math.ceil(first); step <= edge; step++) {
      const value = this.values.get(step) ?? NaN;
      if (value < low) low = value;
      if (value > top) top = value;
    }
    const isSeen = top >= low;
    const largest = Math.max(LEAST_HEIGHT, isSeen ? (top - low) / 2 : 0);
    this.height += EASE * (largest - this.height);
    this.middle += EASE * ((isSeen ? (top + low) / 2 : 0) - this.middle);
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.strokeStyle = style.getPropertyValue("--kd-student");
    pen.beginPath();
    let drawing = false;
    for (let step = Math.floor(first); step <= edge; step++) {
      const value = this.values.get(step) ?? null;
      if (value === null) {
        drawing = false;
        continue;
      }
      const x = ((step - first) / shown) * wide;
      const y = high / 2 - ((value - this.middle) / this.height) * (high / 2 - PAD);
      if (drawing) pen.lineTo(x, y);
      else pen.moveTo(x, y);
      drawing = true;
    }
    pen.stroke();
  }

  // A picture of the last seconds with the rate, to keep.
  picture(readings) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [1200, 420];
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    pen.fillStyle = style.getPropertyValue("--kd-card");
    pen.fillRect(0, 0, 1200, 420);
    pen.translate(30, 110);
    grid(pen, 1140, 280, style);
    if (this.latest !== null) this.line(pen, 1140, 280, style, this.latest);
    pen.translate(-30, -110);
    const last = readings.at(-1)?.value ? readings.at(-1) : null; // of the seconds that are drawn
    pen.fillStyle = style.getPropertyValue("--kd-ink");
    pen.font = "600 44px sans-serif";
    pen.fillText(last ? `${last.value.toFixed(1)} bpm` : "No reading", 30, 64);
    pen.font = "20px sans-serif";
    pen.fillStyle = style.getPropertyValue("--kd-muted");
    const note = last ? `confidence ${Math.round(100 * last.quality)} %, ` : "";
    pen.fillText(`${note}KDPhys, not a medical device`, 30, 96);
    return canvas;
  }
}

// Rates over time; unsure seconds are gaps.
export function drawHistory(canvas, readings) {
  const { pen, wide, high, style } = fitted(canvas);
  pen.clearRect(0, 0, wide, high);
  const every = Math.ceil(readings.length / Math.max(wide, 1)); // no more than there are pixels
  const shown = readings.filter((_, at) => (readings.length - 1 - at) % every === 0);
  const rates = shown.map(({ value }) => value).filter(Boolean);
  if (!rates.length) return;
  const low = Math.floor((Math.min(...rates) - 4) / 10) * 10;
  const top = Math.ceil((Math.max(...rates) + 4) / 10) * 10;
  const startS = shown[0].timeS;
  const spanS = Math.max(30, shown.at(-1).timeS - startS);
  const left = 34;
  const foot = high - TIMES_PX;
  const place = ({ timeS, value }) => [
    left + ((timeS - startS) / spanS) * (wide - left - PAD),
    foot - PAD - ((value - low) / (top - low)) * (foot - 2 * PAD),
  ];
  pen.font = "11px sans-serif";
  pen.fillStyle = style.getPropertyValue("--kd-muted");
  pen.strokeStyle = style.getPropertyValue("--kd-line");
  pen.lineWidth = 1;
  for (let rate = low; rate <= top; rate += 10) {
    const [, y] = place({ timeS: startS, value: rate });
    pen.fillText(String(rate), 2, Math.min(Math.max(y + 4, 10), foot - 2));
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(wide, y);
    pen.stroke();
  }
  const everyS = TIMES_S.find((step) => spanS / step <= MOST_TIMES) ?? TIMES_S.at(-1);
  pen.textAlign = "center";
  for (let timeS = Math.ceil(startS / everyS) * everyS; timeS <= startS + spanS; timeS += everyS) {
    const [x] = place({ timeS, value: low });
    pen.fillText(clock(timeS), Math.min(Math.max(x, left), wide - left / 2), high - 2);
  }
  pen.textAlign = "start";
  pen.strokeStyle = style.getPropertyValue("--kd-pulse");
  pen.lineWidth = 2;
  pen.beginPath();
  let drawing = false;
  for (const reading of shown) {
    if (reading.value) pen[drawing ? "lineTo" : "moveTo"](...place(reading));
    drawing = Boolean(reading.value);
  }
  pen.stroke();
}

// Minutes and seconds of a session.
function clock(timeS) {
  return `${Math.floor(timeS / 60)}:${String(Math.round(timeS % 60)).padStart(2, "0")}`;
}

// A canvas with as many pixels as it has on the screen.
function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: wide, clientHeight: high } = canvas;
  if (canvas.width !== Math.round(wide * ratio)) canvas.width = Math.round(wide * ratio);
  if (canvas.height !== Math.round(high * ratio)) canvas.height = Math.round(high * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, wide, high, style: getComputedStyle(canvas) };
}

function grid(pen, wide, high, style) {
  pen.strokeStyle = style.getPropertyValue("--kd-line");
  pen.lineWidth = 1;
  for (let second = 1; second < SHOWN_S; second++) {
    const x = (second / SHOWN_S) * wide;
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, high);
    pen.stroke();
  }
}
