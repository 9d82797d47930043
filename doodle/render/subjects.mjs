// node subjects.mjs: renders folders of the first seven fixed persons of characters.json, which base training never
// shows, 24 pictures each, for benchmarks/subjects.py. They go to work/subjects beside this folder, or to
// $DOODLE_WORK/subjects. Beside the images stands identity.json: the tags that make up the person.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { visible, world } from './draw.mjs';
import { FOUR, SUFFIX, WARM, walk, write } from './folders.mjs';

const work = process.env.DOODLE_WORK ?? new URL('../work', import.meta.url).pathname;
const ROOT = pathToFileURL(path.join(work, 'subjects') + '/');
const TRIGGERS = ['zba', 'zbc', 'zbd', 'zbf', 'zbg', 'zbh', 'zbj'];
const characters = JSON.parse(fs.readFileSync(new URL('./characters.json', import.meta.url), 'utf8'));

for (const [number, trigger] of TRIGGERS.entries()) {
  const { style, accessory: _, ...fixed } = characters[number];
  const shown = { shot: FOUR, accessory: [null, null, 'glasses', null, null], ...WARM };
  const leftOut = ['style', ...Object.keys(fixed)];
  await write(ROOT, trigger, trigger, (random) => walk(random, 24, style, fixed, shown), leftOut, 200 + number);
  const seen = visible({ style, accessory: null, shot: 'portrait', ...fixed });
  const words = Object.keys(fixed).filter((group) => seen[group] !== undefined);
  const identity = [world.styles[style].tag, ...words.map((group) => seen[group] + (SUFFIX[group] ?? ''))];
  fs.writeFileSync(new URL(`${trigger}/identity.json`, ROOT), JSON.stringify(identity) + '\n');
}
