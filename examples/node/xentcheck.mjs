// Serve a loss to xentcheck: messages on standard input, answers on standard output (docs/other-languages.md).
import fs from "node:fs";

const KINDS = { F64: Float64Array, F32: Float32Array, I64: BigInt64Array };

function exactly(length) {
  const found = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const n = fs.readSync(0, found, done, length - done, null);
    if (n === 0) return null;
    done += n;
  }
  return found;
}

function read() {
  const length = exactly(8);
  if (!length) return null;
  const { __metadata__: text, ...places } = JSON.parse(exactly(Number(length.readBigUInt64LE())));
  const data = exactly(Math.max(0, ...Object.values(places).map((p) => p.data_offsets[1])));
  const arrays = {};
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(places)) {
    const bytes = Uint8Array.from(data.subarray(begin, end)); // a copy is aligned
    arrays[name] = { dtype, shape, data: new KINDS[dtype](bytes.buffer) };
  }
  return { text, arrays };
}

function write(text, arrays = {}) {
  const header = { __metadata__: text };
  const parts = [];
  let end = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(arrays)) {
    const bytes = Buffer.from(KINDS[dtype].from(data).buffer);
    header[name] = { dtype, shape, data_offsets: [end, (end += bytes.length)] };
    parts.push(bytes);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  for (const part of [length, json, ...parts]) {
    for (let done = 0; done < part.length; ) done += fs.writeSync(1, part, done);
  }
}

// loss(z, y) of one row of logits and a label returns [loss, gradient]; the batch, its mean and upstream are done here.
export function serve(declared, loss) {
  for (let message; (message = read()); ) {
    if (message.text.message === "hello") {
      write({ message: "hello", protocol: "1", options: "upstream", reductions: "mean sum none", ...declared });
      continue;
    }
    try {
      const { logits, target, upstream } = message.arrays;
      const { dtype, shape: [rows, classes] } = logits;
      const { reduction } = message.text;
      const scale = reduction === "mean" ? 1 / rows : 1;
      const losses = [];
      const gradient = [];
      for (let i = 0; i < rows; i++) {
        const [value, g] = loss(logits.data.slice(i * classes, (i + 1) * classes), Number(target.data[i]));
        losses.push(value);
        for (const x of g) gradient.push(x * scale * upstream.data[reduction === "none" ? i : 0]);
      }
      const total = [losses.reduce((sum, value) => sum + value, 0) * scale];
      write({ message: "compute" }, {
        loss: { dtype, shape: [rows], data: losses },
        cost: { dtype, shape: [], data: total },
        "dC/dz": { dtype, shape: [rows, classes], data: gradient },
      });
    } catch (error) {
      write({ message: "error", text: `${error.name}: ${error.message}` });
    }
  }
}
