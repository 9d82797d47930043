/** One key of the recipe: its value, what it means, what the preset says. */
import { html, useState, useEffect } from "../../html.js";
import { isNumbers, parse, show } from "./values.js";

/** @typedef {import("./values.js").FormKey} FormKey */
/** @typedef {{set: (key: FormKey, value: any) => Promise<any>, unset: (key: FormKey) => Promise<any>}} Edits */

/** @param {{each: FormKey, edits: Edits}} props */
export function Field({ each, edits }) {
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const id = `key-${each.path}`;
  /** @param {Promise<any>} work */
  const run = (work) => work.then(() => setFault(null), setFault);
  /** @param {any} value */
  const take = (value) => run(value === undefined ? edits.unset(each) : edits.set(each, value));
  const range = [each.least !== null ? `from ${show(each.least)}` : "", each.most !== null ? `to ${show(each.most)}` : ""].filter(Boolean).join(" ");
  /** What is wrong with this value; of which file it is is known here. @param {string} message */
  const plain = (message) => message.slice(Math.max(0, message.indexOf(`${each.path} = `)));
  return html`<div class=${`key-row${each.is_set ? " changed" : ""}`}>
    <label for=${id} class="key-name">${each.path}</label>
    <div class="key-value"><${Input} each=${each} id=${id} take=${take} />
      ${each.is_set ? html`<button class="quiet" title="Take your value out: the preset says ${show(each.preset) || "nothing"}" aria-label=${`Reset ${each.path}`} onClick=${() => run(edits.unset(each))}>↺</button>` : null}
    </div>
    <p class="key-meaning soft">${each.meaning.replaceAll("`", "")}${range ? html` <span class="range">(${range})</span>` : null}
      ${each.is_set ? html` <span class="chip accent">${show(each.preset) === show(each.value) ? "set, as the preset" : `changed; preset ${show(each.preset) || "none"}`}</span>` : null}</p>
    ${fault ? html`<p class="bad-text key-fault" role="alert">${plain(fault.message)}${fault.hint ? ` ${fault.hint}` : ""}</p>` : null}
  </div>`;
}

/** @param {{each: FormKey, id: string, take: (value: any) => void}} props */
function Input({ each, id, take }) {
  const lines = each.kind === "list" && !isNumbers(each);
  const now = lines ? (each.value || []).join("\n") : show(each.value);
  const [text, setText] = useState(now);
  useEffect(() => setText(now), [now]);
  const leave = () => text !== now && take(parse(each, text));
  /** @param {any} event */
  const type = (event) => setText(event.currentTarget.value);
  if (each.kind === "boolean") {
    return html`<input type="checkbox" id=${id} checked=${each.value} onChange=${(/** @type {any} */ event) => take(event.currentTarget.checked)} />`;
  }
  if (each.kind === "choice") {
    return html`<select id=${id} value=${String(each.value)} onChange=${(/** @type {any} */ event) => take(parse(each, event.currentTarget.value))}>
      ${each.choices.map((choice) => html`<option value=${String(choice)}>${String(choice)}</option>`)}</select>`;
  }
  if (each.kind === "choices") {
    const chosen = each.value || [];
    return html`<span class="row" id=${id} role="group" aria-label=${each.path}>${each.choices.map((choice) => html`<label class="check"><input type="checkbox"
      checked=${chosen.includes(choice)} onChange=${(/** @type {any} */ event) => take(each.choices.filter((one) => (one === choice ? event.currentTarget.checked : chosen.includes(one))))} />${choice}</label>`)}</span>`;
  }
  if (lines) return html`<textarea id=${id} rows=${Math.max(2, Math.min(6, text.split("\n").length))} placeholder="one a line" value=${text} onInput=${type} onBlur=${leave}></textarea>`;
  const numeric = each.kind === "number" || each.kind === "integer";
  return html`<input type="text" id=${id} inputmode=${numeric ? "decimal" : "text"} value=${text} placeholder=${show(each.preset) || "not set"}
    onInput=${type} onBlur=${leave} onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Enter" && /** @type {HTMLElement} */ (event.currentTarget).blur()} />`;
}
