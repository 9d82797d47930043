/** Whether the next run finds its learning rates first; one choice for the recipe and the run. */
import { html } from "../../html.js";
import { remembered } from "../../state.js";

export function ProbeBox() {
  const probe = remembered("probe", false);
  return html`<label class="check" title="Half, once and twice the rates are trained for a quarter of the steps each; what held-out images like best is taken"><input type="checkbox" checked=${probe.value}
    onChange=${(/** @type {any} */ event) => (probe.value = event.currentTarget.checked)} />Find the learning rates first</label>`;
}
