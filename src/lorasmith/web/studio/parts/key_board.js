/** All keys of the screen at hand. */
import { html } from "../html.js";
import { boards, shown } from "../keys.js";
import { WORDS } from "../strings.js";
import { Dialog } from "./dialog.js";

export function KeyBoard() {
  if (!shown.value) return null;
  return html`<${Dialog} title=${WORDS.keys} close=${() => (shown.value = false)} wide=${true}>
    ${[...boards.value].reverse().map((board) => html`<section class="keys-board"><h3>${board.title}</h3><dl>
      ${board.keys.map((each) => html`<div><dt>${each.key.split(" ").map((name) => html`<kbd>${name}</kbd>`)}</dt><dd>${each.does}</dd></div>`)}
    </dl></section>`)}
  <//>`;
}
