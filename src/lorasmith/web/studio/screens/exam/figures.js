/** Figures with their intervals, and the window of strengths, as SVG. */
import { html } from "../../html.js";
import { useWidth } from "../../parts/plot.js";

const ORDER = ["hit_rate", "words", "likeness", "flexibility", "override", "leakage", "intrusion", "untriggered", "copying", "diversity", "broken"];
const LOW_IS_GOOD = ["leakage", "intrusion", "untriggered", "copying", "broken"];
/** @param {number} value */
const percent = (value) => `${Math.round(value * 100)} %`;

/** @param {{figures: Record<string, any>, words: Record<string, string[]>}} props */
export function Bars({ figures, words }) {
  const names = [...ORDER, ...Object.keys(figures).filter((name) => name.startsWith("identity."))].filter((name) => figures[name]);
  return html`<ul class="figure-bars">${names.map((name) => {
    const figure = figures[name], base = figures.base?.[name];
    const title = words[name]?.[0] || `Trait: ${name.replace("identity.", "")}`;
    return html`<li title=${words[name]?.[1] || ""}><span class="figure-title">${title}</span>
      ${figure.n ? html`<svg viewBox="0 0 200 16" preserveAspectRatio="none" role="img" aria-label=${`${percent(figure.value)}, from ${percent(figure.low)} to ${percent(figure.high)}`}>
        <rect class="track" x="0" y="5" width="200" height="6" rx="3" /><rect class="interval" x=${figure.low * 200} y="3" width=${Math.max(1, (figure.high - figure.low) * 200)} height="10" rx="2" />
        ${base?.n ? html`<line class="base" x1=${base.value * 200} x2=${base.value * 200} y1="0" y2="16" />` : null}
        <rect class=${LOW_IS_GOOD.includes(name) ? "value low" : "value"} x=${Math.min(197, figure.value * 200)} y="1" width="3" height="14" /></svg>
        <span class="number"><b>${percent(figure.value)}</b></span><span class="soft figure-range">${percent(figure.low)} to ${percent(figure.high)}, n ${figure.n}${base?.n ? `, base ${percent(base.value)}` : ""}</span>`
      : html`<span class="soft figure-none">not measured</span>`}</li>`;
  })}</ul><p class="soft">Bands are 95 % intervals; the thin line is the base alone.${" "}Lower is better for: stays out, uncalled traits, trigger, copies, broken.</p>`;
}

/** @param {{strength: any}} props */
export function Window({ strength }) {
  const [figure, width] = useWidth();
  const height = 190, left = 40, foot = 24;
  const points = strength.points;
  const first = points[0].strength, last = points[points.length - 1].strength;
  /** @param {number} value */
  const x = (value) => left + ((value - first) / (last - first || 1)) * (width - left - 16);
  /** @param {number} share */
  const y = (share) => 8 + (1 - share) * (height - foot - 8);
  return html`<figure class="plot" ref=${figure}><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Hits by strength">
    ${strength.from !== null ? html`<rect class="usable" x=${x(strength.from) - 6} y="8" width=${x(strength.to) - x(strength.from) + 12} height=${height - foot - 8} />` : null}
    ${[0, 0.5, 0.8, 1].map((share) => html`<g><line class="rule" x1=${left} x2=${width - 8} y1=${y(share)} y2=${y(share)} /><text x=${left - 6} y=${y(share) + 4} text-anchor="end">${percent(share)}</text></g>`)}
    <polyline class="line tone-0" points=${points.map((/** @type {any} */ each) => `${x(each.strength)},${y(each.value)}`).join(" ")} />
    ${points.map((/** @type {any} */ each) => html`<g><line class="line tone-0" x1=${x(each.strength)} x2=${x(each.strength)} y1=${y(each.low)} y2=${y(each.high)} /><circle class="dot" cx=${x(each.strength)} cy=${y(each.value)} r=${each.strength === strength.recommended ? 6 : 4} /><text x=${x(each.strength)} y=${height - 6} text-anchor="middle">${each.strength}</text></g>`)}
  </svg><figcaption>Hits by strength with their intervals; the large dot is recommended, the shaded part usable.</figcaption></figure>`;
}
