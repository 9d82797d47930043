/** Adapters of the form, with strengths that redraw. */
import { html } from "../../html.js";
import { address } from "../../api.js";
import { ONLY } from "../../state.js";
import { change, form } from "./form.js";

/** What its exam recommends; 0.8 where nobody told: many are too strong at 1. @param {any} adapter */
const usual = (adapter) => adapter?.strength ?? 0.8;

/** Names that the prompt or the list calls more than once: the strengths add up. */
function doubles() {
  const { prompt, rows, spread } = form.value;
  const tags = [...prompt.matchAll(/<(?:lora|lyco):([^:>]+)/gi)].map((tag) => tag[1].trim());
  const listed = rows.map((/** @type {any} */ row) => row.name);
  const called = [...new Set(tags), ...(spread === "each" ? new Set(listed) : listed)];
  return [...new Set(listed.filter((/** @type {string} */ name) => called.filter((one) => one === name).length > 1))];
}

/** What would end the words inside of an adapter's tag. */
const ENDS = /[:=<>]/g;

/** What an adapter apart is told at first: its trigger. @param {any} adapter */
const words = (adapter) => (adapter.trigger || adapter.name).replace(ENDS, " ");

/** @param {{adapters: any[], moved: () => void}} props */
export function Adapters({ adapters, moved }) {
  const { rows, spread, control, live } = form.value;
  /** @param {number} place @param {any} values */
  const set = (place, values) => { change({ rows: rows.map((/** @type {any} */ row, /** @type {number} */ number) => (number === place ? { ...row, ...values } : row)) }); moved(); };
  const add = () => {
    const free = adapters.find((each) => !rows.some((/** @type {any} */ row) => row.name === each.name)) || adapters[0];
    change({ rows: [...rows, { name: free.name, strength: usual(free), apart: "" }] });
    moved();
  };
  /** @param {string} trigger */
  const call = (trigger) => { if (!form.value.prompt.includes(trigger)) change({ prompt: [trigger, form.value.prompt].filter(Boolean).join(", ") }); moved(); };
  const twice = doubles();
  return html`<fieldset class="adapters"><legend>Adapters</legend>
    ${rows.map((/** @type {any} */ row, /** @type {number} */ place) => {
      const known = adapters.find((each) => each.name === row.name);
      return html`<div class="adapter" key=${place}>
        <select aria-label="Adapter" value=${row.name} onChange=${(/** @type {any} */ event) => { const next = adapters.find((each) => each.name === event.currentTarget.value); set(place, { name: next.name, strength: row.strength === usual(known) ? usual(next) : row.strength, apart: row.apart && words(next) }); }}>
          ${known ? null : html`<option value=${row.name}>${row.name} (gone)</option>`}${adapters.map((each) => html`<option value=${each.name}>${each.name}</option>`)}</select>
        <button class="quiet" aria-label=${`Take ${row.name} out`} onClick=${() => { change({ rows: rows.filter((/** @type {any} */ _, /** @type {number} */ number) => number !== place) }); moved(); }}>×</button>
        <input type="range" min="-1" max="2" step="0.05" value=${row.strength} aria-label=${`Strength of ${row.name}`} onInput=${(/** @type {any} */ event) => set(place, { strength: Number(event.currentTarget.value) })} />
        <input type="number" min="-10" max="10" step="0.05" value=${row.strength} aria-label=${`Strength of ${row.name} as a number`} onChange=${(/** @type {any} */ event) => set(place, { strength: Number(event.currentTarget.value) })} />
        ${known?.has_preview ? html`<img class="adapter-preview" src=${address(`/adapters/preview?${new URLSearchParams({ name: row.name })}`)} alt="" loading="lazy" />` : null}${known?.trigger ? html`<span class="adapter-trigger soft">trigger <button class="chip" title="Put it into the prompt" onClick=${() => call(known.trigger)}>${known.trigger}</button></span>` : null}
        ${(rows.length > 1 && spread === "together") || row.apart ? html`<span class="adapter-trigger row"><label class="check" title="It is told these words by itself, and what it makes of them is added to what the others draw: for adapters that do not get on. Take its trigger out of the prompt, and call it a little weaker (0.5 to 0.65)."><input type="checkbox" checked=${!!row.apart} onChange=${(/** @type {any} */ event) => set(place, { apart: event.currentTarget.checked ? words(known || row) : "" })} />apart</label>
          ${row.apart ? html`<input class="grow" type="text" maxlength="500" aria-label=${`Words that ${row.name} alone is told`} value=${row.apart} onChange=${(/** @type {any} */ event) => set(place, { apart: event.currentTarget.value.replace(ENDS, " ").trim() })} />` : null}</span>` : null}
      </div>`;
    })}
    ${twice.length ? html`<p class="warn-line">${twice.join(", ")}: called more than once, here or by a tag in the prompt; the strengths add up.</p>` : null}
    <div class="row"><button onClick=${add} disabled=${!adapters.length}>Add an adapter</button>
      <label class="check" title="One picture is drawn anew whenever a strength moves, always with the same seed"><input type="checkbox" checked=${live} onChange=${(/** @type {any} */ event) => { change({ live: event.currentTarget.checked }); moved(); }} />redraw as it moves</label>
      ${adapters.length ? null : html`<span class="soft">${ONLY ? "None are in the server's folders." : "There are none yet: train one, or install one in the library."}</span>`}</div>
    ${rows.length ? html`<div class="row spread">
      <label class="check"><input type="radio" name="spread" checked=${spread === "together"} onChange=${() => change({ spread: "together", control: false })} />all in every picture</label>
      <label class="check"><input type="radio" name="spread" checked=${spread === "each"} onChange=${() => change({ spread: "each", control: true })} />one picture each</label>
      <label class="check"><input type="checkbox" checked=${control} onChange=${(/** @type {any} */ event) => change({ control: event.currentTarget.checked })} />and one without any</label></div>` : null}
  </fieldset>`;
}
