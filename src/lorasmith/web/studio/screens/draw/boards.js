/** Boards: what pictures are put together under. */
import { html, signal } from "../../html.js";
import { get, post } from "../../api.js";
import { complain, say } from "../../state.js";
import { number } from "../../strings.js";
import { Dialog } from "../../parts/dialog.js";
import { TagInput } from "../../parts/tag_input.js";

/** All boards; null until they are known. @type {import("@preact/signals").Signal<{name: string, pictures: number}[] | null>} */
export const boards = signal(null);

export const readBoards = () => get("/boards").then((found) => (boards.value = found.boards), complain);

/** @param {{pictures: string[], here: string, close: (moved: boolean) => void}} props `here`: the board that is shown */
export function AskBoard({ pictures, here, close }) {
  /** @param {string} board */
  const put = (board) => post("/boards", { board, pictures }).then((found) => {
    boards.value = found.boards;
    say(board ? `On the board “${board}”: ${number(pictures.length, "picture")}.` : "Taken off.");
    close(true);
  }, complain);
  const known = boards.value || [];
  return html`<${Dialog} title=${`Put ${number(pictures.length, "picture")} on a board`} close=${() => close(false)}>
    <p class="soft">A new name makes a new board. The pictures stay where they are.</p>
    <${TagInput} label="Board" autofocus=${true} take=${put} complete=${async (/** @type {string} */ text) => known.filter((each) => each.name.toLowerCase().includes(text.toLowerCase())).map((each) => ({ tag: each.name, note: String(each.pictures) }))} />
    <p class="row chips">${known.filter((each) => each.name !== here).map((each) => html`<button class="small" onClick=${() => put(each.name)}>${each.name}</button>`)}<span class="grow"></span>${here ? html`<button onClick=${() => put("")}>Take them off “${here}”</button>` : null}</p>
  <//>`;
}
