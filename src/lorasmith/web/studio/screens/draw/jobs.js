/** Pictures in the making: jobs that are followed by their events. */
import { signal } from "../../html.js";
import { address, del, get, post } from "../../api.js";
import { complain } from "../../state.js";

/** @typedef {{id: string, title: string, share: number, pictures: Record<number, string>, state: string, error: any, detail: any, live: boolean}} Making */
/** @type {import("@preact/signals").Signal<Making[]>} */
export const making = signal([]);
/** Counts up when a picture was finished. */
export const finished = signal(0);
/** The newest picture of a live redraw: a preview or the finished one. */
export const latest = signal({ source: "", id: "", busy: false });

/** @param {string} id @param {Partial<Making>} change */
const update = (id, change) => (making.value = making.value.map((each) => (each.id === id ? { ...each, ...change } : each)));

/** @param {any} job @param {string} title @param {boolean} [live] */
export function follow(job, title, live = false) {
  making.value = [{ id: job.id, title, share: job.share, pictures: {}, state: job.state, error: null, detail: job.detail || {}, live }, ...making.value.filter((each) => each.id !== job.id)];
  const stream = new EventSource(address(`/jobs/${job.id}/events?previews=true`));
  /** @param {string} name @param {(told: any) => void} act */
  const on = (name, act) => stream.addEventListener(name, (event) => {
    const told = JSON.parse(/** @type {MessageEvent} */ (event).data);
    if (typeof told.share === "number") update(job.id, { share: told.share });
    act(told);
  });
  /** @param {number} index @param {string} source */
  const show = (index, source) => {
    const now = making.value.find((each) => each.id === job.id);
    if (now) update(job.id, { pictures: { ...now.pictures, [index]: source } });
    if (live && making.value[0]?.id === job.id) latest.value = { ...latest.value, source };
  };
  on("progress", () => {});
  on("preview", (told) => show(told.image, told.data));
  on("done", (told) => {
    show(told.image, address(`/pictures/${told.picture}/${live ? "file" : "thumbnail"}`));
    if (live) latest.value = { source: address(`/pictures/${told.picture}/file`), id: told.picture, busy: false };
    finished.value += 1;
  });
  on("failed", (told) => { update(job.id, { error: told.error }); complain(Object.assign(new Error(told.error.message), told.error)); });
  on("finished", async (told) => {
    stream.close();
    const again = await get(`/jobs/${job.id}`).catch(() => null);
    update(job.id, { state: told.state, share: 1, detail: again?.detail || {} });
    finished.value += 1;
    if (live) latest.value = { ...latest.value, busy: false };
    const grid = !!again?.detail?.places;
    if (!grid) setTimeout(() => (making.value = making.value.filter((each) => each.id !== job.id)), live ? 0 : 2500);
  });
  on("stopping", () => { stream.close(); update(job.id, { state: "stopping" }); });
}

export const cancelAll = () => Promise.all(making.value.filter((each) => !["done", "failed", "cancelled"].includes(each.state)).map((each) => del(`/jobs/${each.id}`).catch(() => {})));
/** @param {string} id */
export const dismissJob = (id) => (making.value = making.value.filter((each) => each.id !== id));

/** Draw one picture anew for a change that goes on: what is still in the making for the last one is given up. @param {any} body */
export async function redraw(body) {
  for (const each of making.value.filter((one) => one.live)) del(`/jobs/${each.id}`).catch(() => {});
  latest.value = { ...latest.value, busy: true };
  try {
    follow(await post("/jobs", body), body.prompt, true);
  } catch (fault) {
    latest.value = { ...latest.value, busy: false };
    complain(fault);
  }
}

/** What was in the making when the page came. */
export async function goOn() {
  for (const state of ["queued", "running"]) {
    const { jobs } = await get(`/jobs?state=${state}&limit=20`).catch(() => ({ jobs: [] }));
    for (const job of jobs) if (!making.value.some((each) => each.id === job.id)) follow(job, "going on");
  }
}
