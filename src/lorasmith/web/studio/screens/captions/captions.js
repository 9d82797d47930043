/** Captions: what each image is called, why, and what the rules would make of a change. */
import { html, useEffect, useMemo } from "../../html.js";
import { address, of } from "../../api.js";
import { version } from "../../state.js";
import { number, WORDS } from "../../strings.js";
import { useKeys } from "../../keys.js";
import { Reading } from "../../parts/progress.js";
import { ErrorLine, Unshown } from "../../parts/messages.js";
import { TagInput } from "../../parts/tag_input.js";
import { VirtualGrid } from "../../parts/virtual_grid.js";
import { openModel, tagsOf } from "./model.js";
import { OneImage } from "./one_image.js";
import { TagTable } from "./tag_table.js";
import { RuleList } from "./rule_list.js";
import { Seers } from "./seers.js";

const PANELS = [["tags", "Tags"], ["rules", "Rules"], ["seers", "Taggers"]];

/** @param {{model: any, index: number}} props */
function Row({ model, index }) {
  const name = model.shown.value[index];
  if (!name) return null;
  const caption = model.listed.value.captions[name];
  return html`<div class=${model.here.value === name ? "caption-row here" : "caption-row"} data-name=${name} onClick=${() => (model.cursor.value = index)}>
    <img src=${address(of(model.project, `/images/${model.listed.value.ids[name]}/thumbnail?size=128`))} alt="" decoding="async" />
    <div><span class="soft">${name}</span><div class="caption-tags">${tagsOf(caption).map((tag) => html`<button class="tag" title="Drop it from this image" onClick=${(/** @type {Event} */ event) => { event.stopPropagation(); model.correct([name], [], [tag]); }}>${tag}</button>`)}${caption ? null : html`<span class="warn-text">no caption</span>`}</div></div>
  </div>`;
}

/** @param {{project: string}} props */
export function Screen({ project }) {
  const model = useMemo(() => openModel(project), [project]);
  useEffect(() => void model.load(), [version.value]);
  useEffect(() => void model.explain(), [model.here.value, version.value]);
  const move = (/** @type {number} */ step) => (model.cursor.value = Math.max(0, Math.min(model.shown.value.length - 1, model.cursor.value + step)));
  useKeys("Captions", [
    { key: "ArrowDown j", does: "Next image", run: () => void move(1) }, { key: "ArrowUp", does: "Image before", run: () => void move(-1) },
    { key: "PageDown", does: "Ten on", run: () => void move(10) }, { key: "PageUp", does: "Ten back", run: () => void move(-10) },
    { key: "t", does: "Add a tag to this image", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".one-image .tag-input input"))?.focus() },
    { key: "a", does: "Add a tag to all that are shown", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".many .tag-input input"))?.focus() },
    { key: "f", does: "Find", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".search-captions"))?.focus() },
    { key: "Escape", does: "Show all", run: () => { model.only.value = null; model.words.value = ""; } },
    { key: "u Ctrl+z", does: "Undo", run: () => void model.step("undo") }, { key: "Shift+u Ctrl+y Ctrl+Shift+z", does: "Redo", run: () => void model.step("redo") },
  ]);
  if (model.fault.value && !model.listed.value) return html`<${Unshown} title="Captions" fault=${model.fault.value} retry=${model.load} />`;
  const count = model.shown.value.length;
  const only = model.only.value;
  return html`<div class="captions">
    <div class="caption-panel"><div class="row tabs" role="tablist" aria-label="Panels">${PANELS.map(([value, label]) => html`<button role="tab" aria-selected=${model.panel.value === value} onClick=${() => (model.panel.value = value)}>${label}</button>`)}</div>
      <div role="tabpanel">${model.panel.value === "rules" ? html`<${RuleList} model=${model} />` : model.panel.value === "seers" ? html`<${Seers} model=${model} />` : html`<${TagTable} model=${model} />`}</div></div>
    <div class="caption-list">
      <div class="row head"><input type="search" class="grow search-captions" placeholder="Name or words of the caption" aria-label="Name or words of the caption" value=${model.words.value} onInput=${(/** @type {any} */ event) => { model.words.value = event.currentTarget.value; model.cursor.value = 0; }} />
        <button onClick=${() => model.step("undo")} disabled=${!model.rules.value?.undo} title="u">${WORDS.undo}</button><button onClick=${() => model.step("redo")} disabled=${!model.rules.value?.redo} title="Shift+u">${WORDS.redo}</button></div>
      ${only ? html`<p class="filter-title"><span class="grow">${only.title}</span><button class="quiet" onClick=${() => (model.only.value = null)}>Show all</button></p>` : null}
      <div class="row head many"><span class="soft">${number(count, "image")}</span><span class="grow"></span>${(only || model.words.value) && count ? html`<${TagInput} label=${`Add to these ${count}`} complete=${model.complete} take=${(/** @type {string} */ tag) => model.correct([...model.shown.value], [tag], [])} />` : null}</div>
      <${ErrorLine} fault=${model.fault.value} retry=${model.load} />
      ${!model.listed.value ? html`<${Reading} project=${project} />` : count ? html`<${VirtualGrid} count=${count} cell=${100000} height=${92} cursor=${Math.min(model.cursor.value, count - 1)} label="Captions" top=${model.top} draw=${(/** @type {number} */ index) => html`<${Row} model=${model} index=${index} />`} />` : html`<p class="empty">${model.all.value.length ? "No caption is like that." : "No images yet."}</p>`}
    </div>
    ${model.listed.value ? html`<${OneImage} model=${model} />` : null}
  </div>`;
}
