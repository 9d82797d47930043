/** A box drawn on a picture with the mouse or a finger. */
import { useRef, useState } from "../../html.js";

const LEAST = 4;

/**
 * @param {{width: number, height: number}} picture whose pixels the box is told in
 * `frame` goes to the element over which it is drawn, `hands.events` too; `drawn` is [left, top, right, bottom].
 */
export function useBox(picture) {
  const frame = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [drawn, setDrawn] = useState(/** @type {number[] | null} */ (null));
  const start = useRef([0, 0]);
  const held = useRef(false);
  /** @param {PointerEvent} event */
  const at = (event) => {
    const edge = /** @type {HTMLDivElement} */ (frame.current).getBoundingClientRect();
    const x = Math.round(Math.min(1, Math.max(0, (event.clientX - edge.left) / edge.width)) * picture.width);
    const y = Math.round(Math.min(1, Math.max(0, (event.clientY - edge.top) / edge.height)) * picture.height);
    return [x, y];
  };
  const onPointerDown = (/** @type {PointerEvent} */ event) => { held.current = true; start.current = at(event); /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId); };
  const onPointerMove = (/** @type {PointerEvent} */ event) => {
    if (!held.current) return;
    const [x, y] = at(event), [a, b] = start.current;
    if (Math.abs(x - a) > LEAST && Math.abs(y - b) > LEAST) setDrawn([Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)]);
  };
  const onPointerUp = () => { held.current = false; setDrawn((box) => box && [...box]); };
  return { frame, drawn, forget: () => setDrawn(null), hands: { held: () => held.current, events: { onPointerDown, onPointerMove, onPointerUp, onPointerCancel: onPointerUp } } };
}
