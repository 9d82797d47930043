import { html } from "../../html.js";

export function Screen() {
  return html`<div class="sheet"><h1>Captions</h1></div>`;
}
