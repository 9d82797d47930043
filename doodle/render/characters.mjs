// node characters.mjs: writes characters.json, 40 fixed persons that base training never shows. The first of every
// style, and half of all, have a held-out value.
import fs from 'node:fs';
import { generator, person, pick, world } from './draw.mjs';

const random = generator(40);
const styles = Object.keys(world.styles).filter((style) => !world.styles[style].held_out);
const characters = [];
for (let i = 0; i < 40; i++) {
  const style = styles[i % styles.length];
  const { hair } = world.styles[style].parts;
  const fixed = { accessory: null };
  if (i % 8 < 4) {
    fixed.hair = pick(random, Object.keys(hair.held_out));
    if (i % 16 < 4) fixed['hair colour'] = 'turquoise';
  }
  const drawn = person(style, random, fixed);
  characters.push({ style, hair: drawn.hair, 'hair colour': drawn['hair colour'], skin: drawn.skin, accessory: drawn.accessory });
}
fs.writeFileSync(new URL('./characters.json', import.meta.url), JSON.stringify(characters, null, 1) + '\n');
