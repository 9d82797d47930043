/** Images: ten thousand thumbnails, what is wrong with them, and decisions on many at once. */
import { html, useEffect, useMemo, useRef, useState } from "../../html.js";
import { get, post, address, of } from "../../api.js";
import { complain, remembered, tasks, version } from "../../state.js";
import { number, WORDS } from "../../strings.js";
import { useKeys } from "../../keys.js";
import { ErrorLine, Unshown } from "../../parts/messages.js";
import { Reading, TaskProgress } from "../../parts/progress.js";
import { VirtualGrid } from "../../parts/virtual_grid.js";
import { isDrawn, openModel } from "./model.js";
import { Filters } from "./filters.js";
import { Groups } from "./groups.js";
import { Look } from "./look.js";
import { MakeDialog } from "./make.js";
import { RoundDialog, RoundProgress, useRound } from "./round.js";
import { AskRepeats, AskLabel } from "./asking.js";
import { NewProject } from "../projects/new_project.js";
import { piecesOfFiles, useDrop } from "../projects/intake.js";

/** Images for the project at hand: whatever is dropped on the screen, or a path. @param {{project: string, pieces: any, close: () => void}} props */
function AddImages({ project, pieces, close }) {
  const [known, setKnown] = useState(/** @type {any} */ (null));
  useEffect(() => void get("/projects").then(setKnown, complain), []);
  return known ? html`<${NewProject} pieces=${pieces} known=${known} close=${close} into=${project} />` : null;
}

/** @param {{model: any, index: number, open: (name: string) => void}} props */
function Cell({ model, index, open }) {
  const picture = model.shown.value[index];
  if (!picture) return null;
  const chosen = model.selected.value.has(picture.name);
  const here = model.cursor.value === index;
  const label = picture.name.slice(picture.name.lastIndexOf("/") + 1);
  return html`<figure class=${`thumb ${picture.state}${chosen ? " chosen" : ""}${here ? " here" : ""}`} data-name=${picture.name}
    onClick=${(/** @type {MouseEvent} */ event) => model.select(picture.name, { shift: event.shiftKey, toggle: event.ctrlKey || event.metaKey }, index)}
    onDblClick=${() => open(picture.name)} title=${picture.name}>
    <img src=${address(of(model.project, `/images/${picture.id}/thumbnail?size=256`))} alt=${picture.name} decoding="async" draggable=${false} />
    <span class="marks">${picture.role ? html`<span class="mark role">${picture.role[0].toUpperCase()}</span>` : null}${picture.repeats > 1 ? html`<span class="mark">×${picture.repeats}</span>` : null}${picture.crop ? html`<span class="mark">▣</span>` : null}${picture.facets?.length ? html`<span class="mark">${picture.facets.length} ⚑</span>` : null}${picture.state === "kept" ? html`<span class="mark kept-mark">✓</span>` : null}${isDrawn(picture) ? html`<span class="mark" title="Drawn by the adapter">✎</span>` : null}</span>
    <figcaption>${label}</figcaption>
  </figure>`;
}

/** @param {{model: any, ask: (what: string) => void}} props */
function Actions({ model, ask }) {
  const count = model.selected.value.size;
  const off = !count && model.cursor.value < 0;
  const act = (/** @type {string} */ verb, /** @type {any} */ value = null) => () => model.decide(verb, value);
  return html`<div class="row actions" role="toolbar" aria-label="Decide">
    <span class="soft count">${!model.listed.value ? "" : count ? `${count.toLocaleString("en")} selected` : number(model.shown.value.length, "image")}</span>
    <button onClick=${act("keep")} disabled=${off} title="k">Keep</button><button onClick=${act("reject")} disabled=${off} title="x">Reject</button>
    <button onClick=${act("role", "primary")} disabled=${off} title="p">Primary</button><button onClick=${act("role", "supporting")} disabled=${off} title="s">Supporting</button>
    <button onClick=${act("role", null)} disabled=${off} title="o">No role</button>
    <button onClick=${() => ask("repeats")} disabled=${off} title="r">Repeats…</button><button onClick=${() => ask("label")} disabled=${off} title="l">Label…</button>
    <button onClick=${act("distinct")} disabled=${count < 2} title="d">Not the same</button>
    <button onClick=${() => ask("make")} disabled=${!model.listed.value} title="Altered copies, a collage, a dataset of one image (m)">Make…</button>
    <span class="grow"></span>
    <button onClick=${() => model.step("undo")} disabled=${!model.listed.value?.undo} title="u">${WORDS.undo}</button>
    <button onClick=${() => model.step("redo")} disabled=${!model.listed.value?.redo} title="Shift+u">${WORDS.redo}</button>
  </div>`;
}

/** @param {{project: string}} props */
export function Screen({ project }) {
  const model = useMemo(() => openModel(project), [project]);
  const [look, setLook] = useState("");
  const [asked, setAsked] = useState("");
  const round = useRound(model);
  const asksRound = remembered("images/round", false);
  const [pieces, setPieces] = useState(/** @type {any} */ (null));
  const over = useDrop(setPieces);
  const adding = pieces ? html`<${AddImages} project=${project} pieces=${pieces} close=${() => setPieces(null)} />` : null;
  const [wide, setWide] = useState(() => !matchMedia("(max-width: 760px)").matches);
  const across = useRef(1);
  const files = useRef(/** @type {HTMLInputElement | null} */ (null));
  const running = Object.values(tasks.value).find((task) => task.project === project && task.state === "running" && /inspect|tidy|add|make/.test(task.kind));
  const inspect = () => post(of(project, "/findings")).then((task) => (tasks.value = { ...tasks.value, [task.id]: task }), complain);
  const tidy = () => post(of(project, "/decisions/tidy")).then((task) => (tasks.value = { ...tasks.value, [task.id]: task }), complain);
  useEffect(() => void model.load().then(() => running || model.fault.value || model.loadInspection()), [version.value, !!running]);
  /** @param {number} step @param {boolean} shift */
  const move = (step, shift) => {
    const list = model.shown.value;
    if (!list.length) return;
    const next = Math.min(list.length - 1, Math.max(0, model.cursor.value < 0 ? 0 : model.cursor.value + step));
    if (look) { setLook(list[next].name); model.cursor.value = next; } else model.select(list[next].name, { shift }, next);
  };
  const open = (/** @type {string} */ name) => { model.cursor.value = model.shown.value.findIndex((each) => each.name === name); setLook(name); };
  const here = () => model.shown.value[model.cursor.value];
  useKeys("Images", [
    { key: "ArrowRight Shift+ArrowRight", does: "Next image; with Shift select on the way", run: (event) => move(1, event.shiftKey) },
    { key: "ArrowLeft Shift+ArrowLeft", does: "Image before", run: (event) => move(-1, event.shiftKey) },
    { key: "ArrowDown Shift+ArrowDown", does: "A row down", run: (event) => move(across.current, event.shiftKey) },
    { key: "ArrowUp Shift+ArrowUp", does: "A row up", run: (event) => move(-across.current, event.shiftKey) },
    { key: "Home", does: "First image", run: () => move(-1e9, false) }, { key: "End", does: "Last image", run: () => move(1e9, false) },
    { key: "Space", does: "Select it too, or no longer", run: () => { const each = here(); if (each) model.select(each.name, { toggle: true }, model.cursor.value); } },
    { key: "Ctrl+a", does: "Select all that is shown", run: () => (model.selected.value = new Set(model.shown.value.map((each) => each.name))) },
    { key: "Escape", does: "Select nothing", run: () => (model.selected.value = new Set()) },
    { key: "Enter", does: "Look at it closely, and crop it", run: () => { const each = here(); if (each) open(each.name); } },
    { key: "k", does: "Keep", run: () => void model.decide("keep") }, { key: "x Delete", does: "Reject", run: () => void model.decide("reject") },
    { key: "p", does: "Primary", run: () => void model.decide("role", "primary") }, { key: "s", does: "Supporting", run: () => void model.decide("role", "supporting") },
    { key: "o", does: "No role", run: () => void model.decide("role", null) }, { key: "r", does: "Repeats", run: () => setAsked("repeats") },
    { key: "m", does: "Make pictures from them: copies, a collage, parts", run: () => setAsked("make") },
    { key: "l", does: "Label", run: () => setAsked("label") }, { key: "d", does: "Not the same", run: () => void model.decide("distinct") },
    { key: "u Ctrl+z", does: "Undo", run: () => void model.step("undo") }, { key: "Shift+u Ctrl+y Ctrl+Shift+z", does: "Redo", run: () => void model.step("redo") },
    { key: "i", does: "Look what is wrong", run: () => void inspect() },
  ]);
  const filter = model.filter.value;
  const document = model.inspection.value?.document;
  const broken = model.fault.value;
  if (broken && !model.listed.value) return /^(NoImages|Dataset)Error$/.test(broken.kind)
    ? html`<div class=${`sheet unshown${over ? " over" : ""}`}><h1>Images</h1>${broken.kind === "DatasetError" ? html`<${ErrorLine} fault=${broken} retry=${model.load} />` : null}<div class="empty">${broken.kind === "DatasetError" ? null : html`<p>${WORDS.noImages}</p>`}<p>Drop images, a folder or a zip here.</p><p class="row"><button class="primary" onClick=${() => files.current?.click()}>Choose files</button><button onClick=${() => setPieces([])}>Add from a path</button></p>
        <input ref=${files} type="file" multiple accept="image/*,.zip,.txt,.caption" class="visually-hidden" tabindex="-1" aria-label="Files" onChange=${(/** @type {any} */ event) => { const found = piecesOfFiles([...event.currentTarget.files]); event.currentTarget.value = ""; if (found.length) setPieces(found); }} /></div>${adding}</div>`
    : html`<${Unshown} title="Images" fault=${broken} retry=${model.load} />`;
  return html`<div class=${`images${look ? " looking" : ""}${over ? " over" : ""}`}>
    <div class="side" hidden=${!wide}>
      <div class="column inspect-box">${running ? html`<${TaskProgress} task=${running} />` : html`<button class=${document && !model.inspection.value.stale ? "" : "primary"} onClick=${inspect}>${document ? (model.inspection.value.stale ? "Look again" : "Looked at; again") : "Look what is wrong"}</button>`}
        ${document?.removable?.length && !running ? html`<button onClick=${tidy} title="One step; undo takes it back">Tidy: reject ${document.removable.length}</button>` : null}
        <button onClick=${() => setPieces([])} title="Or drop them here">Add images</button>
        ${round.running ? html`<${RoundProgress} round=${round} />` : html`<button onClick=${() => (asksRound.value = true)} title="The adapter draws what no image shows; what is right is taken">Second round…</button>`}</div>
      <${Filters} model=${model} />
    </div>
    <div class="middle">
      <div class="row search-row"><button class="quiet narrow-only" aria-expanded=${wide} onClick=${() => setWide(!wide)}>Filters</button>
        <input type="search" class="grow" placeholder="Name or label" aria-label="Name or label" value=${model.words.value} onInput=${(/** @type {any} */ event) => { model.words.value = event.currentTarget.value; model.cursor.value = -1; }} />
        <label class="row soft">Size<input type="range" min="90" max="300" step="10" value=${model.side.value} aria-label="Size of thumbnails" onInput=${(/** @type {any} */ event) => (model.side.value = Number(event.currentTarget.value))} /></label></div>
      <${Actions} model=${model} ask=${setAsked} />
      ${filter.title ? html`<p class="filter-title"><span class="grow">${filter.title} ${filter.advice ? html`<span class="soft">${filter.advice}</span>` : null}</span>
        ${filter.label && model.selected.value.size ? html`<button onClick=${() => model.decide("label", filter.label)}>Label as “${filter.label}”</button>` : null}
        <button class="quiet" onClick=${() => { model.filter.value = { kind: "state", value: "all" }; model.view.value = "grid"; }}>Show all</button></p>` : null}
      <${ErrorLine} fault=${model.fault.value} retry=${model.load} />
      ${model.view.value === "groups" ? html`<${Groups} model=${model} open=${open} />`
        : !model.listed.value ? html`<${Reading} project=${project} />`
        : model.shown.value.length ? html`<${VirtualGrid} count=${model.shown.value.length} cell=${model.side.value} height=${model.side.value + 20} cursor=${model.cursor.value} label="Images" top=${model.top} selected=${(/** @type {number} */ index) => model.selected.value.has(model.shown.value[index]?.name)}
            columns=${(/** @type {number} */ count) => (across.current = count)} draw=${(/** @type {number} */ index) => html`<${Cell} model=${model} index=${index} open=${open} />`} />`
        : html`<p class="empty">${model.all.value.length ? "No image is like that." : "No images yet. Drop some here."}</p>`}
    </div>
    ${look ? html`<${Look} model=${model} name=${look} close=${() => setLook("")} turn=${(/** @type {number} */ step) => move(step, false)} />` : null}
    ${adding}
    ${asked === "repeats" ? html`<${AskRepeats} model=${model} close=${() => setAsked("")} />` : null}
    ${asked === "make" ? html`<${MakeDialog} model=${model} names=${model.chosen()} close=${() => setAsked("")} />` : null}
    ${asksRound.value ? html`<${RoundDialog} model=${model} round=${round} close=${() => (asksRound.value = false)} />` : null}
    ${asked === "label" ? html`<${AskLabel} model=${model} close=${() => setAsked("")} />` : null}
  </div>`;
}
