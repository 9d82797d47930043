/** Lines over steps, and values with their intervals, as SVG. */
import { html, useLayoutEffect, useRef, useState } from "../html.js";

/** @typedef {{name: string, points: [number, number][], tone?: number}} Line */

/** @param {number[]} values @returns {[number, number]} */
function span(values) {
  const low = Math.min(...values), high = Math.max(...values);
  return low === high ? [low - 1, high + 1] : [low, high];
}

/** @param {number} value */
const short = (value) => (Math.abs(value) >= 1000 || (value && Math.abs(value) < 0.01) ? value.toExponential(1) : String(+value.toFixed(3)));

/** The width of an element in pixels as it is now: what is drawn so wide has words as large as others. @returns {[{current: HTMLElement | null}, number]} */
export function useWidth() {
  const seen = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(480);
  useLayoutEffect(() => {
    if (!seen.current) return undefined;
    const watch = new ResizeObserver(([entry]) => entry.contentRect.width && setWidth(Math.round(entry.contentRect.width)));
    watch.observe(seen.current);
    return () => watch.disconnect();
  }, []);
  return [seen, width];
}

/** @param {{lines: Line[], label: string, unit?: string, height?: number}} props */
export function Plot({ lines, label, unit = "", height = 220 }) {
  const [figure, width] = useWidth();
  const points = lines.flatMap((line) => line.points).filter((point) => Number.isFinite(point[1]));
  if (!points.length) return html`<figure class="plot" ref=${figure}><p class="soft">${label}: nothing yet.</p></figure>`;
  const [left, right] = span(points.map((point) => point[0]));
  const [low, high] = span(points.map((point) => point[1]));
  /** @param {number} value */
  const x = (value) => 48 + ((value - left) / (right - left)) * (width - 58);
  /** @param {number} value */
  const y = (value) => height - 22 - ((value - low) / (high - low)) * (height - 34);
  return html`<figure class="plot" ref=${figure}><svg viewBox="0 0 ${width} ${height}" role="img" aria-label=${label}>
    ${[low, (low + high) / 2, high].map((value) => html`<g><line class="rule" x1="48" x2=${width - 10} y1=${y(value)} y2=${y(value)} /><text x="42" y=${y(value) + 4} text-anchor="end">${short(value)}</text></g>`)}
    ${[left, right].map((value, place) => html`<text x=${x(value)} y=${height - 6} text-anchor=${place ? "end" : "start"}>${short(value)}</text>`)}
    ${lines.map((line, place) => html`<polyline class=${`line tone-${line.tone ?? place % 6}`} points=${line.points.filter((point) => Number.isFinite(point[1])).map((point) => `${x(point[0]).toFixed(1)},${y(point[1]).toFixed(1)}`).join(" ")} />`)}
  </svg><figcaption>${label}${unit ? ` (${unit})` : ""}${lines.length > 1 ? lines.map((line, place) => html` <span class=${`key tone-${line.tone ?? place % 6}`}>${line.name}</span>`) : null}</figcaption></figure>`;
}
