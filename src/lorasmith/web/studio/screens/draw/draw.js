/** Draw: a prompt, adapters whose strengths redraw, everything that was drawn. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { get, post, readFile } from "../../api.js";
import { complain, say } from "../../state.js";
import { ErrorLine, Unshown } from "../../parts/messages.js";
import { useKeys } from "../../keys.js";
import { change, form, request, start, take } from "./form.js";
import { cancelAll, dismissJob, finished, follow, goOn, latest, making, redraw } from "./jobs.js";
import { Lint, PromptBox } from "./prompt.js";
import { Adapters } from "./adapters.js";
import { Options } from "./options.js";
import { StartPicture, dataUrl } from "./start_picture.js";
import { GridDialog } from "./grid.js";
import { Gallery } from "./gallery.js";

const LIVE_SEED = 1;

/** @param {{project: string}} props */
export function Screen({ project }) {
  const [choices, setChoices] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [refused, setRefused] = useState(/** @type {any} */ (null));
  const [grid, setGrid] = useState(false);
  const [dropped, setDropped] = useState(/** @type {{file: File, told: any} | null} */ (null));
  const wait = useRef(0);
  const load = () => Promise.all([get("/form"), get("/adapters"), get("/bases"), get("/status")]).then(([fields, adapters, bases, status]) =>
    setChoices({ fields: fields.fields, adapters: adapters.adapters.filter((/** @type {any} */ each) => !each.problem), bases: bases.bases, most: status.limits.pictures }), setFault);
  useEffect(() => { load(); goOn(); }, []);
  useEffect(() => setRefused(null), [form.value]);
  const moved = () => {
    clearTimeout(wait.current);
    if (form.value.live) wait.current = setTimeout(() => prompts(1, form.value.values.seed ?? LIVE_SEED).then(([prompt]) => redraw({ ...request(), prompt, seed: form.value.values.seed ?? LIVE_SEED, adapters: form.value.rows, attached: true }), complain), 120);
  };
  const draw = async () => {
    if (!choices) return;
    try {
      follow(await send(), form.value.prompt || "(no prompt)");
      setRefused(null);
    } catch (error) {
      setRefused(error);
    }
  };
  useKeys("Draw", [
    { key: "Ctrl+Enter", does: "draw", run: draw, typing: true },
    { key: "Escape", does: "stop drawing", run: cancelAll },
    { key: "p", does: "to the prompt", run: () => document.getElementById("prompt")?.focus() },
  ]);
  /** @param {DragEvent} event */
  const drop = async (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    await readFile("/pictures/read", file).then((told) => setDropped({ file, told }), (fault) => complain(Object.assign(fault, { where: file.name })));
  };
  if (fault) return html`<${Unshown} title="Draw" fault=${fault} retry=${() => { setFault(null); load(); }} />`;
  if (!choices) return null;
  const { prompt, negative, rows, values, live } = form.value;
  const tags = rows.map((/** @type {any} */ row) => `<lora:${row.name}:${row.strength}${row.apart ? `:apart=${row.apart}` : ""}>`);
  const busy = making.value.some((each) => !["done", "failed", "cancelled"].includes(each.state));
  return html`<div class="draw" onDragOver=${(/** @type {Event} */ event) => event.preventDefault()} onDrop=${drop}>
    <div class="draw-form">
      <${PromptBox} id="prompt" label="Prompt" rows=${4} project=${project} placeholder="what to draw; Ctrl+Enter draws" value=${prompt} onInput=${(/** @type {string} */ text) => { change({ prompt: text }); moved(); }}
        chosen=${(/** @type {string} */ kind) => kind === "wildcard" && !form.value.template && (change({ template: true }), say("The prompt is a template now: every picture draws its own line of the list."))} />
      <${Lint} text=${[prompt, ...tags].join(" ").trim()} steps=${values.steps || 20} template=${form.value.template} />
      <details open=${!!negative}><summary>Negative prompt</summary><${PromptBox} id="negative" label="What to guide away from" rows=${2} project=${project} placeholder="" value=${negative} onInput=${(/** @type {string} */ text) => change({ negative: text })} /></details>
      <${Adapters} adapters=${choices.adapters} moved=${moved} />
      <${StartPicture} />
      <${Options} fields=${choices.fields} bases=${choices.bases} most=${choices.most} />
      <div class="draw-act"><div class="row"><button class="primary grow" onClick=${draw}>Draw <kbd>Ctrl+Enter</kbd></button><button onClick=${() => setGrid(true)}>Grid …</button>${busy ? html`<button onClick=${cancelAll}>Stop</button>` : null}</div>
        <${Status} />
        <${ErrorLine} fault=${refused} />
        ${making.value.filter((each) => !each.live).map((each) => html`<${Job} key=${each.id} job=${each} />`)}</div>
    </div>
    <div class="draw-side">
      ${live && latest.value.source ? html`<figure class="live" aria-busy=${latest.value.busy}><img src=${latest.value.source} alt="redrawn as the strength moves" /><figcaption class="soft">${rows.map((/** @type {any} */ row) => `${row.name} ${row.strength}`).join(", ") || "no adapter"} · seed ${values.seed ?? LIVE_SEED}</figcaption></figure>` : null}
      <${Gallery} used=${() => document.getElementById("prompt")?.focus()} />
    </div>
    ${grid ? html`<${GridDialog} adapters=${choices.adapters} close=${() => setGrid(false)} />` : null}
    ${dropped ? html`<${Dropped} file=${dropped.file} told=${dropped.told} close=${() => setDropped(null)} />` : null}
  </div>`;
}

/** The server at a glance. */
function Status() {
  const [now, setNow] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const look = () => void (document.hidden || get("/status").then(setNow, () => setNow(null)));
    look();
    const timer = setInterval(look, 4000);
    return () => clearInterval(timer);
  }, [finished.value]);
  if (!now) return null;
  const parts = [now.base ? `base ${now.base}` : "no base loaded yet", now.running && `${now.running} in the making`, now.queued && `${now.queued} waiting`, now.seconds_per_picture && `${now.seconds_per_picture.toFixed(1)} s a picture`];
  return html`<p class="soft draw-status" role="status">${parts.filter(Boolean).join(" · ")}</p>`;
}

/** The prompts of so many pictures: what a template makes of these seeds, else the prompt. @param {number} n @param {number} seed @returns {Promise<string[]>} */
async function prompts(n, seed) {
  const { template, prompt } = form.value;
  return template ? (await post("/prompts/expand", { template: prompt, n, seed })).prompts.map((/** @type {any} */ one) => one.prompt) : Array(n).fill(prompt);
}

/** Give the form's pictures to the server; the job. */
async function send() {
  const { rows, spread, control, count, template } = form.value;
  const shared = request();
  const each = rows.length > 0 && spread === "each";
  if (!each && !(rows.length && control) && !template) return post("/jobs", { ...shared, adapters: rows, count });
  // The same seeds for every set of adapters, so that only the adapters differ.
  const first = shared.seed ?? Math.floor(Math.random() * 2 ** 32);
  const sets = each ? rows.map((/** @type {any} */ row) => [row]) : [rows];
  if (rows.length && control) sets.unshift([]);
  const pictures = (await prompts(count, first)).flatMap((/** @type {string} */ prompt, /** @type {number} */ index) => sets.map((/** @type {any} */ set) => ({ prompt, seed: first + index, adapters: set })));
  return post("/batches", { shared, pictures });
}

/** @param {{job: any}} props */
function Job({ job }) {
  const ended = ["done", "failed", "cancelled"].includes(job.state);
  const places = job.detail?.places;
  const columns = Array.isArray(places?.[0]) ? places[0].length : 0;
  return html`<div class="job card"><div class="row"><span class="grow job-title" title=${job.title}>${job.title}</span>${ended ? html`<button class="quiet" aria-label="Close" onClick=${() => dismissJob(job.id)}>×</button>` : null}</div>
    ${ended ? null : html`<progress max="1" value=${job.share} aria-label="Drawing"></progress>`}
    ${job.error ? html`<p class="bad-text">${job.error.message}</p>` : null}
    <div class="making" style=${columns ? `grid-template-columns: repeat(${columns}, minmax(0, 1fr))` : ""}>${Object.entries(job.pictures).map(([place, source]) => html`<img key=${place} src=${source} alt=${`picture ${Number(place) + 1}`} />`)}</div></div>`;
}

/** What to do with a picture that was dropped. @param {{file: File, told: any, close: () => void}} props */
function Dropped({ file, told, close }) {
  const use = () => { take(told.request); say(told.undone.length ? `Taken; not all of it can be done here: ${told.undone.join("; ")}` : "Its recipe is in the form."); close(); };
  const over = async () => { start.value = { image: await dataUrl(file), mask: "" }; close(); };
  return html`<div class="dropped card" role="dialog" aria-label=${file.name}><h2>${file.name}</h2>
    ${told.request ? html`<p class="picture-prompt">${told.request.prompt}</p>${told.undone.map((/** @type {string} */ line) => html`<p class="warn-line">${line}</p>`)}` : html`<p class="soft">It does not tell how it was drawn.</p>`}
    <p class="row">${told.request ? html`<button class="primary" onClick=${use}>Use its recipe</button>` : null}<button onClick=${over}>Start from it</button><button onClick=${close}>Cancel</button></p></div>`;
}
