/** Library: all adapters of this machine, found by words and facets; notes, triggers, hubs, duplicates. */
import { html, useEffect, useRef, useState } from "../../html.js";
import { get, post } from "../../api.js";
import { complain, remembered, say, tasks } from "../../state.js";
import { ErrorLine, Unshown } from "../../parts/messages.js";
import { TaskProgress } from "../../parts/progress.js";
import { useKeys } from "../../keys.js";
import { number } from "../../strings.js";
import { Entry, Tile } from "./entry.js";
import { Duplicates, Updates } from "./lists.js";

const PAGE = 60;
const FACETS = ["family", "algorithm", "source", "collection"];

export function Screen() {
  const query = remembered("library-query", /** @type {Record<string, any>} */ ({ words: "", kind: "adapter", order: "" }));
  const [page, setPage] = useState(/** @type {any} */ (null));
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const [refused, setRefused] = useState(/** @type {any} */ (null));
  const [chosen, setChosen] = useState("");
  const [shown, setShown] = useState("");
  const [reference, setReference] = useState("");
  const [folder, setFolder] = useState("");
  const turn = useRef(0);
  /** @param {number} [offset] */
  const load = (offset = 0) => {
    const mine = ++turn.current;
    const asked = Object.entries({ ...query.value, offset: String(offset), limit: String(PAGE) }).filter(([, value]) => value !== "");
    return get(`/library?${new URLSearchParams(/** @type {any} */ (asked))}`).then((found) => {
      if (mine !== turn.current) return;
      setPage((/** @type {any} */ before) => (offset && before ? { ...found, entries: [...before.entries, ...found.entries] } : found));
      setFault(null);
    }, setFault);
  };
  const key = JSON.stringify(query.value);
  useEffect(() => { const wait = setTimeout(load, 120); return () => clearTimeout(wait); }, [key]);
  const work = Object.values(tasks.value).filter((each) => ["scan", "get", "updates"].includes(each.kind) && !each.project);
  const going = work.filter((each) => each.state === "running");
  const ended = work.filter((each) => each.state !== "running").length;
  useEffect(() => { if (ended) load(); }, [ended]);
  /** @param {Record<string, any>} change */
  const ask = (change) => (query.value = { ...query.value, ...change });
  /** @param {Promise<any>} asked */
  const begin = (asked) => asked.then((task) => { tasks.value = { ...tasks.value, [task.id]: task }; setRefused(null); }, setRefused);
  const scan = () => begin(post("/library/scan", { folders: folder.trim() ? [folder.trim()] : [] }));
  const fetchOne = () => begin(post("/library/get", { reference: reference.trim() }));
  useKeys("Library", [{ key: "/", does: "search", run: () => document.getElementById("library-search")?.focus() }, { key: "Escape", does: "close the file", run: () => setChosen("") }]);
  if (fault) return html`<${Unshown} title="Library" fault=${fault} retry=${() => load()} />`;
  if (!page) return null;
  const entry = page.entries.find((/** @type {any} */ each) => each.path === chosen);
  const newest = [...work].sort((one, other) => other.began - one.began)[0];
  return html`<div class="sheet library">
    <div class="row library-head"><h1>Library</h1>
      <input id="library-search" type="search" class="grow" aria-label="Search" placeholder="Names, triggers, tags, notes ( / )" value=${query.value.words} onInput=${(/** @type {any} */ event) => ask({ words: event.currentTarget.value })} />
      <select aria-label="Order" value=${query.value.order} onChange=${(/** @type {any} */ event) => ask({ order: event.currentTarget.value })}>
        <option value="">${query.value.words ? "best first" : "by name"}</option><option value="added">newest</option><option value="rating">rating</option><option value="size">size</option></select>
      <button aria-pressed=${!!query.value.favourite} onClick=${() => ask({ favourite: query.value.favourite ? "" : "true" })}>★ Favourites</button>
      <button aria-pressed=${!!query.value.mine} onClick=${() => ask({ mine: query.value.mine ? "" : "true" })}>Trained here</button>
    </div>
    <div class="row library-work">
      <form class="row grow" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); fetchOne(); }}><input type="text" class="grow" aria-label="Address on a hub" placeholder="Install: paste the address of a page on Civitai or Hugging Face" value=${reference} onInput=${(/** @type {any} */ event) => setReference(event.currentTarget.value)} /><button disabled=${!reference.trim()}>Install</button></form>
      <form class="row" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); scan(); }}><input type="text" aria-label="Folder to look through" placeholder="a folder on the server" value=${folder} onInput=${(/** @type {any} */ event) => setFolder(event.currentTarget.value)} /><button>${folder.trim() ? "Add folder" : "Scan"}</button></form>
      <button aria-pressed=${shown === "duplicates"} onClick=${() => setShown(shown === "duplicates" ? "" : "duplicates")}>Duplicates</button>
      <button onClick=${() => { setShown("updates"); begin(post("/library/updates")); }}>Updates</button>
    </div>
    <${ErrorLine} fault=${refused} />
    ${going.map((task) => html`<div class="card"><${TaskProgress} task=${task} /></div>`)}
    ${newest?.state === "failed" ? html`<${ErrorLine} fault=${newest.error} />` : null}
    ${shown === "duplicates" ? html`<${Duplicates} />` : shown === "updates" ? html`<${Updates} task=${work.filter((each) => each.kind === "updates" && each.state === "done").pop()} install=${(/** @type {string} */ ref) => begin(post("/library/get", { reference: ref }))} />` : null}
    <div class="library-sides">
      <aside class="facets" aria-label="Facets">
        <label class="field"><span>Kind</span><select value=${query.value.kind} onChange=${(/** @type {any} */ event) => ask({ kind: event.currentTarget.value })}>${["adapter", "base", "other", "any"].map((kind) => html`<option value=${kind}>${kind}${page.facets.kind?.[kind] ? ` (${page.facets.kind[kind]})` : ""}</option>`)}</select></label>
        ${FACETS.filter((name) => Object.keys(page.facets[name] || {}).length).map((name) => html`<section key=${name}><h3>${name}</h3>${Object.entries(page.facets[name]).map(([value, count]) => html`<button class="facet" aria-pressed=${query.value[name] === value} onClick=${() => ask({ [name]: query.value[name] === value ? "" : value })}><span>${value}</span><span class="soft">${count}</span></button>`)}</section>`)}
      </aside>
      <div>
        ${page.exists && page.total ? html`<p class="soft">${page.more ? "more than " : ""}${number(page.total, "file")}${page.refused ? `; ${page.refused} not shown` : ""}</p>` : null}
        ${page.total ? html`<div class="library-grid">${page.entries.map((/** @type {any} */ each) => html`<${Tile} key=${each.path} entry=${each} chosen=${each.path === chosen} open=${() => setChosen(each.path === chosen ? "" : each.path)} />`)}</div>`
        : html`<div class="empty"><p>${page.exists && page.folders.length ? "Nothing is found." : "The library is empty."}</p>${page.exists && page.folders.length ? null : html`<p>Name a folder with adapters above, or install one from a hub by its address.</p>`}</div>`}
        ${page.entries.length < page.total ? html`<p class="row"><button onClick=${() => load(page.entries.length)}>Show more</button></p>` : null}
      </div>
      ${entry ? html`<${Entry} key=${entry.path} entry=${entry} close=${() => setChosen("")} changed=${(/** @type {any} */ next) => { setPage({ ...page, entries: page.entries.map((/** @type {any} */ each) => (each.path === next.path ? next : each)) }); say("Kept."); }} failed=${complain} />` : null}
    </div>
  </div>`;
}
