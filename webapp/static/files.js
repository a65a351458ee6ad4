// Files that are made in the browser: nothing of a recording is kept on the server.

// An .npz, as numpy writes it without compression: a zip of one .npy for each array.
// `arrays` maps names to { data: typed array, type: "|u1" or "<f8", shape: [...] }.
export function npz(arrays) {
  const entries = Object.entries(arrays).map(([name, array]) => entry(`${name}.npy`, npy(array)));
  let offset = 0;
  const directory = entries.map(({ name, body, crc }) => {
    const record = header(0x02014b50, 46, name, body, crc, offset);
    offset += 30 + name.length + body.length;
    return record;
  });
  const size = directory.reduce((sum, record) => sum + record.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, entries.length, true);
  end.setUint16(10, entries.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  const files = entries.flatMap(({ name, body, crc }) => [header(0x04034b50, 30, name, body, crc, 0), body]);
  return new Blob([...files, ...directory, end.buffer], { type: "application/zip" });
}

function entry(name, body) {
  return { name: new TextEncoder().encode(name), body, crc: crc32(body) };
}

// A local file header (30 bytes) or a record of the central directory (46), with the name.
function header(mark, length, name, body, crc, offset) {
  const bytes = new Uint8Array(length + name.length);
  const view = new DataView(bytes.buffer);
  const at = length === 46 ? 6 : 4; // a record of the directory also says who made it
  view.setUint32(0, mark, true);
  if (length === 46) view.setUint16(4, 20, true);
  view.setUint16(at, 20, true);
  view.setUint16(at + 8, 0x21, true); // 1 January 1980, as the time of day is nobody's business
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, body.length, true);
  view.setUint32(at + 18, body.length, true);
  view.setUint16(at + 22, name.length, true);
  if (length === 46) view.setUint32(42, offset, true);
  bytes.set(name, length);
  return bytes;
}

function npy({ data, type, shape }) {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  let text = `{'descr': '${type}', 'fortran_order': False, 'shape': ${tuple}, }`;
  text = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const bytes = new Uint8Array(10 + text.length + data.byteLength);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), 10 + text.length);
  return bytes;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
