/** All pictures that were drawn, the newest first. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { address, get } from "../../api.js";
import { complain, remembered } from "../../state.js";
import { VirtualGrid } from "../../parts/virtual_grid.js";
import { number } from "../../strings.js";
import { useKeys } from "../../keys.js";
import { finished } from "./jobs.js";
import { PictureDialog } from "./picture.js";
import { AskBoard, boards, readBoards } from "./boards.js";

const PAGE = 200;

/** @param {{used: () => void}} props */
export function Gallery({ used }) {
  const [items, setItems] = useState(/** @type {any[]} */ ([]));
  const [total, setTotal] = useState(0);
  const [next, setNext] = useState(/** @type {string | null} */ (null));
  const [cursor, setCursor] = useState(-1);
  const [open, setOpen] = useState(false);
  const [asked, setAsked] = useState(false);
  const search = remembered("gallery-search", "");
  const board = remembered("gallery-board", /** @type {string | null} */ (null));
  const selected = remembered("gallery-selected", /** @type {ReadonlySet<string>} */ (new Set()));
  const side = remembered("gallery-side", 168);
  const top = remembered("gallery-top", 0);
  const across = useRef(1);
  const busy = useRef(false);
  /** @param {string | null} after */
  const load = async (after) => {
    if (busy.current && after) return;
    busy.current = true;
    try {
      const query = new URLSearchParams({ limit: String(PAGE), search: search.value, ...(board.value === null ? {} : { board: board.value }), ...(after ? { after } : {}) });
      const found = await get(`/pictures?${query}`);
      setItems((before) => (after ? [...before, ...found.pictures] : found.pictures));
      setNext(found.next);
      setTotal(search.value || board.value !== null ? found.pictures.length : found.total);
    } catch (fault) {
      complain(fault);
    }
    busy.current = false;
  };
  useEffect(() => { const wait = setTimeout(() => load(null), search.value ? 200 : 0); return () => clearTimeout(wait); }, [search.value, board.value, finished.value]);
  useEffect(() => void readBoards(), [finished.value]);
  useEffect(() => { if (board.value && boards.value && !boards.value.some((each) => each.name === board.value)) board.value = null; }, [boards.value]);
  /** @param {number} index */
  const toggle = (index) => {
    const picked = new Set(selected.value), id = items[index]?.id;
    if (id && !picked.delete(id)) picked.add(id);
    selected.value = picked;
    setCursor(index);
  };
  const meant = () => (selected.value.size ? [...selected.value] : items[cursor] ? [items[cursor].id] : []);
  /** @param {number} index */
  const draw = (index) => {
    const item = items[index];
    if (!item) { if (next) load(next); return null; }
    const chosen = selected.value.has(item.id);
    return html`<button class=${`picture${index === cursor ? " here" : ""}${chosen ? " chosen" : ""}`} title=${item.board ? `${item.prompt} (${item.board})` : item.prompt} tabindex="-1" onClick=${(/** @type {MouseEvent} */ event) => { if (event.ctrlKey || event.metaKey || event.shiftKey) toggle(index); else { setCursor(index); setOpen(true); } }}><img src=${address(`/pictures/${item.id}/thumbnail`)} alt=${item.prompt} decoding="async" /></button>`;
  };
  const count = next && !search.value && board.value === null ? Math.max(total, items.length) : items.length;
  /** @param {number} step */
  const move = (step) => setCursor((at) => Math.max(0, Math.min(count - 1, at < 0 ? 0 : at + step)));
  useKeys("Pictures", [
    { key: "ArrowLeft", does: "the newer one", run: () => move(-1) }, { key: "ArrowRight", does: "the older one", run: () => move(1) },
    { key: "ArrowUp", does: "a row up", run: () => move(-across.current) }, { key: "ArrowDown", does: "a row down", run: () => move(across.current) },
    { key: "Enter", does: "open", run: () => cursor >= 0 && setOpen(true) },
    { key: "Space", does: "select it too, or no longer", run: () => cursor >= 0 && toggle(cursor) },
    { key: "b", does: "put it on a board", run: () => setAsked(meant().length > 0) },
    { key: "/", does: "search the prompts", run: () => document.getElementById("gallery-search")?.focus() },
  ]);
  return html`<section class="gallery" aria-label="Pictures">
    <div class="row gallery-head"><input id="gallery-search" type="search" class="grow" placeholder="Search the prompts ( / )" aria-label="Search the prompts" value=${search.value} onInput=${(/** @type {any} */ event) => (search.value = event.currentTarget.value)} />
      ${boards.value?.length ? html`<select aria-label="Board" value=${board.value ?? "*"} onChange=${(/** @type {any} */ event) => (board.value = event.currentTarget.value === "*" ? null : event.currentTarget.value)}>
        <option value="*">All pictures</option><option value="">On no board</option>${boards.value.map((each) => html`<option value=${each.name}>${each.name} (${each.pictures})</option>`)}</select>` : null}
      <span class="soft">${selected.value.size ? `${selected.value.size} selected` : number(count, "picture")}</span>
      ${selected.value.size ? html`<button class="quiet" onClick=${() => (selected.value = new Set())}>None</button>` : null}
      <button onClick=${() => setAsked(true)} disabled=${!meant().length} title="Put what is selected on a board (b); Ctrl+click selects">Board …</button><input type="range" min="96" max="320" step="8" value=${side.value} aria-label="Size of the pictures" onInput=${(/** @type {any} */ event) => (side.value = Number(event.currentTarget.value))} /></div>
    ${count ? html`<div class="gallery-grid"><${VirtualGrid} count=${count} cell=${side.value} draw=${draw} cursor=${cursor} label="Pictures, the newest first" top=${top} columns=${(/** @type {number} */ found) => (across.current = found)} /></div>`
    : html`<p class="empty">${search.value ? "No picture's prompt has these words." : board.value !== null ? "No picture is here." : "No pictures yet. Write a prompt and press Ctrl+Enter."}</p>`}
    ${asked ? html`<${AskBoard} pictures=${meant()} here=${board.value || ""} close=${(/** @type {boolean} */ moved) => { setAsked(false); if (moved) { selected.value = new Set(); load(null); } }} />` : null}
    ${open && items[cursor] ? html`<${PictureDialog} key=${items[cursor].id} id=${items[cursor].id} close=${() => setOpen(false)} step=${move} used=${() => { setOpen(false); used(); }} gone=${() => { setOpen(false); load(null); }} />` : null}
  </section>`;
}
