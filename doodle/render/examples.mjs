// node examples.mjs: renders the images and captions of the example projects in src/lorasmith/examples/.
// Captions name what varies; what makes up the subject is left out and belongs to the trigger.
import fs from 'node:fs';
import zlib from 'node:zlib';
import { SIDE, draw, generator, load, person, pick, visible, world } from './draw.mjs';

const ROOT = new URL('../../src/lorasmith/examples/', import.meta.url);
const ORDER = ['style', 'shot', 'hair', 'hair colour', 'skin', 'eyes', 'mouth', 'accessory', 'clothing', 'background'];
const SUFFIX = { 'hair colour': ' hair', skin: ' skin', clothing: ' shirt', background: ' background' };
const WARM = { background: ['red', 'blue', 'green', 'white', 'gray'] };

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

async function write(name, trigger, people, leftOut, seed) {
  const random = generator(seed);
  const folder = new URL(`${name}/images/`, ROOT);
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
function* walk(random, count, style, fixed, shown) {
  for (let i = 0; i < count; i++) {
    const chosen = {};
    Object.entries(shown).forEach(([group, values], at) => {
      chosen[group] = values[(i + Math.floor(i / values.length) * (at + 1)) % values.length];
    });
    yield person(typeof style === 'string' ? style : style[i % style.length], random, { ...chosen, ...fixed });
  }
}

const four = ['portrait', 'portrait', 'portrait', 'close-up'];
await write(
  'character',
  'zbk',
  (random) =>
    walk(random, 30, 'personas', { hair: 'side-swept hair', 'hair colour': 'turquoise', skin: 'tan' }, {
      shot: four,
      eyes: ['open eyes', 'closed eyes'],
      mouth: ['smile', 'open mouth', 'grin'],
      accessory: [null, null, 'glasses', null, null],
      clothing: ['red', 'white', 'black', 'blue'],
      ...WARM,
    }),
  ['style', 'hair', 'hair colour', 'skin'],
  101,
);
await write(
  'style',
  'pxl style',
  (random) =>
    walk(random, 36, 'pixel-art', {}, {
      shot: four,
      mouth: ['smile', 'flat mouth', 'open mouth'],
      accessory: [null, null, 'glasses', null],
      background: ['red', 'blue', 'yellow', 'white', 'pink', 'gray'],
    }),
  ['style'],
  102,
);
await write(
  'concept',
  'nyx',
  (random) =>
    walk(random, 28, 'big-smile', { accessory: 'sleep mask' }, { shot: ['portrait'], ...WARM }),
  ['accessory'],
  103,
);
