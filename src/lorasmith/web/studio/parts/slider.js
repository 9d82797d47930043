/** A number on a track, with its value beside it. */
import { html } from "../html.js";

/**
 * @param {{label: string, value: number, min: number, max: number, step: number, onInput: (value: number) => void,
 *   onChange?: (value: number) => void}} props
 */
export function Slider({ label, value, min, max, step, onInput, onChange }) {
  return html`<label class="slider"><span>${label}</span>
    <input type="range" value=${value} min=${min} max=${max} step=${step}
      onInput=${(/** @type {any} */ event) => onInput(Number(event.currentTarget.value))}
      onChange=${(/** @type {any} */ event) => onChange?.(Number(event.currentTarget.value))} />
    <output>${value}</output></label>`;
}
