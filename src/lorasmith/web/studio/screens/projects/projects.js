import { html } from "../../html.js";

export function Screen() {
  return html`<div class="sheet"><h1>Projects</h1></div>`;
}
