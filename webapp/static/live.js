// The live tab: camera to server to screen. The server does the arithmetic, or in private mode a
// worker of this browser that answers like it; this file films, asks for the parts of the picture
// that are wanted, and shows what comes back.

import { film } from "./camera.js";
import { Averager, batch, sizeOf } from "./pixels.js";
import { npz, save } from "./files.js";
import { Trace, drawHistory } from "./drawing.js";
import { Pace } from "./pace.js";
import { PAUSED, PrivateSocket, endPrivate, isAble } from "./private/socket.js";

const SEARCH_EVERY_S = 0.2; // between whole pictures while a face is looked for
const QUICK_S = 2; // that an answer may take, before there was any
const CREEP = 0.02; // by which the quickest answer is forgotten, a second: lines change
const SEARCH_LATE_S = 0.5; // longer than the quickest, after which no whole picture is sent
const MUTE_S = 10; // without an answer, after which a line is dead, though nobody closed it
const DIAL_S = 15; // until the server lets a visitor in
const ASLEEP_S = 1; // without a screen to draw on, when nothing could be heard
const PAUSE_S = 0.5; // between pictures, beyond which none were to come
const MOST_RECORDED_S = 180;
const RETRIES_S = [0.5, 1, 2, 4, 8, 8, 8]; // as long as the server keeps a visit
const STALE_S = 3; // without an answer, after which the rate that is shown is no one's
const HINT_S = 1; // that a hint stays, so that it can be read
const PRIVATE = "kdphys-private"; // where the browser remembers that choice
const PHONE = "(max-width: 720px), (max-height: 500px)"; // where the rate stands below the picture
const STILL = "(prefers-reduced-motion: reduce)";
const ON_AIR = "● "; // before the page's title, in whatever tab of it one is
const SPOKEN_EVERY_S = 15; // between rates that are read out to those who don't see them
const TILES = ["rmssd", "sdnn", "respiration"];

class Live {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-live="${name}"]`);
    this.texts = JSON.parse(this.part("texts").textContent);
    this.stepS = 1 / this.texts.fps;
    this.notes = Object.fromEntries(TILES.map((name) => [name, this.part(`${name}-why`).textContent]));
    this.video = this.part("video");
    this.averager = new Averager();
    this.trace = new Trace(this.part("trace"), this.texts.fps);
    this.recording = null; // outlives the session, until another one begins
    this.reset();
    for (const [name, act] of Object.entries({
      start: () => this.start(),
      stop: () => this.stop(),
      record: () => this.record(),
      compare: () => this.ask("compare"),
      csv: () => this.saveCsv(),
      json: () => this.saveJson(),
      png: () => this.savePng(),
      npz: () => this.saveNpz(),
    })) {
      this.part(name).addEventListener("click", act);
    }
    this.part("camera").addEventListener("change", () => this.stream && this.start());
    this.part("private").addEventListener("change", () => this.choosePrivacy());
    this.part("private").checked = remembered(PRIVATE) === "yes";
    this.part("private").disabled = false;
    this.sayPrivacy();
    document.addEventListener("visibilitychange", () => {
      if (this.root.dataset.state === "live") this.pause(document.hidden);
    });
    addEventListener("pagehide", () => this.stream && this.stop());
    const redraw = () => this.redraw();
    new ResizeObserver(redraw).observe(this.part("trace")); // a tab shown again, a phone turned round
    new MutationObserver(redraw).observe(document.body, { attributeFilter: ["class"] }); // another theme
    this.setState("idle");
    this.say("idle");
  }

  redraw() {
    this.trace.draw();
    drawHistory(this.part("history"), this.readings);
  }

  reset() {
    this.visit = newName();
    this.view = null;
    this.samples = []; // [step, value]
    this.readings = []; // { timeS, bpm, quality, ... }
    this.box = null;
    this.size = null; // of the camera's latest picture
    this.lastS = -Infinity;
    this.firstS = null;
    this.searchedS = -Infinity;
    this.open = []; // when each picture was sent that was not answered yet
    this.newLine();
    this.late = this.stepsBefore = this.heardS = 0;
    this.spokenS = -Infinity;
    this.stats = { filmed: 0, sent: 0, lost: 0, lagsMs: [], stamps: [], arrivals: [] };
    this.trace.clear();
    this.forgetRate();
    for (const name of ["lag", "network", "filmed"]) this.part(name).textContent = "–";
    drawHistory(this.part("history"), []);
    this.part("verdict").textContent = "";
    this.endRecording();
  }

  // Another line, or worker: how fast it is remains to be seen.
  newLine() {
    this.pace = new Pace();
    this.quickestS = QUICK_S; // answer
    this.watchedS = this.awakeS = -Infinity;
  }

  // Show no rate, as nobody is measured now.
  forgetRate() {
    this.bpm = null;
    this.isEarly = true;
    this.root.dataset.reading = "no";
    for (const name of ["bpm", "percent"]) this.part(name).textContent = "–";
    this.part("spoken").textContent = "";
    for (const name of TILES) this.showTile(name, { value: null, reason: null });
    this.part("reason").textContent = "";
    this.part("confidence").style.width = "0";
  }

  setState(state) {
    const isOn = state === "starting" || state === "live";
    const hadFocus = this.part(isOn ? "start" : "stop") === document.activeElement;
    this.root.dataset.state = state;
    for (const name of ["record", "compare"]) this.part(name).disabled = state !== "live";
    this.part("start").disabled = isOn;
    this.part("stop").disabled = !isOn;
    if (hadFocus) this.part(isOn ? "stop" : "start").focus({ preventScroll: true });
    document.title = (state === "live" ? ON_AIR : "") + document.title.replace(ON_AIR, "");
    this.offerFiles();
  }

  // Nothing is offered where there is nothing to take away.
  offerFiles() {
    this.root.dataset.files = this.samples.length || this.recording?.shots.length ? "yes" : "no";
  }

  // Say what to do; null says what the server last hinted at.
  say(name, detail) {
    if (name !== undefined) this.saying = name && { name, detail };
    const nothing = this.isEarly ? "collecting" : "unread";
    const said = this.saying ?? { name: this.hint ?? (this.bpm ? "reading" : nothing) };
    const text = said.detail ?? this.texts.status[said.name] ?? "";
    const status = this.part("status");
    const now = performance.now() / 1000;
    const isHint = !this.saying && status.dataset.kind in this.texts.status;
    if (text === status.textContent || (isHint && now - this.saidS < HINT_S)) return;
    this.saidS = now;
    status.textContent = text;
    status.dataset.kind = said.name;
  }

  async start() {
    this.halt();
    this.reset();
    const session = (this.session = {});
    this.setState("starting");
    this.say("starting");
    if (!navigator.mediaDevices?.getUserMedia) return this.fail("insecure");
    if (this.isPrivate && !isAble()) return this.fail("unable");
    try {
      const stream = await this.openCamera();
      if (session !== this.session) return stopTracks(stream); // stopped meanwhile
      this.stream = stream;
    } catch (error) {
      if (session !== this.session) return;
      if (error.name in this.texts.status) return this.fail(error.name);
      return this.failCamera(error);
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", () => this.fail("unplugged"));
    const stream = this.stream;
    this.video.srcObject = stream;
    try {
      await this.video.play();
      await this.listCameras(stream);
    } catch (error) {
      return stream === this.stream && this.failCamera(error);
    }
    if (stream !== this.stream) return; // stopped meanwhile
    this.setState("live");
    if (matchMedia(PHONE).matches) this.scrollTo("video", "start");
    this.pause(document.hidden);
    film(this.video, (...shot) => stream === this.stream && this.see(...shot));
    this.show();
  }

  scrollTo(name, block) {
    const behavior = matchMedia(STILL).matches ? "auto" : "smooth";
    this.part(name).scrollIntoView({ behavior, block });
  }

  // The chosen camera; any, where that one is gone and there is nothing to choose.
  async openCamera() {
    const open = (which) =>
      navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, ...which },
      });
    const chosen = this.part("camera").value;
    if (!chosen) return open({ facingMode: "user" });
    try {
      return await open({ deviceId: { exact: chosen } });
    } catch (error) {
      if (error.name !== "OverconstrainedError") throw error;
      await this.listCameras();
      if (!this.part("camera").hidden) throw error;
      return open({ facingMode: "user" });
    }
  }

  async listCameras(stream) {
    const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(
      (device) => device.kind === "videoinput",
    );
    const used = stream?.getVideoTracks()[0].getSettings().deviceId;
    this.part("camera").replaceChildren(
      ...cameras.map((camera, index) => new Option(camera.label || `Camera ${index + 1}`, camera.deviceId)),
    );
    this.part("camera").value = used ?? "";
    this.part("camera").hidden = cameras.length < 2;
  }

  // Whether exposure and white balance are held: once the light has settled, as what moves there looks
  // like a pulse, and until it has changed too far for what is held.
  async hold(isHeld) {
    if (isHeld === this.held) return;
    const track = this.stream?.getVideoTracks()[0];
    const able = track?.getCapabilities?.() ?? {};
    const mode = isHeld ? "manual" : "continuous";
    const wanted = ["exposureMode", "whiteBalanceMode"].filter((what) => able[what]?.includes(mode));
    if (!wanted.length) return;
    this.held = isHeld;
    try {
      await track.applyConstraints({ advanced: wanted.map((what) => ({ [what]: mode })) });
    } catch {
      this.held = !isHeld; // a camera that promised what it can't do
    }
  }

  // A browser stops the camera of a tab in the background: the server need not wait for it.
  pause(hidden) {
    this.say(hidden ? "hidden" : null);
    this.hangUp(PAUSED);
    if (!hidden) this.connect(0);
  }

  // Close the socket without coming back by itself.
  hangUp(code) {
    clearTimeout(this.retry);
    const socket = this.socket;
    this.socket = this.view = null;
    this.open = [];
    socket?.close(code);
  }

  stop() {
    this.halt();
    this.setState(this.samples.length ? "done" : "idle");
    this.say(this.samples.length ? "done" : "idle");
  }

  // Ask that nothing of this visit be remembered. The server closes the socket then: closed from
  // here, it could break off an answer, and with it what was asked.
  leave() {
    if (this.isLocal || this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send('{"ask": "leave"}');
    this.socket = null;
  }

  get isLocal() {
    return this.socket instanceof PrivateSocket;
  }

  fail(name, text = this.texts.status[name]) {
    this.halt();
    this.forgetRate();
    this.setState("failed");
    this.say(name, text);
    this.scrollTo("status", "nearest"); // on a phone it stands below the picture
  }

  failCamera(error) {
    this.fail("camera", `${this.texts.status.camera} (${error.message})`);
  }

  halt() {
    this.leave();
    if (this.stream) stopTracks(this.stream);
    this.stream = this.session = null;
    this.held = false;
    this.hint = this.bpm = null;
    this.hangUp(1000);
    endPrivate(); // which outlives a pause: a session may end in a hidden tab
    this.video.srcObject = null;
    this.box = null;
    const over = this.part("over");
    over.getContext("2d").clearRect(0, 0, over.width, over.height);
    this.endRecording();
  }

  // The socket

  get isPrivate() {
    return this.part("private").checked;
  }

  sayPrivacy() {
    this.part("privacy").textContent = this.isPrivate ? this.texts.kept : this.texts.sent;
  }

  choosePrivacy() {
    remember(PRIVATE, this.isPrivate ? "yes" : "no");
    this.sayPrivacy();
    if (this.root.dataset.state !== "live") return;
    if (this.isPrivate && !isAble()) return this.fail("unable");
    this.part("compare").disabled = true;
    this.hint = null;
    this.forgetRate();
    this.leave();
    this.hangUp(1000);
    this.visit = newName(); // what one side knows is not to go on at the other
    this.newLine();
    this.say(null);
    this.connect(0);
  }

  // A line to the server, or to this browser's own worker.
  dial() {
    if (this.isPrivate) return new PrivateSocket();
    const address = new URL("../live", import.meta.url); // behind a proxy, below a path of its own
    address.protocol = address.protocol.replace("http", "ws");
    return new WebSocket(address);
  }

  connect(attempt) {
    const socket = Object.assign(this.dial(), { attempt, dialledS: performance.now() / 1000 });
    this.socket = socket;
    if (this.isPrivate) this.say("loading");
    socket.addEventListener("open", () => {
      const [width, height] = ([this.wide, this.high] = this.size ?? sizeOf(this.video));
      socket.send(JSON.stringify({ width, height, visit: this.visit }));
    });
    socket.addEventListener("message", ({ data }) => this.hear(JSON.parse(data), socket));
    socket.addEventListener("close", () => socket === this.socket && this.stream && this.dialAgain());
  }

  // The line is lost: wait, and try again. One that has served begins counting anew.
  dialAgain() {
    const attempt = this.socket.answered ? 0 : this.socket.attempt;
    this.hangUp();
    if (attempt >= RETRIES_S.length) return this.fail("unreachable");
    this.say("reconnecting");
    this.retry = setTimeout(() => this.connect(attempt + 1), 1000 * RETRIES_S[attempt]);
  }

  hear(said, socket) {
    if (socket !== this.socket) return;
    if (said.closed) {
      socket.answered = true;
      if (said.again) return; // its close comes next, and with it another try
      return this.fail("closed", said.closed);
    }
    if ("failed" in said) return this.fail("failed", `${this.texts.status.failed} (${said.failed}).`);
    if ("compared" in said) return this.showComparison(said);
    if (said.view) this.view = said.view;
    if (said.welcome) return this.settle(said);
    if (!said.wave) return;
    socket.answered = true;
    const now = performance.now();
    const tookS = now / 1000 - this.open.shift();
    const creepS = CREEP * (now / 1000 - Math.max(this.heardS, this.firstS));
    this.quickestS = Math.min(tookS, this.quickestS + creepS);
    this.stats.lagsMs.push(now - 1000 * said.time_s);
    this.stats.lost += said.late - this.late;
    this.late = said.late;
    this.box = said.box;
    this.heardS = now / 1000;
    const step = said.step + this.stepsBefore;
    const isFirst = !this.samples.length;
    said.wave.forEach((value, index) => this.samples.push([step + index, value]));
    if (isFirst) this.offerFiles();
    this.trace.push(step, said.wave);
    this.hint = said.hint === "sparse" && this.pace.every > 1 ? "slow line" : said.hint;
    if (said.vitals) this.take(said);
    if (!this.saying) this.say(null);
  }

  // The server lets this visit in; where it knows nothing of it any more, its steps begin anew.
  settle({ resumed }) {
    if (!resumed && this.samples.length) {
      const missedS = Math.max(0, performance.now() / 1000 - this.heardS);
      this.stepsBefore = this.samples.at(-1)[0] + 1 + Math.round(missedS / this.stepS);
      this.late = 0;
    }
    this.part("compare").disabled = false;
    this.say(null);
  }

  ask(what) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.part("compare").disabled = true;
    this.socket.send(JSON.stringify({ ask: what }));
  }

  // Filming

  // A picture, when it was taken, and whether the browser knows that.
  see(picture, timeS, isExact) {
    if (!(timeS > this.lastS)) return; // the same picture again
    this.lastS = timeS;
    if (this.firstS === null) this.part("clock").hidden = isExact;
    const [wide, high] = (this.size = sizeOf(picture));
    if (this.view && (wide !== this.wide || high !== this.high)) {
      this.hangUp(PAUSED); // a phone was turned round
      this.connect(0);
    }
    if (!this.view || this.socket?.readyState !== WebSocket.OPEN) return;
    const searching = this.view[3] === this.texts.search_px;
    if (searching && timeS - this.searchedS < SEARCH_EVERY_S) return;
    this.searchedS = timeS;
    this.stats.filmed += 1;
    if (!(searching ? this.lateS < SEARCH_LATE_S : this.pace.admits(timeS, this.lateS))) {
      this.stats.lost += 1;
      return;
    }
    const shot = { timeS, view: this.view, rgb: this.averager.average(picture, this.view) };
    this.firstS ??= timeS;
    this.send(shot);
    if (searching) return;
    this.stats.stamps.push(timeS);
    if (this.recording?.open) this.keep(shot);
  }

  // How much longer than the quickest answer the oldest picture has waited for its own.
  get lateS() {
    if (!this.open.length) return 0;
    return Math.max(0, performance.now() / 1000 - this.open[0] - this.quickestS);
  }

  // At once: what waits for others makes the trace late.
  send(shot) {
    this.socket.send(batch([shot]));
    this.stats.sent += 1;
    this.open.push(performance.now() / 1000);
  }

  // What is shown

  show() {
    if (!this.stream) return;
    requestAnimationFrame(() => this.show()); // first: what fails below is not to stop the rest
    this.watch(performance.now() / 1000);
    this.trace.draw();
    const over = this.part("over");
    const { videoWidth: wide, videoHeight: high } = this.video;
    if (over.width !== wide) [over.width, over.height] = [wide, high];
    const pen = over.getContext("2d");
    pen.clearRect(0, 0, wide, high);
    if (this.box) {
      const [x0, y0, x1, y1] = this.box;
      pen.lineWidth = 3;
      pen.strokeStyle = getComputedStyle(this.root).getPropertyValue("--kd-student");
      pen.beginPath();
      const corner = [x0, y0, x1 - x0, y1 - y0];
      if (pen.roundRect) pen.roundRect(...corner, 0.08 * (x1 - x0));
      else pen.rect(...corner);
      pen.stroke();
      pen.globalAlpha = 0.55;
      pen.setLineDash([6, 6]);
      pen.beginPath(); // the oval whose mean colour the classical methods take
      const [[midX, midY], [wideX, highY]] = this.texts.oval;
      const at = (share, low, high) => low + share * (high - low);
      pen.ellipse(at(midX, x0, x1), at(midY, y0, y1), wideX * (x1 - x0), highY * (y1 - y0), 0, 0, 7);
      pen.stroke();
      pen.setLineDash([]);
      pen.globalAlpha = 1;
    }
  }

  // A rate that nothing comes after is not left standing, nor a line that is dead.
  watch(nowS) {
    if (document.hidden) return;
    if (nowS - this.watchedS > ASLEEP_S) this.awakeS = nowS;
    this.watchedS = nowS;
    if (this.isDead(nowS)) this.dialAgain();
    if (this.bpm && nowS - this.heardS > STALE_S) {
      this.forgetRate();
      if (!this.saying) this.say(null);
    }
    const isBlind = Number.isFinite(this.lastS) && nowS - this.lastS > STALE_S;
    if (isBlind) this.box = null;
    if (isBlind && !this.saying) this.say("blind");
    else if (!isBlind && this.saying?.name === "blind") this.say(null);
  }

  // Whether the server says nothing where it should. What came while the page slept is yet to be heard.
  isDead(nowS) {
    if (!this.socket || this.isLocal) return false;
    if (!this.view) return nowS - Math.max(this.socket.dialledS, this.awakeS) > DIAL_S;
    return this.open.length > 0 && nowS - Math.max(this.heardS, this.open[0], this.awakeS) > MUTE_S;
  }

  take({ vitals, network_ms: networkMs, time_s: timeS }) {
    const { heart_rate: heart, ...others } = vitals;
    this.bpm = heart.value;
    this.readings.push({ timeS: timeS - this.firstS, ...heart, ...others });
    this.stats.arrivals.push([timeS - this.firstS, heart.value, heart.quality]);
    if (heart.value) this.hold(true);
    else if (this.hint === "too dark" || this.hint === "too bright") this.hold(false);
    this.part("bpm").textContent = heart.value ? heart.value.toFixed(0) : "–";
    this.isEarly = heart.is_early;
    this.part("reason").textContent = heart.is_early ? "" : (heart.reason ?? "");
    this.root.style.setProperty("--beat", `${60 / (heart.value ?? 60)}s`);
    this.root.dataset.reading = heart.value ? "yes" : "no";
    const percent = Math.round(100 * heart.quality);
    this.part("confidence").style.width = `${percent}%`;
    this.part("percent").textContent = `${percent} %`;
    // Without a heart rate the reason stands once, and what to do in the status.
    for (const name of TILES) this.showTile(name, heart.value ? others[name] : { value: null, reason: null });
    const lags = this.stats.lagsMs.slice(-100).sort((one, other) => one - other);
    this.part("lag").textContent = `${Math.round(lags[lags.length >> 1])} ms`;
    const taken = this.stats.stamps.slice(-60);
    const stepsS = taken.slice(1).map((stamp, index) => stamp - taken[index]);
    const seenS = stepsS.filter((stepS) => stepS < PAUSE_S);
    const fps = seenS.length / seenS.reduce((sum, stepS) => sum + stepS, 0);
    if (seenS.length) this.part("filmed").textContent = `${fps.toFixed(0)} fps`;
    if (networkMs) this.part("network").textContent = `${networkMs.toFixed(2)} ms`;
    drawHistory(this.part("history"), this.readings);
    this.speak(performance.now() / 1000);
  }

  // Now and then, for those who hear the page.
  speak(nowS) {
    if (!this.bpm || nowS - this.spokenS < SPOKEN_EVERY_S) return;
    this.spokenS = nowS;
    this.part("spoken").textContent = this.texts.spoken.replace("{bpm}", this.bpm.toFixed(0));
  }

  showTile(name, { value, unit, reason }) {
    this.part(name)
      .closest("div")
      .classList.toggle("kd-missing", value === null);
    const shown = value < this.texts.least[unit] ? this.texts.under : value?.toFixed(0);
    this.part(name).textContent = value === null ? "–" : `${shown} ${unit}`;
    this.part(`${name}-why`).textContent = reason ?? this.notes[name];
  }

  showComparison({ compared, seconds, reason }) {
    this.part("compare").disabled = false;
    if (!compared) {
      this.part("verdict").textContent = reason;
      return;
    }
    const { student, teacher } = compared;
    const bpm = ({ value }) => (value ? `${value.toFixed(1)} bpm` : this.texts.none);
    this.part("verdict").textContent = this.texts.verdict
      .replace("{seconds}", seconds)
      .replace("{student}", `${bpm(student)}, ${student.ms.toFixed(2)} ms`)
      .replace("{teacher}", `${bpm(teacher)}, ${teacher.ms.toFixed(2)} ms`)
      .replace("{times}", (teacher.ms / student.ms).toFixed(1));
  }

  // Recording

  record() {
    if (this.recording?.open) {
      this.endRecording();
      return this.sayRecorded();
    }
    this.recording = { open: true, shots: [] };
    this.part("recorded").textContent = "";
    this.showRecording();
  }

  showRecording() {
    const on = Boolean(this.recording?.open);
    const button = this.part("record");
    button.dataset.on = on ? "yes" : "no";
    const text = on ? this.texts.recording : this.texts.record;
    const since = on ? ` (${this.recordedS.toFixed(0)} s)` : "";
    if (text + since === button.textContent) return;
    const shown = document.createElement("span");
    shown.ariaHidden = "true"; // or what is read aloud as its name would change each second
    shown.textContent = since;
    button.replaceChildren(text, shown);
  }

  get recordedS() {
    const shots = this.recording?.shots ?? [];
    return shots.length ? shots.at(-1).timeS - shots[0].timeS : 0;
  }

  sayRecorded() {
    const said = this.recording.shots.length ? this.texts.recorded : this.texts.nothing_recorded;
    this.part("recorded").textContent = said.replace("{seconds}", this.recordedS.toFixed(0));
  }

  endRecording() {
    if (this.recording) this.recording.open = false;
    this.showRecording();
    this.part("npz").disabled = !this.recording?.shots.length;
    this.offerFiles();
  }

  keep(shot) {
    this.recording.shots.push(shot);
    this.showRecording();
    if (this.recordedS < MOST_RECORDED_S) return;
    this.endRecording();
    this.sayRecorded();
  }

  saveCsv() {
    const { first, values } = this.wave;
    const lines = values.map((value, at) => `${((first + at) * this.stepS).toFixed(4)},${value ?? ""}`);
    save(new Blob([`time_s,wave\n${lines.join("\n")}\n`], { type: "text/csv" }), "kdphys-live.csv");
  }

  // All samples, null where there are none.
  get wave() {
    const first = this.samples[0]?.[0] ?? 0;
    const values = Array((this.samples.at(-1)?.[0] ?? first - 1) + 1 - first).fill(null);
    for (const [step, value] of this.samples) values[step - first] = value;
    return { first, values };
  }

  saveJson() {
    const wave = { fps: this.texts.fps, values: this.wave.values };
    const readings = this.readings.map(({ timeS, ...rest }) => ({
      time_s: Number(timeS.toFixed(3)),
      ...rest,
    }));
    const text = JSON.stringify({ schema: 1, note: this.texts.note, wave, readings });
    save(new Blob([text], { type: "application/json" }), "kdphys-live.json");
  }

  savePng() {
    this.trace.picture(this.readings).toBlob((blob) => save(blob, "kdphys-live.png"));
  }

  saveNpz() {
    const shots = this.recording?.shots ?? [];
    if (!shots.length) return;
    const side = shots[0].view[3];
    const frames = new Uint8Array(shots.length * side * side * 3);
    shots.forEach((shot, index) => frames.set(shot.rgb, index * side * side * 3));
    const stamps = Float64Array.from(shots, (shot) => shot.timeS - shots[0].timeS);
    const views = Float64Array.from(shots.flatMap((shot) => shot.view.slice(0, 3)));
    const arrays = {
      frames: { data: frames, type: "|u1", shape: [shots.length, side, side, 3] },
      time_s: { data: stamps, type: "<f8", shape: [shots.length] },
      view: { data: views, type: "<f8", shape: [shots.length, 3] },
    };
    save(npz(arrays), "kdphys-live.npz");
  }
}

function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}

// Nobody can guess the name of a visit, under which a lost socket goes on.
function newName() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A browser that blocks a page's storage forgets its choices.
function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // nothing else depends on it
  }
}

// Gradio builds the page with a script, before or after this one.
function begin() {
  const root = document.querySelector("#kd-live-view");
  if (root) window.kdphysLive = new Live(root); // tests look at its stats
  return Boolean(root);
}
if (!begin()) {
  new MutationObserver((_, observer) => begin() && observer.disconnect()).observe(document.documentElement, {
    childList: true,
    subtree: true,
  });
}
