// node persons.mjs < JOBS: draws persons with what the world has no word for. JOBS is a JSON list; each job has `style`,
// `fixed` attributes, a `seed`, `out` (a PNG file), `side` in pixels of the longer side, `aspect` (width / height),
// and perhaps `front` and `behind` (SVG in fractions of the whole drawing) and `hair` ([colour, colour, "x" or "y"]: the
// hair's colour runs from one to the other). Writes for each a JSON line: what is seen, and the frame
// [x, y, width, height] as fractions of the whole drawing.
import fs from 'node:fs';
import { Resvg } from '@resvg/resvg-js';
import { generator, load, person, sketch, visible } from './draw.mjs';

const jobs = JSON.parse(fs.readFileSync(0, 'utf8'));

/** The part [x, y, width] of the drawing as a picture of another shape: taller ones show more above, wider ones more beside. */
function reach([x, y, width], aspect) {
  return aspect < 1 ? [x, y + width - width / aspect, width, width / aspect] : [x - (width * (aspect - 1)) / 2, y, width * aspect, width];
}

for (const job of jobs) {
  await load(job.style);
  const random = generator(job.seed);
  const attributes = person(job.style, random, job.fixed);
  const { svg, full, paper, frame, options } = sketch(attributes, random);
  const box = reach(frame, job.aspect ?? 1);
  let drawn = svg
    .replace(/viewBox="[^"]+"/, `viewBox="${box.map((value) => value * full).join(' ')}"`)
    .replace(/(<svg[^>]*?) width="\d+" height="\d+"/, `$1 width="${box[2] * full}" height="${box[3] * full}"`);
  if (job.hair) {
    const [one, two, along] = job.hair;
    const end = along === 'x' ? 'x2="1" y2="0"' : 'x2="0" y2="1"';
    const [low, high] = job.split ?? [0.5, 0.5];
    const ramp = `<linearGradient id="own" gradientUnits="userSpaceOnUse" ${end.replace('"1"', `"${full}"`)}>
      <stop offset="${low}" stop-color="${one}"/><stop offset="${high}" stop-color="${two}"/></linearGradient>`;
    const before = drawn;
    drawn = drawn.replaceAll(`#${options.hairColor[0]}`, 'url(#own)');
    if (drawn === before) throw new Error(`${job.out}: no hair to colour`);
    drawn = drawn.replace('</svg>', `<defs>${ramp}</defs></svg>`);
  }
  const layer = (text) => `<g transform="scale(${full})">${text}</g>`;
  if (job.behind) drawn = drawn.replace(/(<svg[^>]*>)/, `$1${layer(job.behind)}`);
  if (job.front) drawn = drawn.replace('</svg>', `${layer(job.front)}</svg>`);
  const fit = box[2] >= box[3] ? { mode: 'width', value: job.side } : { mode: 'height', value: job.side };
  const png = new Resvg(drawn, { background: `#${paper}`, fitTo: fit, font: { loadSystemFonts: false } }).render().asPng();
  fs.writeFileSync(job.out, png);
  console.log(JSON.stringify({ seen: visible(attributes), frame: box.map((value) => Math.round(value * 1e4) / 1e4), paper }));
}
