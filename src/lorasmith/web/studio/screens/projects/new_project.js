/** A new project: of what was dropped, or of a path on the server's machine. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { get, post } from "../../api.js";
import { go, say } from "../../state.js";
import { number } from "../../strings.js";
import { Dialog } from "../../parts/dialog.js";
import { ErrorLine } from "../../parts/messages.js";
import { Progress, TaskProgress } from "../../parts/progress.js";
import { tasks } from "../../state.js";
import { nameOf, send } from "./intake.js";

const KINDS = {
  character: "a person or figure", couple: "two together", background: "a place", asset: "a thing", clothing: "something worn",
  pose: "a pose", concept: "an idea", style: "a way of drawing",
};

/** @param {number} bytes */
const size = (bytes) => (bytes > 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GB` : bytes > 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MB` : `${Math.ceil(bytes / 1024)} kB`);

/** @param {{id: string}} task @returns {Promise<any>} */
export async function ended(task) {
  for (;;) {
    const known = await get(`/tasks/${task.id}`);
    if (known.state === "done") return known.result;
    if (known.state === "failed") throw Object.assign(new Error(known.error.message), { hint: known.error.hint, where: known.error.where });
    await new Promise((done) => setTimeout(done, 250));
  }
}

/** @param {{pieces: import("./intake.js").Piece[], known: any, close: () => void, into?: string}} props `into`: add to it */
export function NewProject({ pieces, known, close, into = "" }) {
  const [name, setName] = useState(nameOf(pieces));
  const [trigger, setTrigger] = useState("");
  const [subject, setSubject] = useState("character");
  const [path, setPath] = useState("");
  const [sent, setSent] = useState(/** @type {{done: number, total: number, waiting: boolean} | null} */ (null));
  const [task, setTask] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const stop = useRef(new AbortController());
  const upload = useRef("");
  useEffect(() => () => stop.current.abort(), []);
  const large = pieces.find((piece) => piece.file.size > known.limits.file);
  const whole = pieces.reduce((sum, piece) => sum + piece.file.size, 0);
  const busy = !!sent || !!task;
  const make = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setFault(null);
    try {
      if (pieces.length && !upload.current) {
        setSent({ done: 0, total: whole, waiting: false });
        upload.current = await send(pieces, (done, total, waiting) => setSent({ done, total, waiting }), stop.current.signal);
      }
      const sources = { upload: upload.current || null, paths: pieces.length ? [] : [path].filter(Boolean) };
      const begun = into
        ? await post(`/projects/${encodeURIComponent(into)}/images`, sources)
        : await post("/projects", { name, subject, trigger: trigger || null, ...sources });
      setTask(begun);
      const result = await ended(begun);
      say(result.images ? `${number(result.images, "image")}, ${number(result.captions, "caption")} taken in.` : `${result.project} is made; it has no images yet.`, {
        hint: result.left_out.length ? `${number(result.left_out.length, "file")} left out: ${result.left_out[0].name}: ${result.left_out[0].message}` : "",
      });
      close();
      go("images", result.project);
    } catch (error) {
      setFault(error);
      setSent(null);
      setTask(null);
    }
  };
  const title = into ? `Add images to ${into}` : "New project";
  return html`<${Dialog} title=${title} close=${close}>
    <form class="column" onSubmit=${make}>
      ${pieces.length
        ? html`<p class="soft">${number(pieces.length, "file")}, ${size(whole)}</p>`
        : html`<label class="field"><span>Where the images are</span>
            <input type="text" value=${path} placeholder=${known.roots[known.roots.length - 1]} required=${!!into} autofocus
              onInput=${(/** @type {any} */ event) => setPath(event.currentTarget.value)} />
            <span class="soft">A folder, a zip or a file of the server's machine, inside ${known.roots.join(" or ")}. They are copied.</span></label>`}
      ${into ? null : html`
        <label class="field"><span>Name</span><input type="text" value=${name} required maxlength="100" autofocus=${pieces.length > 0}
          onInput=${(/** @type {any} */ event) => setName(event.currentTarget.value)} /></label>
        <label class="field"><span>What is learnt</span><select value=${subject} onChange=${(/** @type {any} */ event) => setSubject(event.currentTarget.value)}>
          ${known.subjects.map((/** @type {string} */ each) => html`<option value=${each}>${each}${each in KINDS ? `: ${/** @type {any} */ (KINDS)[each]}` : ""}</option>`)}</select></label>
        <label class="field"><span>Trigger</span><input type="text" value=${trigger} placeholder=${name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || "zbk"}
          maxlength="200" onInput=${(/** @type {any} */ event) => setTrigger(event.currentTarget.value)} />
          <span class="soft">The word that calls it in a prompt; one that means nothing yet.</span></label>`}
      ${large ? html`<p class="bad-text" role="alert">${large.path} has ${size(large.file.size)}; the most for one file are ${size(known.limits.file)}. Put it on the server's disk and give its path.</p>` : null}
      ${sent && !task ? html`<${Progress} label=${sent.waiting ? "The server is away; waiting for it" : "Sending"} done=${Math.round(sent.done / 1024)} total=${Math.max(1, Math.round(sent.total / 1024))} />` : null}
      ${task ? html`<${TaskProgress} task=${tasks.value[task.id] || task} />` : null}
      <${ErrorLine} fault=${fault} />
      <div class="row"><span class="grow"></span><button type="button" onClick=${close}>Cancel</button>
        <button class="primary" type="submit" disabled=${busy || !!large}>${into ? "Add" : "Make it"}</button></div>
    </form>
  <//>`;
}
