/** Keys: each screen says what its keys do, `?` shows all of them. */
import { signal, useLayoutEffect } from "./html.js";

/** @typedef {{key: string, does: string, run: (event: KeyboardEvent) => void, typing?: boolean}} Key */

/** @type {import("@preact/signals").Signal<{title: string, keys: Key[]}[]>} */
export const boards = signal([]);
export const shown = signal(false);

/** @param {KeyboardEvent} event */
export function nameOf(event) {
  const name = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key)) ? "Shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${shift}${name}`;
}

/** @param {EventTarget | null} target */
const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
  !/^(checkbox|radio|range|button)$/.test(/** @type {HTMLInputElement} */ (target).type);

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
  const name = nameOf(event);
  if (name === "?" && !isTyping(event.target)) {
    shown.value = true;
    event.preventDefault();
    return;
  }
  for (const board of [...boards.value].reverse()) {
    const found = board.keys.find((each) => each.key.split(" ").includes(name));
    if (found && (found.typing || !isTyping(event.target))) {
      if (/^(Enter|Space)$/.test(name) && event.target instanceof HTMLElement && /^(BUTTON|A|SUMMARY)$/.test(event.target.tagName)) return;
      found.run(event);
      event.preventDefault();
      return;
    }
  }
});

/** Keys that work while a component is there. @param {string} title @param {Key[]} keys */
export function useKeys(title, keys) {
  useLayoutEffect(() => {
    const board = { title, keys };
    boards.value = [...boards.value, board];
    return () => void (boards.value = boards.value.filter((each) => each !== board));
  });
}
