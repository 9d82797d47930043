/** A sweep: one key, several values, all of them trained side by side. */
import { readable } from "../../strings.js";
import { html, useState } from "../../html.js";
import { show } from "./values.js";

/** @param {{sweep: Record<string, any>, change: (set: Record<string, any>, unset: string[]) => Promise<any>}} props */
export function Sweep({ sweep, change }) {
  const [key, setKey] = useState("rank");
  const [text, setText] = useState("4, 8");
  const [fault, setFault] = useState(/** @type {any} */ (null));
  /** @param {Promise<any>} work */
  const run = (work) => work.then(() => setFault(null), setFault);
  const add = () => run(change({ [`sweep.${key.trim()}`]: text.split(",").filter((each) => each.trim()).map((each) => (Number.isFinite(Number(each)) ? Number(each) : each.trim())) }, []));
  /** @param {Record<string, any>} table @param {string} [prefix] @returns {[string, any][]} */
  const flat = (table, prefix = "") => Object.entries(table).flatMap(([name, value]) => Array.isArray(value) ? [/** @type {[string, any]} */ ([prefix + name, value])] : flat(value, `${prefix}${name}.`));
  const rows = flat(sweep);
  return html`<details class="card sweep" open=${rows.length > 0}><summary><b>Sweep</b> <span class="soft">train several values side by side</span></summary>
    ${rows.map(([name, values]) => html`<p class="row"><code>${name}</code><span>${show(values)}</span><button class="quiet" aria-label=${`Take ${name} out of the sweep`} onClick=${() => run(change({}, [`sweep.${name}`]))}>×</button></p>`)}
    <p class="row"><input type="text" aria-label="Key to vary" value=${key} onInput=${(/** @type {any} */ event) => setKey(event.currentTarget.value)} />
      <input type="text" aria-label="Its values" value=${text} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
      <button onClick=${add}>Vary</button></p>
    ${fault ? html`<p class="bad-text" role="alert">${readable(fault.message)}</p>` : null}
  </details>`;
}
