/** Recipe and plan: every key of the recipe in a form, and beside it what training would do. */
import { html, useEffect, useMemo, useRef, useState } from "../../html.js";
import { get, of, patch, post, reader, writesOf } from "../../api.js";
import { complain, go, remembered, say, version } from "../../state.js";
import { ErrorLine, Unshown } from "../../parts/messages.js";
import { useKeys } from "../../keys.js";
import { Field } from "./field.js";
import { Plan } from "./plan.js";
import { Sweep } from "./sweep.js";
import { ImportDialog, readRecipe } from "./import.js";

/** @typedef {import("./values.js").FormKey} FormKey */
const SHOWN = ["usual", "changed", "all"];

/** @param {{project: string}} props */
export function Screen({ project }) {
  const [form, setForm] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const [planFault, setPlanFault] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const [dropped, setDropped] = useState(/** @type {{file: File, found: any} | null} */ (null));
  const shown = remembered("recipe-shown", "usual");
  const search = remembered("recipe-search", "");
  const picker = useRef(/** @type {HTMLInputElement | null} */ (null));
  const turn = useRef(0);
  const probe = remembered("probe", false);
  const ask = (rehearse = false) => {
    const mine = ++turn.current;
    setBusy(true);
    post(of(project, "/plan"), { rehearse, probe: probe.value }).then(
      (found) => mine === turn.current && (setPlan(found), setPlanFault(null)),
      (error) => mine === turn.current && setPlanFault(error),
    ).finally(() => mine === turn.current && setBusy(false));
  };
  const writes = writesOf(project);
  const read = useMemo(() => reader(writes, () => get(of(project, "/recipe/form")), setForm), [project]);
  const load = () => read().then(() => setFault(null), setFault);
  useEffect(() => {
    load();
    const wait = setTimeout(() => ask(), 200);
    return () => clearTimeout(wait);
  }, [project, version.value, probe.value]);
  /** @param {Record<string, any>} set @param {string[]} unset */
  const change = async (set, unset) => setForm(await writes.run(() => patch(of(project, "/recipe"), { set, unset })));
  const edits = {
    set: (/** @type {FormKey} */ key, /** @type {any} */ value) => change({ [`recipe.${key.path}`]: value }, []),
    unset: (/** @type {FormKey} */ key) => change({}, [`recipe.${key.path}`]),
  };
  /** @param {File | undefined} file */
  const take = (file) => file && readRecipe(project, file, false).then((found) => setDropped({ file, found }), complain);
  /** @param {DragEvent} event */
  const drop = (event) => { event.preventDefault(); take(event.dataTransfer?.files[0]); };
  useKeys("Recipe", [
    { key: "/", does: "search the keys", run: () => document.getElementById("recipe-search")?.focus() },
    { key: "t", does: "to the run", run: () => go("run") },
  ]);
  if (fault) return html`<${Unshown} title="Recipe" fault=${fault} retry=${load} />`;
  if (!form) return null;
  const unknown = [...(form.problem || "").matchAll(/\[recipe\] (\S+) = .*unknown key/g)].map((found) => found[1]);
  const words = search.value.trim().toLowerCase();
  /** @param {FormKey} key */
  const fits = (key) => (words ? `${key.path} ${key.meaning}`.toLowerCase().includes(words) : shown.value === "all" || (shown.value === "usual" ? key.usual || key.is_set : key.is_set));
  const groups = form.groups.map((/** @type {any} */ group) => ({ ...group, keys: group.keys.filter(fits) })).filter((/** @type {any} */ group) => group.keys.length);
  const changed = form.groups.flatMap((/** @type {any} */ group) => group.keys).filter((/** @type {FormKey} */ key) => key.is_set).length;
  return html`<div class="sheet recipe" onDragOver=${(/** @type {Event} */ event) => event.preventDefault()} onDrop=${drop}>
    <div class="recipe-head row">
      <h1>Recipe</h1>
      <span class="row" role="group" aria-label="Which keys">${SHOWN.map((name) => html`<button aria-pressed=${!words && shown.value === name} onClick=${() => { shown.value = name; search.value = ""; }}>${name === "changed" ? `changed (${changed})` : name}</button>`)}</span>
      <input id="recipe-search" type="search" class="grow" placeholder="Search keys and what they mean ( / )" aria-label="Search" value=${search.value} onInput=${(/** @type {any} */ event) => (search.value = event.currentTarget.value)} />
      <button onClick=${() => picker.current?.click()} title="kohya's TOML or JSON, the hub trainer's JSON, an adapter file; it can be dropped here, too">Import …</button>
      <input ref=${picker} type="file" hidden onChange=${(/** @type {any} */ event) => { take(event.currentTarget.files[0]); event.currentTarget.value = ""; }} />
      <button class="primary" onClick=${() => go("run")}>To the run →</button>
    </div>
    ${form.problem ? html`<${ErrorLine} fault=${{ message: form.problem, hint: "The values below are the preset's until this is mended in lora.toml." }} />${unknown.map((key) => html`<p><button onClick=${() => change({}, [`recipe.${key}`]).catch(complain)}>Take ${key} out</button></p>`)}` : null}
    <div class="recipe-sides">
      <div class="column">
        ${groups.map((/** @type {any} */ group) => html`<section class="card key-group" key=${group.title}><h2>${group.title}</h2>
          ${group.keys.map((/** @type {FormKey} */ key) => html`<${Field} key=${key.path} each=${key} edits=${edits} />`)}</section>`)}
        ${groups.length ? null : html`<p class="empty">${words ? `No key has "${search.value}".` : "All values are the preset's."}</p>`}
        <${Sweep} sweep=${form.sweep} change=${change} />
      </div>
      <${Plan} project=${project} plan=${plan} fault=${planFault} busy=${busy} rehearse=${() => ask(true)} />
    </div>
    ${dropped ? html`<${ImportDialog} project=${project} file=${dropped.file} found=${dropped.found} close=${() => setDropped(null)} taken=${() => { say(`The recipe is that of ${dropped.file.name} now.`); setDropped(null); }} />` : null}
  </div>`;
}
