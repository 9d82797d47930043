/** A box above the page; Escape and its cross close it. */
import { html, useEffect, useRef } from "../html.js";
import { WORDS } from "../strings.js";

/** @param {{title: string, close: () => void, children?: any, wide?: boolean}} props */
export function Dialog({ title, close, children, wide }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    box.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onClose=${close}
    onClick=${(/** @type {MouseEvent} */ event) => event.target === box.current && close()}>
    <div class="dialog-head"><h2>${title}</h2><button class="quiet" aria-label=${WORDS.close} onClick=${close}>×</button></div>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}
