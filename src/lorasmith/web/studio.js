"use strict";
// The studio page: asks /api/v1 and shows what it answers. Texts from outside only ever become text nodes.

const $ = (id) => document.getElementById(id);
const API = "/api/v1";

function make(tag, values = {}, ...children) {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
}

async function ask(path, options = {}) {
  const settings = { headers: {}, ...options };
  if (options.json !== undefined) {
    settings.method = options.method || "POST";
    settings.body = JSON.stringify(options.json);
    settings.headers["content-type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(API + path, settings);
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = body.error || { message: `status ${answer.status}` };
    throw new Error([error.where, error.message].filter(Boolean).join(": ") + (error.hint ? ` ${error.hint}` : ""));
  }
  return body;
}

function complain(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
  if (text) $("act").scrollIntoView({ block: "nearest" });
}

// Light and dark

const dark = matchMedia("(prefers-color-scheme: dark)");
function setTheme() {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || (dark.matches ? "dark" : "light");
}
dark.addEventListener("change", setTheme);
$("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  setTheme();
});
setTheme();

// The form: its fields, with their ranges and defaults, as the server describes them

const SHOWN = ["width", "height", "steps", "cfg", "seed", "sampler", "schedule", "clip_skip"];
const REMEMBERED = ["prompt", "negative", ...SHOWN, "count", "base"];
let described = {};
let adapters = [];

function makeField(field) {
  if (field.kind === "choice") {
    const select = make("select", { id: field.name, title: field.help });
    fill(select, field.choices, field.default);
    return select;
  }
  const input = make("input", { id: field.name, title: field.help, placeholder: field.unset || "" });
  // A seed has more digits than a number here can hold: it is read as text.
  if (field.most > Number.MAX_SAFE_INTEGER) Object.assign(input, { type: "text", inputMode: "numeric", pattern: "[0-9]*" });
  else Object.assign(input, { type: "number", min: field.least, max: field.most, step: field.step ?? 1 });
  if (field.default !== null) input.value = field.default;
  return input;
}

async function buildForm() {
  const [form, status] = await Promise.all([ask("/form"), ask("/status")]);
  described = Object.fromEntries(form.fields.map((field) => [field.name, field]));
  const labels = SHOWN.map((name) => make("label", {}, described[name].label, " ", makeField(described[name])));
  $("numbers").prepend(...labels.slice(0, 5));
  $("count").parentElement.after(...labels.slice(5));
  $("count").max = status.limits.pictures;
}

function fill(select, names, chosen) {
  select.replaceChildren(...names.map((name) => make("option", { value: name, textContent: name })));
  if (names.includes(chosen)) select.value = chosen;
}

function remember() {
  const values = Object.fromEntries(REMEMBERED.map((id) => [id, $(id).value]));
  values.adapters = adapterRows();
  localStorage.setItem("form", JSON.stringify(values));
}

function recall() {
  try {
    return JSON.parse(localStorage.getItem("form")) || {};
  } catch {
    return {};
  }
}

async function loadChoices() {
  const [bases, found] = await Promise.all([ask("/bases"), ask("/adapters"), buildForm()]);
  const values = recall();
  fill($("base"), bases.bases.map((base) => base.name),
    values.base || (bases.bases.find((base) => base.is_default) || {}).name);
  adapters = found.adapters.filter((adapter) => !adapter.problem);
  $("no-adapters").hidden = adapters.length > 0;
  $("add-adapter").disabled = adapters.length === 0;
  for (const id of REMEMBERED) {
    const known = $(id).tagName !== "SELECT" || [...$(id).options].some((option) => option.value === values[id]);
    if (known && values[id] !== undefined) $(id).value = values[id];
  }
  for (const row of values.adapters || []) {
    if (adapters.some((adapter) => adapter.name === row.name)) addAdapter(row.name, row.strength);
  }
}

// Adapters of the form

function adapterRows() {
  return [...document.querySelectorAll(".adapter")].map((row) => ({
    name: row.querySelector("select").value,
    strength: Number(row.querySelector("input[type=number]").value),
  }));
}

// The strength that its exam recommends; 0.8 where nobody told: many adapters are too strong at 1.
function usualStrength(name) {
  return (adapters.find((adapter) => adapter.name === name) || {}).strength ?? 0.8;
}

function addAdapter(wanted, given) {
  const listed = adapterRows().map((row) => row.name);
  const name = wanted || (adapters.find((adapter) => !listed.includes(adapter.name)) || adapters[0]).name;
  const strength = given ?? usualStrength(name);
  const select = make("select", { ariaLabel: "Adapter" });
  fill(select, adapters.map((adapter) => adapter.name), name);
  const number = make("input", { type: "number", min: -2, max: 3, step: 0.05, value: strength, ariaLabel: "Strength" });
  const range = make("input", { type: "range", min: -1, max: 2, step: 0.05, value: strength, ariaLabel: "Strength" });
  const gone = make("button", { type: "button", textContent: "×", title: "Take it out" });
  const trigger = make("span", { className: "trigger" });
  const row = make("div", { className: "adapter" }, select, number, gone, range, trigger);
  range.addEventListener("input", () => { number.value = range.value; });
  number.addEventListener("input", () => { range.value = number.value; });
  gone.addEventListener("click", () => { row.remove(); showSpread(); });
  const tell = () => {
    const words = (adapters.find((adapter) => adapter.name === select.value) || {}).trigger || "";
    const use = make("button", { type: "button", textContent: words, title: "Put it into the prompt" });
    use.addEventListener("click", () => {
      if (!$("prompt").value.includes(words)) $("prompt").value = [words, $("prompt").value].filter(Boolean).join(", ");
      showDoubles();
    });
    trigger.replaceChildren(...(words ? ["trigger: ", use] : []));
  };
  let before = name;
  select.addEventListener("change", () => {
    // A strength that was set by hand stays.
    if (Number(number.value) === usualStrength(before)) number.value = range.value = usualStrength(select.value);
    before = select.value;
    tell();
  });
  tell();
  $("adapters").append(row);
  showSpread();
}

function showSpread() {
  $("spread").hidden = document.querySelectorAll(".adapter").length === 0;
  showDoubles();
  lintSoon();
}

// An adapter that is called twice acts with the sum of its strengths, which hardly anybody wants.
function showDoubles() {
  const tags = [...$("prompt").value.matchAll(/<(?:lora|lyco):([^:>]+)/gi)].map((tag) => tag[1].trim());
  const listed = adapterRows().map((row) => row.name);
  const called = document.querySelector("[name=spread]:checked").value === "each" ? new Set(listed) : listed;
  const times = new Map();
  for (const name of [...new Set(tags), ...called]) times.set(name, (times.get(name) || 0) + 1);
  const twice = listed.filter((name, index) => times.get(name) > 1 && listed.indexOf(name) === index);
  $("doubles").hidden = twice.length === 0;
  $("doubles").textContent = `${twice.join(", ")}: called more than once, here or by a tag in the prompt; `
    + "the strengths add up.";
}

// What the prompt may not have meant: the server's linter is asked while it is written.
let asked = 0;
let waiting = 0;
async function lint() {
  asked += 1;
  const mine = asked;
  const tags = adapterRows().map((row) => `<lora:${row.name}:${row.strength}>`);
  const text = [$("prompt").value, ...tags].join(" ").trim();
  const steps = (described.steps && number("steps")) || 20;
  const answer = await ask("/prompts/parse", { json: { text, steps } })
    .catch((error) => ({ advice: [{ level: "error", message: error.message }] }));
  if (mine !== asked) return;
  $("advice").replaceChildren(...answer.advice.map((each) => make("li", { textContent: each.message })));
  $("advice").hidden = answer.advice.length === 0;
}
function lintSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(lint, 400);
}

$("prompt").addEventListener("input", showDoubles);
$("prompt").addEventListener("input", lintSoon);
$("adapters").addEventListener("input", lintSoon);
$("adapters").addEventListener("change", showDoubles);
$("spread").addEventListener("change", showDoubles);
// Adapters one by one are to be compared; all together may be, too, at the price of another picture.
document.querySelectorAll("[name=spread]").forEach((mode) => mode.addEventListener("change", () => {
  $("control").checked = mode.value === "each";
}));

$("add-adapter").addEventListener("click", () => addAdapter());

// Drawing

const live = new Map();

function number(id) {
  return $(id).value.trim() === "" ? null : Number($(id).value);
}

function readForm() {
  return {
    prompt: $("prompt").value,
    negative: $("negative").value,
    ...Object.fromEntries(SHOWN.map((name) => [name, readField(described[name])])),
    base: $("base").value || null,
  };
}

function readField(field) {
  const text = $(field.name).value.trim();
  if (field.kind === "choice") return text;
  const value = Number(text);
  if (text && $(field.name).type === "text" && !(/^\d+$/.test(text) && Number.isSafeInteger(value))) {
    throw new Error(`${field.label} ${text}: a whole number up to ${Number.MAX_SAFE_INTEGER}, or nothing for ${field.unset}.`);
  }
  return text ? value : field.default;
}

async function draw() {
  if ($("draw").disabled) return; // the lists are not there yet, or it is being sent
  complain("");
  remember();
  $("draw").disabled = true;
  try {
    const shared = readForm();
    const rows = adapterRows();
    const count = number("count") || 1;
    const each = rows.length > 0 && document.querySelector("[name=spread]:checked").value === "each";
    const control = rows.length > 0 && $("control").checked;
    let job;
    if (each || control) {
      // The same seeds for every set of adapters, so that only the adapters differ.
      const first = shared.seed === null ? Math.floor(Math.random() * 2 ** 32) : shared.seed;
      const sets = each ? rows.map((row) => [row]) : [rows];
      if (control) sets.unshift([]);
      const pictures = [];
      for (let index = 0; index < count; index += 1) {
        for (const set of sets) pictures.push({ seed: first + index, adapters: set });
      }
      job = await ask("/batches", { json: { shared, pictures } });
    } else {
      job = await ask("/jobs", { json: { ...shared, adapters: rows, count } });
    }
    follow(job, shared.prompt);
  } catch (error) {
    complain(error.message);
  } finally {
    $("draw").disabled = false;
  }
}

function follow(job, title) {
  const bar = make("progress", { max: 1, value: job.share });
  const making = make("div", { className: "making" });
  const head = make("p", { textContent: title || "(no prompt)", title });
  const card = make("div", { className: "job" }, head, bar, making);
  $("jobs").prepend(card);
  const shown = new Map();
  const stream = new EventSource(`${API}/jobs/${job.id}/events?previews=true`);
  live.set(job.id, stream);
  $("cancel").hidden = false;
  $("act").scrollIntoView({ block: "nearest" });
  const image = (index) => {
    if (!shown.has(index)) {
      const element = make("img", { alt: `picture ${index + 1} in the making` });
      shown.set(index, element);
      making.append(element);
    }
    return shown.get(index);
  };
  const on = (name, act) => stream.addEventListener(name, (event) => {
    const told = JSON.parse(event.data);
    if (typeof told.share === "number") bar.value = told.share;
    act(told);
  });
  const end = () => {
    stream.close();
    live.delete(job.id);
    $("cancel").hidden = live.size === 0;
  };
  on("progress", () => {});
  on("preview", (told) => { image(told.image).src = told.data; });
  on("done", (told) => {
    image(told.image).src = `${API}/pictures/${told.picture}/thumbnail`;
    refreshGallery();
  });
  on("failed", (told) => complain([told.error.where, told.error.message, told.error.hint].filter(Boolean).join(" ")));
  on("cancelled", () => {});
  on("finished", (told) => {
    end();
    setTimeout(() => card.remove(), told.state === "done" ? 1500 : 4000);
    refreshGallery();
    showStatus();
  });
  on("stopping", () => {
    end();
    head.textContent = `${title}: the server is stopping; it goes on at its next start.`;
    showStatus();
  });
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) end(); };
  showStatus();
}

async function cancelAll() {
  for (const id of [...live.keys()]) await ask(`/jobs/${id}`, { method: "DELETE" }).catch(() => {});
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); draw(); });
$("cancel").addEventListener("click", cancelAll);

// The gallery: only what is visible is in the page

const GAP = 10;
let items = [];
let total = 0;
let cursor = null;
let complete = false;
let loading = null;
let generation = 0;
let chosen = -1;
const tiles = new Map();

function columns() {
  return Math.max(1, Math.floor(($("gallery").clientWidth - GAP) / (Number($("tile").value) + GAP)));
}

function side() {
  return Math.floor(($("gallery").clientWidth - GAP * (columns() + 1)) / columns());
}

async function loadMore() {
  if (complete) return;
  if (!loading) {
    const mine = generation;
    const query = new URLSearchParams({ limit: 200, search: $("search").value });
    if (cursor) query.set("after", cursor);
    loading = ask(`/pictures?${query}`).then((answer) => {
      if (mine !== generation) return;
      items = items.concat(answer.pictures);
      cursor = answer.next;
      complete = answer.next === null;
      total = $("search").value || complete ? items.length : answer.total;
    }).catch((error) => { complete = true; complain(error.message); }).finally(() => { loading = null; });
  }
  await loading;
}

async function refreshGallery() {
  // Only what is new is asked for while nothing else changed.
  if ($("search").value || items.length === 0) return restartGallery();
  const answer = await ask("/pictures?limit=100").catch(() => null);
  if (!answer) return undefined;
  const known = new Set(items.map((item) => item.id));
  const fresh = answer.pictures.filter((item) => !known.has(item.id));
  if (fresh.length === answer.pictures.length && fresh.length) return restartGallery();
  items = fresh.concat(items);
  if (chosen >= 0) chosen += fresh.length;
  total = answer.total;
  clearTiles();
  return paint();
}

async function restartGallery() {
  generation += 1;
  items = [];
  cursor = null;
  complete = false;
  loading = null;
  chosen = -1;
  clearTiles();
  await loadMore();
  await paint();
}

function clearTiles() {
  for (const tile of tiles.values()) tile.remove();
  tiles.clear();
}

async function paint() {
  const gallery = $("gallery");
  const [across, size] = [columns(), side()];
  const step = size + GAP;
  $("total").textContent = total === 1 ? "1 picture" : `${total} pictures`;
  const sheet = $("sheet");
  sheet.querySelector(".empty")?.remove();
  if (!total) {
    sheet.style.height = "auto";
    sheet.append(make("p", { className: "empty", textContent: $("search").value
      ? "No picture's prompt has these words." : "No pictures yet. Write a prompt and press Ctrl+Enter." }));
    return;
  }
  sheet.style.height = `${Math.ceil(total / across) * step + GAP}px`;
  const first = Math.max(0, Math.floor(gallery.scrollTop / step) - 2) * across;
  const last = Math.min(total, (Math.ceil((gallery.scrollTop + gallery.clientHeight) / step) + 2) * across);
  while (items.length < last && !complete) {
    const mine = generation;
    await loadMore();
    if (mine !== generation) return;
  }
  for (const [index, tile] of tiles) {
    if (index < first || index >= last) {
      tile.remove();
      tiles.delete(index);
    }
  }
  for (let index = first; index < Math.min(last, items.length); index += 1) {
    let tile = tiles.get(index);
    if (!tile) {
      const item = items[index];
      const image = make("img", { src: `${API}/pictures/${item.id}/thumbnail`, alt: item.prompt, decoding: "async" });
      tile = make("div", { className: "tile", title: item.prompt, role: "option" }, image);
      tile.addEventListener("click", () => open(index));
      tiles.set(index, tile);
      sheet.append(tile);
    }
    tile.classList.toggle("chosen", index === chosen);
    tile.setAttribute("aria-selected", index === chosen);
    tile.style.width = `${size}px`;
    tile.style.height = `${size}px`;
    tile.style.transform = `translate(${GAP + (index % across) * step}px, ${GAP + Math.floor(index / across) * step}px)`;
  }
}

let painting = 0;
function paintSoon() {
  cancelAnimationFrame(painting);
  painting = requestAnimationFrame(paint);
}
$("gallery").addEventListener("scroll", paintSoon);
new ResizeObserver(paintSoon).observe($("gallery"));
$("tile").addEventListener("input", paintSoon);
let typing = 0;
$("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(restartGallery, 250); });

function choose(index) {
  if (!total) return;
  chosen = Math.max(0, Math.min(total - 1, index));
  const step = side() + GAP;
  const top = Math.floor(chosen / columns()) * step;
  const gallery = $("gallery");
  if (top < gallery.scrollTop) gallery.scrollTop = top;
  if (top + step > gallery.scrollTop + gallery.clientHeight) gallery.scrollTop = top + step + GAP - gallery.clientHeight;
  paintSoon();
}

$("gallery").addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns(), Home: -total, End: total };
  if (event.key in moves) {
    event.preventDefault();
    choose((chosen < 0 ? 0 : chosen) + (chosen < 0 ? 0 : moves[event.key]));
  } else if (event.key === "Enter" && chosen >= 0) {
    event.preventDefault();
    open(chosen);
  }
});

// One picture

let shown = null;

async function open(index) {
  while (index >= items.length && !complete) await loadMore();
  const item = items[index];
  if (!item) return;
  choose(index);
  let picture;
  try {
    picture = await ask(`/pictures/${item.id}`);
  } catch (error) {
    complain(error.message);
    return;
  }
  shown = picture;
  const file = `${API}/pictures/${picture.id}/file`;
  $("big").src = file;
  $("big").alt = picture.prompt;
  $("download").href = file;
  $("download").download = `${picture.id}.png`;
  $("fact-prompt").textContent = picture.prompt || "(no prompt)";
  $("redo-note").textContent = "";
  $("redo").disabled = picture.kind !== "picture";
  const request = picture.document.request || {};
  const facts = {
    "Negative": request.negative,
    "Seed": picture.seed,
    "Size": `${picture.width} × ${picture.height}`,
    "Steps": request.steps,
    "Guidance": request.cfg,
    "Sampler": request.sampler && `${request.sampler}, ${request.schedule}`,
    "Clip skip": request.clip_skip > 1 ? request.clip_skip : "",
    "Adapters": (picture.document.adapters || [])
      .map((used) => `${used.name} ${used.unet}${used.te === used.unet ? "" : ` (text ${used.te})`}`).join(", "),
    "Base": picture.base,
    "Drawn": new Date(picture.created * 1000).toLocaleString(),
  };
  $("fact-table").replaceChildren(...Object.entries(facts)
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => make("tr", {}, make("th", { textContent: name }), make("td", { textContent: value }))));
  $("previous").disabled = index === 0;
  $("next").disabled = index >= total - 1;
  if (!$("detail").open) $("detail").showModal();
}

async function redo() {
  if (!shown || shown.kind !== "picture") return;
  try {
    follow(await ask(`/pictures/${shown.id}/redo`, { method: "POST" }), shown.prompt);
    $("redo-note").textContent = "It is being drawn again; it will stand first among the pictures.";
  } catch (error) {
    $("redo-note").textContent = error.message;
  }
}

function use() {
  if (!shown) return;
  const request = shown.document.request || {};
  const values = { prompt: request.prompt, negative: request.negative, width: request.width, height: request.height,
    steps: request.steps, cfg: request.cfg, seed: shown.seed, sampler: request.sampler, schedule: request.schedule,
    clip_skip: request.clip_skip };
  for (const [id, value] of Object.entries(values)) {
    if (value !== undefined && value !== null) $(id).value = value;
  }
  $("adapters").replaceChildren(); // the prompt calls them by its own tags
  showSpread();
  if (request.negative) $("more-prompt").open = true;
  $("detail").close();
  $("prompt").focus();
}

async function remove() {
  if (!shown || !confirm("Delete this picture for good?")) return;
  const index = chosen;
  try {
    await ask(`/pictures/${shown.id}`, { method: "DELETE" });
  } catch (error) {
    $("redo-note").textContent = error.message;
    return;
  }
  items.splice(index, 1);
  total -= 1;
  clearTiles();
  await paint();
  if (total) await open(Math.min(index, total - 1));
  else $("detail").close();
}

$("previous").addEventListener("click", () => open(chosen - 1));
$("next").addEventListener("click", () => open(chosen + 1));
$("close").addEventListener("click", () => $("detail").close());
$("detail").addEventListener("close", () => $("gallery").focus());
$("redo").addEventListener("click", redo);
$("use").addEventListener("click", use);
$("delete").addEventListener("click", remove);
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(shown.infotext);
    $("redo-note").textContent = "Copied.";
  } catch {
    $("redo-note").textContent = shown.infotext; // without a secure connection there is no clipboard
  }
});
$("keys").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());

document.addEventListener("keydown", (event) => {
  const writes = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    event.preventDefault();
    draw();
    return;
  }
  if ($("detail").open) {
    const acts = { ArrowLeft: () => chosen > 0 && open(chosen - 1), ArrowRight: () => chosen < total - 1 && open(chosen + 1),
      r: redo, u: use, c: () => $("copy").click(), Delete: remove };
    if (acts[event.key] && !event.ctrlKey && !event.metaKey) { event.preventDefault(); acts[event.key](); }
    return;
  }
  if (event.key === "Escape" && live.size && !$("help").open) cancelAll();
  if (writes || event.ctrlKey || event.metaKey || event.altKey) return;
  const goes = { p: "prompt", "/": "search", g: "gallery" };
  if (goes[event.key]) {
    event.preventDefault();
    $(goes[event.key]).focus();
    if (event.key === "g" && chosen < 0) choose(0);
  } else if (event.key === "?") $("help").showModal();
});

// The server at a glance

async function showStatus() {
  try {
    const now = await ask("/status");
    const parts = [now.base ? `base ${now.base}` : "no base loaded yet"];
    if (now.running) parts.push(`${now.running} in the making`);
    if (now.queued) parts.push(`${now.queued} waiting`);
    if (now.seconds_per_picture) parts.push(`${now.seconds_per_picture.toFixed(1)} s a picture`);
    if (now.stopping) parts.push("stopping");
    $("status").textContent = parts.join(" · ");
  } catch (error) {
    $("status").textContent = error.message;
  }
}
setInterval(() => { if (!document.hidden) showStatus(); }, 4000);

async function begin() {
  showStatus();
  restartGallery();
  await loadChoices().then(() => { $("draw").disabled = false; }).catch((error) => complain(error.message));
  for (const state of ["queued", "running"]) {
    const { jobs } = await ask(`/jobs?state=${state}&limit=20`).catch(() => ({ jobs: [] }));
    for (const job of jobs) if (!live.has(job.id)) follow(job, "going on");
  }
}
begin();
