/** A second round: the newest adapter draws what no image shows, and what is right comes among the images. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { get, of, post } from "../../api.js";
import { complain, link, say, tasks, version } from "../../state.js";
import { number } from "../../strings.js";
import { Dialog } from "../../parts/dialog.js";
import { ErrorLine } from "../../parts/messages.js";
import { duration, Progress, TaskProgress } from "../../parts/progress.js";
import { ended } from "../projects/new_project.js";

const EVERY = 1500;

/** What is known of a project's round, and how to begin and stop one. @param {any} model */
export function useRound(model) {
  const [known, setKnown] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const path = of(model.project, "/rounds");
  const load = () => get(path).then((found) => { setKnown(found); setFault(null); }, setFault);
  useEffect(() => void load(), [path, version.value]);
  const running = known?.process.state === "running";
  const ran = useRef(false);
  useEffect(() => {
    if (ran.current && !running && known?.process.state === "done") tell(model, known.result);
    ran.current = running;
    if (!running) return undefined;
    const timer = setInterval(load, EVERY);
    return () => clearInterval(timer);
  }, [running, path]);
  /** @param {number | null} count */
  const begin = (count) => post(path, { count }).then(load, (refused) => { complain(refused); return load(); });
  return { known, fault, running, load, begin, stop: () => post(`${path}/stop`).then(load, complain) };
}

/** Say at the foot of the page what came of it. @param {any} model @param {any} result */
function tell(model, result) {
  if (!result?.made) return say(outcome(result));
  model.filter.value = { kind: "state", value: "drawn" };
  model.cursor.value = -1;
  say(outcome(result), { action: { label: "Undo", run: () => void model.step("undo") } });
  return void model.load();
}

/** @param {any} result */
function outcome(result) {
  const kept = Object.values(result?.kept || {}).reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each, 0);
  const told = `${kept} of ${number(result?.drawn || 0, "picture")} ${kept === 1 ? "was" : "were"} right`;
  if (!kept) return `${told}; nothing was taken among the images.`;
  return result.made ? `${told}; ${number(result.made, "picture")} taken among the images.` : `${told}; they are among the images already.`;
}

/** The round under way. @param {{round: any}} props */
export function RoundProgress({ round }) {
  const last = round.known.process.last;
  return html`<div class="row round-running"><div class="grow"><${Progress} label=${last?.stage || "It reads the images and the base"} done=${last?.done} total=${last?.total} eta=${last?.eta} /></div>
    <button type="button" onClick=${round.stop} title="What it has drawn stays; it goes on where it was">Stop</button></div>`;
}

/** @param {{model: any, round: any, close: () => void}} props */
export function RoundDialog({ model, round, close }) {
  const { known, running } = round;
  const [task, setTask] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [count, setCount] = useState(/** @type {number | null} */ (null));
  const plan = known?.plan;
  const halted = ["stopped", "failed"].includes(known?.process.state);
  const before = halted ? /** @type {string[]} */ (known.process.arguments) : [];
  const asked = before.includes("--count") ? Number(before[before.indexOf("--count") + 1]) : null;
  const wanted = count ?? asked ?? plan?.wanted;
  const missing = !!known?.adapter && !plan && !running;
  useEffect(() => {
    if (!missing) return;
    setFault(null);
    const path = of(model.project, "/rounds/plan");
    post(path).then((begun) => { setTask(begun); return ended(begun); }).then(round.load).catch(setFault).finally(() => setTask(null));
  }, [missing, known?.adapter]);
  const start = async (/** @type {Event} */ event) => {
    event.preventDefault();
    await round.begin(wanted === plan.wanted ? null : wanted);
  };
  const result = known?.result?.adapter === known?.adapter ? known?.result : null;
  return html`<${Dialog} title="Second round" close=${close}><form class="column" onSubmit=${start}>
    <p class="soft">Asked for what no image shows, an adapter often leaves it out. Here the newest one draws such things with the base's help, and the exam's judge keeps what shows both them and the subject. What is kept comes among your images, marked ✎; it is one step, which Undo takes back. Then train again.</p>
    <${ErrorLine} fault=${round.fault || fault} />
    ${known && !known.adapter ? html`<p class="warn-text">No adapter was trained yet, so there is none to draw with. <a href=${link("run", model.project)} onClick=${close}>To the run</a></p>` : null}
    ${task ? html`<${TaskProgress} task=${tasks.value[task.id] || task} />` : null}
    ${running ? html`<${RoundProgress} round=${round} />` : null}
    ${known?.process.state === "failed" ? html`<${ErrorLine} fault=${{ message: known.process.message || "The round broke off.", hint: "It goes on where it was." }} />` : null}
    ${known?.process.state === "stopped" ? html`<p class="warn-text">It was stopped. What it drew stays, and it goes on where it was.</p>` : null}
    ${result ? html`<p class="round-result">${outcome(result)} ${result.missed.length ? html`<span class="soft">Never right: ${result.missed.join(", ")}.</span>` : null} <span class="soft">This adapter would draw the same again: <a href=${link("run", model.project)} onClick=${close}>train with them first</a>.</span></p>` : null}
    ${plan && !running ? html`<dl class="facts"><dt>Draws with</dt><dd>${plan.adapter.split(/[\\/]/).pop()}</dd>
        <dt>Asks for</dt><dd>${plan.values.join(", ")}</dd>
        <dt>Pictures</dt><dd>about ${plan.pictures}, to keep ${plan.wanted}</dd>
        <dt>Takes</dt><dd>${plan.seconds === null ? "told along the way: no exam has shown how fast this machine draws" : `about ${duration(plan.seconds)}`}; it can be stopped</dd></dl>
      <label class="field"><span>Pictures to keep</span><input type="number" min="1" max="500" required value=${wanted} onInput=${(/** @type {any} */ event) => setCount(Number(event.currentTarget.value))} /></label>` : null}
    <div class="row"><span class="grow"></span><button type="button" onClick=${close}>Close</button>
      ${running ? null : html`<button class="primary" disabled=${!plan}>${halted ? "Go on" : "Draw"}</button>`}</div>
  </form><//>`;
}
