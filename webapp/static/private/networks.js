// Loading what the private mode runs: ONNX Runtime, the networks, and the server's numbers. Nothing
// is ever sent.

import { env, InferenceSession, Tensor } from "./third_party/ort.wasm.min.mjs";
import { BlazeFace } from "./blazeface.js";
import { K, learn } from "./constants.js";
import { FaceFinder } from "./face.js";
import { StudentSession } from "./student.js";
import { teacherWave } from "./teacher.js";

const RUNTIME = "./third_party/ort-wasm-simd-threaded";
const FACE = "./third_party/face";
const GIVEN = "../../private"; // by the server, of its own weights and numbers

// What finds faces, and what begins a recording in the student.
export async function load() {
  const [near, far, student] = await networks(
    `${FACE}-near.onnx.gz`,
    `${FACE}-far.onnx.gz`,
    `${GIVEN}/student.onnx`,
  );
  const models = [new BlazeFace(near, Tensor, K.face.NEAR), new BlazeFace(far, Tensor, K.face.FAR)];
  return { finder: new FaceFinder(...models), student: begun(student) };
}

// What begins a recording in the student, and what gives the teacher's wave of one.
export async function loadBoth() {
  const [student, teacher] = await networks(`${GIVEN}/student.onnx`, `${GIVEN}/teacher.onnx`);
  return { student: begun(student), teacher: (crops) => teacherWave(teacher, Tensor, crops) };
}

const begun = (student) => () => new StudentSession(student, Tensor);

async function networks(...paths) {
  env.wasm.numThreads = 1; // more would need a page that is cut off from all others
  env.wasm.wasmPaths = { mjs: at(`${RUNTIME}.mjs`) };
  const [numbers, runtime, ...files] = await Promise.all([
    fetched(`${GIVEN}/constants.json`).then((found) => found.json()),
    fetched(`${RUNTIME}.wasm.gz`).then(unpacked),
    ...paths.map((path) =>
      fetched(path).then((found) => (path.endsWith(".gz") ? unpacked(found) : found.arrayBuffer())),
    ),
  ]);
  learn(numbers);
  env.wasm.wasmBinary = runtime;
  const opened = [];
  for (const file of files)
    opened.push(await InferenceSession.create(file, { executionProviders: ["wasm"] }));
  return opened;
}

const at = (path) => new URL(path, import.meta.url).href;

async function fetched(path) {
  const found = await fetch(at(path));
  if (!found.ok) throw new Error(`${path.split("/").at(-1)}: HTTP ${found.status}`);
  return found;
}

function unpacked(found) {
  return new Response(found.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
