/** The prompt: with completion of the word at hand, and what is doubtful about it below. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { get, post } from "../../api.js";

/** The piece of the text that is being written, and where it begins. @param {string} text @param {number} at */
function piece(text, at) {
  const before = text.slice(0, at);
  const begin = Math.max(...[",", "\n", "(", "{", "|"].map((sign) => before.lastIndexOf(sign))) + 1;
  const list = before.slice(begin).split("__");
  if (list.length % 2 === 0) return { from: at - list[list.length - 1].length - 2, word: before.slice(at - list[list.length - 1].length - 2) };
  const call = before.lastIndexOf("<");
  const from = call >= begin && !before.slice(call).includes(">") ? call : begin + (before.slice(begin).length - before.slice(begin).trimStart().length);
  return { from, word: before.slice(from) };
}

/** @param {{label: string, value: string, project: string, rows: number, placeholder: string, onInput: (value: string) => void, chosen?: (kind: string) => void, id: string}} props */
export function PromptBox({ label, value, project, rows, placeholder, onInput, chosen, id }) {
  const [found, setFound] = useState(/** @type {any[]} */ ([]));
  const [at, setAt] = useState(0);
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const turn = useRef(0);
  const caret = useRef(-1);
  useEffect(() => {
    if (caret.current >= 0 && box.current) { box.current.setSelectionRange(caret.current, caret.current); caret.current = -1; }
  }, [value]);
  /** @param {any} event */
  const type = (event) => {
    const text = event.currentTarget.value;
    onInput(text);
    const mine = ++turn.current;
    const { word } = piece(text, event.currentTarget.selectionStart);
    if (word.trim().length < 2) return setFound([]);
    setTimeout(() => {
      if (mine !== turn.current) return;
      get(`/complete?${new URLSearchParams({ text: word.trim(), project })}`).then((answer) => { if (mine === turn.current) { setFound(answer.completions.slice(0, 8)); setAt(0); } }, () => setFound([]));
    }, 90);
  };
  /** @param {any} choice */
  const choose = (choice) => {
    const place = box.current?.selectionStart ?? value.length;
    const { from } = piece(value, place);
    const rest = value.slice(place);
    const added = `${choice.text}${/^\s*[,)|}]/.test(rest) || rest === "" && choice.kind === "adapter" || /\{[^}]*$/.test(value.slice(0, from)) ? "" : ", "}`;
    caret.current = from + added.length;
    turn.current += 1;
    setFound([]);
    onInput(value.slice(0, from) + added + rest.trimStart());
    chosen?.(choice.kind);
    box.current?.focus();
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (!found.length || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") setAt((at + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length);
    else if (event.key === "Tab" || event.key === "Enter") choose(found[at]);
    else if (event.key === "Escape") setFound([]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="prompt-box"><label for=${id} class="prompt-label">${label}</label>
    <textarea id=${id} ref=${box} rows=${rows} spellcheck=${false} placeholder=${placeholder} value=${value} onInput=${type} onKeyDown=${key} onBlur=${() => setTimeout(() => setFound([]), 150)}
      role="combobox" aria-autocomplete="list" aria-expanded=${found.length > 0} aria-controls=${`${id}-list`} aria-activedescendant=${found.length ? `${id}-${at}` : undefined}></textarea>
    <ul class="completion" id=${`${id}-list`} role="listbox" aria-label="What could be meant" hidden=${!found.length}>${found.map((each, place) => html`<li id=${`${id}-${place}`} role="option" aria-selected=${place === at}
      onMouseDown=${(/** @type {Event} */ event) => { event.preventDefault(); choose(each); }}><span>${each.text}</span><span class="soft">${each.kind === "tag" ? each.note : each.note || each.kind}</span></li>`)}</ul>
  </div>`;
}

/** What the prompt may not have meant, as the server tells it. @param {{text: string, steps: number, template: boolean}} props */
export function Lint({ text, steps, template }) {
  const [advice, setAdvice] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    const control = new AbortController();
    const wait = setTimeout(() => post("/prompts/parse", { text, steps }, control.signal).then((answer) => setAdvice(answer.advice), (fault) => fault.name !== "AbortError" && setAdvice([{ level: "error", message: fault.message }])), 350);
    return () => { clearTimeout(wait); control.abort(); };
  }, [text, steps]);
  const shown = advice.filter((each) => !(template && each.rule === "U4"));
  if (!shown.length) return null;
  return html`<ul class="lint" role="status" aria-label="What is doubtful about the prompt">${shown.map((each) => html`<li class=${each.level}>${each.message}${each.rule ? html` <span class="chip">${each.rule}</span>` : null}</li>`)}</ul>`;
}
