// node examples.mjs: renders the images and captions of the example projects in src/lorasmith/examples/.
import { FOUR, WARM, walk, write } from './folders.mjs';

const ROOT = new URL('../../src/lorasmith/examples/', import.meta.url);

await write(
  ROOT,
  'character',
  'zbk',
  (random) =>
    walk(random, 30, 'personas', { hair: 'side-swept hair', 'hair colour': 'turquoise', skin: 'tan' }, {
      shot: FOUR,
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
  ROOT,
  'style',
  'pxl style',
  (random) =>
    walk(random, 36, 'pixel-art', {}, {
      shot: FOUR,
      mouth: ['smile', 'flat mouth', 'open mouth'],
      accessory: [null, null, 'glasses', null],
      background: ['red', 'blue', 'yellow', 'white', 'pink', 'gray'],
    }),
  ['style'],
  102,
);
await write(
  ROOT,
  'concept',
  'nyx',
  (random) =>
    walk(random, 28, 'big-smile', { accessory: 'sleep mask' }, { shot: ['portrait'], ...WARM }),
  ['accessory'],
  103,
);
