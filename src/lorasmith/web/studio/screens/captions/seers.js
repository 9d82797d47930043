/** Who looks at the pictures: a tagger, or an endpoint that writes sentences; what it would cost first. */
import { html, useEffect, useState } from "../../html.js";
import { get, post, of } from "../../api.js";
import { complain, tasks, version } from "../../state.js";
import { number } from "../../strings.js";
import { ErrorLine, News } from "../../parts/messages.js";
import { TaskProgress } from "../../parts/progress.js";

/** @param {{model: any}} props */
export function Seers({ model }) {
  const [tagger, setTagger] = useState("doodle");
  const [known, setKnown] = useState(/** @type {any} */ (null));
  const [draft, setDraft] = useState(/** @type {any} */ (null));
  const [again, setAgain] = useState(false);
  const [yes, setYes] = useState(false);
  useEffect(() => void get(of(model.project, "/captioner")).then(setKnown, complain), [version.value]);
  const work = Object.values(tasks.value).filter((task) => task.project === model.project && /^(tag|caption)$/.test(task.kind)).sort((a, b) => b.began - a.began);
  const running = work.find((task) => task.state === "running");
  /** What became of it, above the button that began it, which gives way. @param {string} kind */
  const told = (kind) => {
    const task = work.find((each) => each.kind === kind);
    return task?.state === "running" ? html`<${News} of=${task.id}><${TaskProgress} task=${task} /><//>` : task?.state === "failed" ? html`<${ErrorLine} fault=${task.error} />` : null;
  };
  const start = (/** @type {any} */ body) => post(of(model.project, "/captions/gather"), { again, ...body }).then((task) => (tasks.value = { ...tasks.value, [task.id]: task }), complain);
  const shown = draft || known || {};
  const cost = known?.cost;
  const field = (/** @type {string} */ key, /** @type {any} */ value) => setDraft({ url: shown.url, model: shown.model, prompt: shown.prompt, concurrency: shown.concurrency, [key]: value });
  return html`<div class="column">
    <section class="card column"><h3>A tagger</h3>
      <label class="field"><span>Name</span><input type="text" value=${tagger} onInput=${(/** @type {any} */ event) => setTagger(event.currentTarget.value)} /><span class="soft">doodle, a folder, or a hub id such as SmilingWolf/wd-vit-tagger-v3</span></label>
      ${told("tag")}<button class="primary" disabled=${!!running || !tagger} onClick=${() => start({ tagger })}>Tag the images</button></section>
    <section class="card column"><h3>Sentences from an endpoint</h3>
      <label class="field"><span>Address</span><input type="url" value=${shown.url || ""} placeholder="http://localhost:8080/v1" onInput=${(/** @type {any} */ event) => field("url", event.currentTarget.value)} /></label>
      <label class="field"><span>Model</span><input type="text" value=${shown.model || ""} onInput=${(/** @type {any} */ event) => field("model", event.currentTarget.value)} /></label>
      <label class="field"><span>What it is asked</span><textarea rows="3" value=${shown.prompt || ""} onInput=${(/** @type {any} */ event) => field("prompt", event.currentTarget.value)}></textarea></label>
      <label class="field"><span>At once</span><input type="number" min="1" max="64" value=${shown.concurrency || 4} onInput=${(/** @type {any} */ event) => field("concurrency", Number(event.currentTarget.value))} /></label>
      <p class="soft">Its key, if it wants one, comes from LORASMITH_CAPTIONER_KEY of the server.</p>
      ${draft ? html`<button onClick=${async () => { if (await model.change({ captioner: draft })) { setDraft(null); get(of(model.project, "/captioner")).then(setKnown, complain); } }}>Set it</button>` : null}
      ${cost && !draft ? html`<p>${number(cost.images, "picture")} to ask about, about ${(cost.bytes / 2 ** 20).toFixed(1)} MB, to <b>${cost.host}</b>${cost.known ? `; ${cost.known} are done` : ""}.</p>
        ${cost.is_local ? null : html`<label class="row warn-text"><input type="checkbox" checked=${yes} onChange=${() => setYes(!yes)} /> These pictures leave this machine. They may.</label>`}
        ${told("caption")}<button class="primary" disabled=${!!running || !(cost.is_local || yes) || !(cost.images || again)} onClick=${() => start({ captioner: true, consent: yes })}>Ask for sentences</button>` : null}</section>
    <label class="row soft"><input type="checkbox" checked=${again} onChange=${() => setAgain(!again)} /> What was done before, too</label>
  </div>`;
}
