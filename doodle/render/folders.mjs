// Folders of pictures and captions to train an adapter on. Captions name what varies; what makes up the subject is left
// out and belongs to the trigger.
import fs from 'node:fs';
import zlib from 'node:zlib';
import { SIDE, draw, generator, load, person, visible, world } from './draw.mjs';

const ORDER = ['style', 'shot', 'hair', 'hair colour', 'skin', 'eyes', 'mouth', 'accessory', 'clothing', 'background'];
export const SUFFIX = { 'hair colour': ' hair', skin: ' skin', clothing: ' shirt', background: ' background' };
export const WARM = { background: ['red', 'blue', 'green', 'white', 'gray'] };
export const FOUR = ['portrait', 'portrait', 'portrait', 'close-up'];

const crcTable = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE((crc ^ 0xffffffff) >>> 0, body.length + 4);
  return out;
}
function png(pixels) {
  const header = Buffer.from([0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, 2, 0, 0, 0]);
  const rows = [];
  for (let y = 0; y < SIDE; y++) rows.push(Buffer.from([0]), pixels.subarray(y * SIDE * 3, (y + 1) * SIDE * 3));
  const data = zlib.deflateSync(Buffer.concat(rows), { level: 9 });
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([start, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function caption(trigger, attributes, leftOut) {
  const seen = visible(attributes);
  const words = ORDER.filter((group) => seen[group] !== undefined && !leftOut.includes(group)).map((group) =>
    group === 'style' ? world.styles[seen.style].tag : seen[group] + (SUFFIX[group] ?? ''),
  );
  const style = leftOut.includes('style') ? [] : [words.shift()];
  return [trigger, ...style, '1person', ...words].join(', ');
}

/** Write the drawings of `people` and their captions into the folder `images` of `root`/`name`, afresh. */
export async function write(root, name, trigger, people, leftOut, seed) {
  const random = generator(seed);
  const folder = new URL(`${name}/images/`, root);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  let number = 0;
  for (const attributes of people(random)) {
    await load(attributes.style);
    const stem = `${name}-${String(++number).padStart(2, '0')}`;
    fs.writeFileSync(new URL(`${stem}.png`, folder), png(draw(attributes, random).pixels));
    fs.writeFileSync(new URL(`${stem}.txt`, folder), caption(trigger, attributes, leftOut) + '\n');
  }
}

/** `count` persons whose listed groups walk evenly through the listed values. */
export function* walk(random, count, style, fixed, shown) {
  for (let i = 0; i < count; i++) {
    const chosen = {};
    Object.entries(shown).forEach(([group, values], at) => {
      chosen[group] = values[(i + Math.floor(i / values.length) * (at + 1)) % values.length];
    });
    yield person(typeof style === 'string' ? style : style[i % style.length], random, { ...chosen, ...fixed });
  }
}
