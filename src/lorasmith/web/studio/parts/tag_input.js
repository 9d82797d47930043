/** A field that completes tags as they are typed. */
import { html, useRef, useState } from "../html.js";

let lists = 0;

/**
 * @param {{label: string, complete: (text: string) => Promise<{tag: string, note?: string}[]>,
 *   take: (tag: string) => void, placeholder?: string, autofocus?: boolean}} props
 */
export function TagInput({ label, complete, take, placeholder, autofocus }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState(/** @type {{tag: string, note?: string}[]} */ ([]));
  const [at, setAt] = useState(-1);
  const asked = useRef(0);
  const id = useRef(`completion-${++lists}`);
  /** @param {string} value */
  const type = (value) => {
    setText(value);
    setAt(-1);
    const turn = ++asked.current;
    if (!value.trim()) return setFound([]);
    complete(value.trim()).then((list) => turn === asked.current && setFound(list), () => setFound([]));
  };
  /** @param {string} tag */
  const choose = (tag) => {
    const clean = tag.trim();
    asked.current += 1;
    setText("");
    setFound([]);
    if (clean) take(clean);
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!found.length) return;
      const step = event.key === "ArrowDown" ? 1 : -1;
      setAt((place) => (place + step + found.length + 1) % (found.length + 1));
      event.preventDefault();
    } else if (event.key === "Enter" || event.key === ",") {
      choose(at >= 0 && at < found.length ? found[at].tag : text);
      event.preventDefault();
    } else if (event.key === "Tab" && found.length && text) {
      choose(found[Math.max(0, Math.min(at, found.length - 1))].tag);
      event.preventDefault();
    } else if (event.key === "Escape") {
      setFound([]);
      /** @type {HTMLElement} */ (event.currentTarget).blur();
    }
  };
  return html`<div class="tag-input">
    <input type="text" role="combobox" aria-label=${label} aria-expanded=${found.length > 0} aria-controls=${id.current}
      aria-activedescendant=${at >= 0 && at < found.length ? `${id.current}-${at}` : undefined} autocomplete="off" maxlength="200" autofocus=${autofocus}
      placeholder=${placeholder || label} value=${text} onKeyDown=${key} onBlur=${() => setTimeout(() => setFound([]), 150)}
      onInput=${(/** @type {any} */ event) => type(event.currentTarget.value)} />
    <ul class="completion" id=${id.current} role="listbox" aria-label=${label} hidden=${!found.length}>
      ${found.map((each, place) => html`<li id=${`${id.current}-${place}`} role="option" aria-selected=${place === at}
        onMouseDown=${(/** @type {Event} */ event) => { event.preventDefault(); choose(each.tag); }}>
        <span>${each.tag}</span>${each.note ? html`<span class="soft">${each.note}</span>` : null}</li>`)}
    </ul>
  </div>`;
}
