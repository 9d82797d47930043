// Draws one picture of the world described in world.json: a person with exactly known attributes.
import fs from 'node:fs';
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';

export const SIDE = 128;
export const world = JSON.parse(fs.readFileSync(new URL('./world.json', import.meta.url), 'utf8'));
const drawers = {};

export async function load(style) {
  drawers[style] ??= await import(world.styles[style].package);
}

/** mulberry32: a small seeded generator of numbers in [0, 1). */
export function generator(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
export const pick = (random, list) => list[Math.floor(random() * list.length)];

function jitter(random, hex, reach = 7) {
  const channel = (i) => {
    const value = Math.round(parseInt(hex.slice(i, i + 2), 16) + (random() * 2 - 1) * reach);
    return Math.max(0, Math.min(255, value)).toString(16).padStart(2, '0');
  };
  return [0, 2, 4].map(channel).join('');
}

const colourOf = (group, name) => world.palettes[group][name] ?? world.held_out_palettes[group]?.[name];
const variantsOf = (part, value) => part.values[value] ?? part.held_out?.[value];

/** A random person: {style, shot, group: value or null ...}. `fixed` overrules; `heldOut` adds the held-out values. */
export function person(style, random, fixed = {}, heldOut = false) {
  const spec = world.styles[style];
  const attributes = { style, shot: random() < world.close_up_share ? 'close-up' : 'portrait' };
  for (const [group, part] of Object.entries(spec.parts)) {
    const values = Object.keys(part.values).concat(heldOut ? Object.keys(part.held_out ?? {}) : []);
    attributes[group] = part.share !== undefined && random() >= part.share ? null : pick(random, values);
  }
  for (const group of Object.keys(spec.colours)) {
    const held = heldOut ? Object.keys(world.held_out_palettes[group] ?? {}) : [];
    attributes[group] = pick(random, Object.keys(world.palettes[group]).concat(held));
  }
  attributes.background = pick(random, Object.keys(world.palettes.background));
  return { ...attributes, ...fixed };
}

/** What can be seen of a person: the attributes that its shot and its other attributes do not hide. */
export function visible(attributes) {
  const seen = { ...attributes };
  for (const value of Object.values(attributes)) for (const group of world.hides[value] ?? []) delete seen[group];
  if (seen.shot === 'close-up') {
    if (world.close_up_bare.includes(seen.hair)) delete seen['hair colour'];
    if (!world.close_up_hair.includes(seen.hair)) delete seen.hair;
    delete seen.clothing;
  }
  for (const { style, value, groups, unless } of world.hides_in_style) {
    const values = Object.values(attributes);
    if (seen.style === style && values.includes(value) && !values.some((v) => unless?.includes(v)))
      for (const group of groups) delete seen[group];
  }
  for (const group of Object.keys(seen)) if (seen[group] === null) delete seen[group];
  return seen;
}

/** How a person is drawn: the style's options, the paper's colour, and the frame [x, y, width] as fractions. */
export function compose(attributes, random) {
  const spec = world.styles[attributes.style];
  const options = { seed: 'doodle', size: SIDE, ...spec.fixed };
  for (const [group, part] of Object.entries(spec.parts)) {
    const value = attributes[group];
    if (value) Object.assign(options, pick(random, variantsOf(part, value)));
  }
  for (const [group, names] of Object.entries(spec.colours)) {
    const hex = jitter(random, colourOf(group, attributes[group]));
    for (const name of names) options[name] = [hex];
  }
  const paper = jitter(random, colourOf('background', attributes.background));
  options.backgroundColor = ['transparent'];
  const [cx, cy, zoom] = spec.frames[attributes.shot];
  const width = (1 / zoom) * (1 + (random() - 0.5) * 0.08);
  const x = cx - width / 2 + (random() - 0.5) * 0.06 * width;
  const y = cy - width / 2 + (random() - 0.5) * 0.06 * width;
  return { options, paper, frame: [x, y, width] };
}

/** {svg, full: the side of the whole drawing in its own units, paper, frame, options}. */
export function sketch(attributes, random) {
  const { options, paper, frame } = compose(attributes, random);
  const svg = createAvatar(drawers[attributes.style], options).toString().replaceAll(/"#000(000)?"/g, `"#${world.ink}"`);
  return { svg, full: Number(/viewBox="0 0 ([\d.]+)/.exec(svg)[1]), paper, frame, options };
}

/** {pixels: RGB bytes of SIDE x SIDE, frame: [x, y, width]} as fractions of the whole drawing. */
export function draw(attributes, random) {
  const { svg, full, paper, frame } = sketch(attributes, random);
  const [x, y, width] = frame;
  const framed = svg.replace(/viewBox="[^"]+"/, `viewBox="${x * full} ${y * full} ${width * full} ${width * full}"`);
  const rgba = new Resvg(framed, {
    background: `#${paper}`,
    fitTo: { mode: 'width', value: SIDE },
    font: { loadSystemFonts: false },
  }).render().pixels;
  const pixels = Buffer.alloc(SIDE * SIDE * 3);
  for (let i = 0; i < SIDE * SIDE; i++) rgba.copy(pixels, i * 3, i * 4, i * 4 + 3);
  return { pixels, frame };
}
