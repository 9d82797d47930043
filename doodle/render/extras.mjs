// node extras.mjs COUNT SEED OUT: drawings of other styles with random options, no attributes; they widen what the VAE sees.
import fs from 'node:fs';
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';
import { SIDE, generator, pick, world } from './draw.mjs';

const [count, seed, out] = process.argv.slice(2);
const styles = await Promise.all(['toon-head', 'lorelei', 'open-peeps', 'croodles'].map((name) => import(`@dicebear/${name}`)));
const random = generator(Number(seed));
const bin = fs.openSync(`${out}.bin.partial`, 'w');
for (let i = 0; i < Number(count); i++) {
  const paper = pick(random, Object.values(world.palettes.background));
  const svg = createAvatar(pick(random, styles), { seed: String(random()), size: SIDE, backgroundColor: [paper] }).toString();
  const rgba = new Resvg(svg, { fitTo: { mode: 'width', value: SIDE }, font: { loadSystemFonts: false } }).render().pixels;
  const pixels = Buffer.alloc(SIDE * SIDE * 3);
  for (let p = 0; p < SIDE * SIDE; p++) rgba.copy(pixels, p * 3, p * 4, p * 4 + 3);
  fs.writeSync(bin, pixels);
}
fs.closeSync(bin);
fs.renameSync(`${out}.bin.partial`, `${out}.bin`);
