/** A grid of which only what is seen exists, so that ten thousand cells cost what a hundred do. */
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.js";

const SPARE = 2;

/**
 * @param {{count: number, cell: number, height?: number, draw: (index: number) => any, cursor: number, label: string,
 *   selected?: (index: number) => boolean, top: import("@preact/signals").Signal<number>, columns?: (count: number) => void}} props
 *   `cell` least width and `height` of a cell in pixels; `top` remembers the scroll; `cursor` is kept in view.
 */
export function VirtualGrid({ count, cell, height = cell, draw, cursor, label, top, columns, selected }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [from, setFrom] = useState(0);
  const across = Math.max(1, Math.floor(size.width / cell));
  const rows = Math.ceil(count / across);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const look = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    look();
    return () => watcher.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (box.current && size.width) box.current.scrollTop = top.peek();
  }, [size.width > 0]);
  useEffect(() => columns?.(across), [across]);
  useEffect(() => {
    const element = box.current;
    if (!element || cursor < 0 || !size.width) return;
    const row = Math.floor(cursor / across) * height;
    if (row < element.scrollTop) element.scrollTop = row;
    else if (row + height > element.scrollTop + element.clientHeight) element.scrollTop = row + height - element.clientHeight;
  }, [cursor, across]);
  const scroll = () => {
    if (!box.current) return;
    top.value = box.current.scrollTop;
    setFrom(Math.floor(box.current.scrollTop / height));
  };
  const first = Math.max(0, Math.min(from, rows) - SPARE) * across;
  const last = Math.min(count, (from + Math.ceil(size.height / height) + SPARE) * across);
  const width = size.width / across;
  // A cell that was drawn before is the same object again, which costs nothing: scrolling draws only what is new.
  const known = useMemo(() => /** @type {Map<number, {chosen: boolean | undefined, made: any}>} */ (new Map()), [draw, across, width, height]);
  const cells = [];
  for (let index = first; index < last; index += 1) {
    const place = `transform:translate(${(index % across) * width}px,${Math.floor(index / across) * height}px);width:${width}px;height:${height}px`;
    const chosen = selected?.(index), before = known.get(index);
    const made = before?.chosen === chosen && before?.made || html`<div key=${index} class="cell" role="gridcell" aria-selected=${chosen} style=${place}>${draw(index)}</div>`;
    known.set(index, { chosen, made });
    cells.push(made);
  }
  return html`<div class="virtual-grid" ref=${box} onScroll=${scroll} role="grid" tabindex="0" aria-label=${label} aria-rowcount=${rows}>
    <div class="virtual-sheet" role="row" style=${`height:${rows * height}px`}>${cells}</div>
  </div>`;
}
