// node render.mjs STYLE COUNT SEED OUT [--held-out] [--labels]: writes OUT.bin (RGB bytes) and OUT.jsonl (attributes, frame).
// With --labels only OUT.jsonl: after a change of what counts as visible, no picture need be drawn again.
// Base training pictures never show a held-out value nor one of the fixed characters of characters.json.
import fs from 'node:fs';
import { compose, draw, generator, load, person, visible } from './draw.mjs';

const [style, count, seed, out, ...flags] = process.argv.slice(2);
const heldOut = flags.includes('--held-out');
const labelsOnly = flags.includes('--labels');
const characters = JSON.parse(fs.readFileSync(new URL('./characters.json', import.meta.url), 'utf8'));
const reserved = new Set(characters.map(identity));
function identity(a) {
  return [a.style, a.hair, a['hair colour'], a.skin, a.accessory ?? ''].join('|');
}

await load(style);
const random = generator(Number(seed));
const bin = labelsOnly ? null : fs.openSync(`${out}.bin.partial`, 'w');
const lines = [];
while (lines.length < Number(count)) {
  const attributes = person(style, random, {}, heldOut);
  if (!heldOut && reserved.has(identity(attributes))) continue;
  const { pixels, frame } = (labelsOnly ? compose : draw)(attributes, random);
  if (!labelsOnly) fs.writeSync(bin, pixels);
  lines.push(JSON.stringify({ seen: visible(attributes), frame: frame.map((v) => Math.round(v * 1e4) / 1e4) }));
}
fs.writeFileSync(`${out}.jsonl`, lines.join('\n') + '\n');
if (!labelsOnly) {
  fs.closeSync(bin);
  fs.renameSync(`${out}.bin.partial`, `${out}.bin`);
}
