/** A grid: up to three axes, each cell drawn once, shown as they come. */
import { html, useState } from "../../html.js";
import { post } from "../../api.js";
import { Dialog } from "../../parts/dialog.js";
import { ErrorLine } from "../../parts/messages.js";
import { form, request } from "./form.js";
import { follow } from "./jobs.js";

/** @type {Record<string, string>} */
const AXES = { strength: "0.4..1.0/0.2", adapter: "", seed: "1-4", cfg: "3..9/2", steps: "10,20,30", sampler: "Euler a,DPM++ 2M", prompt: "smile,hat" };

/** @param {{adapters: any[], close: () => void}} props */
export function GridDialog({ adapters, close }) {
  const rows = form.value.rows;
  const first = rows.length ? "strength" : "seed";
  const [axes, setAxes] = useState([{ name: first, values: AXES[first] }, { name: "", values: "" }, { name: "", values: "" }]);
  const [adapter, setAdapter] = useState(rows[0]?.name || adapters[0]?.name || "");
  const [fault, setFault] = useState(/** @type {any} */ (null));
  /** @param {number} place @param {any} change */
  const set = (place, change) => setAxes(axes.map((axis, number) => (number === place ? { ...axis, ...change } : axis)));
  /** @param {string} name */
  const usual = (name) => (name === "adapter" ? adapters.slice(0, 4).map((each) => each.name).join(",") : AXES[name] || "");
  const draw = () => {
    const [x, y, z] = axes.map((axis) => (axis.name ? `${axis.name}=${axis.values}` : null));
    const strength = axes.some((axis) => axis.name === "strength");
    const shared = request();
    const others = axes.some((axis) => axis.name === "adapter") ? [] : rows.filter((/** @type {any} */ row) => !(strength && row.name === adapter));
    post("/grids", { ...shared, adapters: others, x, y, z, adapter: strength ? adapter : null }).then((job) => { follow(job, shared.prompt || "grid"); close(); }, setFault);
  };
  return html`<${Dialog} title="Grid" close=${close}>
    <${ErrorLine} fault=${fault} />
    ${axes.map((axis, place) => html`<div class="row axis"><b>${["Columns", "Rows", "Sheets"][place]}</b>
      <select aria-label=${`${["Columns", "Rows", "Sheets"][place]} vary`} value=${axis.name} onChange=${(/** @type {any} */ event) => set(place, { name: event.currentTarget.value, values: usual(event.currentTarget.value) })}>
        ${place ? html`<option value="">nothing</option>` : null}${Object.keys(AXES).map((name) => html`<option value=${name}>${name}</option>`)}</select>
      <input type="text" class="grow" aria-label="Values" value=${axis.values} disabled=${!axis.name} onInput=${(/** @type {any} */ event) => set(place, { values: event.currentTarget.value })} /></div>`)}
    ${axes.some((axis) => axis.name === "strength") ? html`<label class="row">The strength of <select value=${adapter} onChange=${(/** @type {any} */ event) => setAdapter(event.currentTarget.value)}>${adapters.map((each) => html`<option value=${each.name}>${each.name}</option>`)}</select></label>` : null}
    <p class="soft">Values: 1-4, 0.4..1.0/0.2, or a list with commas. Equal cells are drawn once.</p>
    <p class="row"><button class="primary" onClick=${draw}>Draw the grid</button></p>
  <//>`;
}
