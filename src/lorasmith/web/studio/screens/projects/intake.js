/** What is dropped or chosen, as files with their paths; sent one by one, and on again where it was cut off. */
import { useEffect, useState } from "../../html.js";
import { get, post, sendFile, part, ApiError } from "../../api.js";
import { complain } from "../../state.js";

/** @typedef {{path: string, file: File}} Piece */

const SIDE_BY_SIDE = 3;
const TRIES = 60;
const IGNORED = /(^|\/)(\.|__MACOSX|Thumbs\.db|desktop\.ini)/;

/** All files of a drop, folders walked. @param {DataTransfer} dropped @returns {Promise<Piece[]>} */
export async function piecesOf(dropped) {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => !!entry);
  if (!entries.length) return piecesOfFiles([...dropped.files]);
  /** @type {Piece[]} */
  const found = [];
  for (const entry of entries) await walk(/** @type {any} */ (entry), "", found);
  return found.filter((piece) => !IGNORED.test(piece.path));
}

/** @param {File[]} files @returns {Piece[]} */
export const piecesOfFiles = (files) =>
  files.map((file) => ({ path: file.webkitRelativePath || file.name, file })).filter((piece) => !IGNORED.test(piece.path));

/** @param {any} entry @param {string} above @param {Piece[]} found */
async function walk(entry, above, found) {
  const path = above + entry.name;
  if (entry.isFile) {
    found.push({ path, file: await new Promise((done, fail) => entry.file(done, fail)) });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return;
    for (const each of some) await walk(each, `${path}/`, found);
  }
}

/** Take what is dropped anywhere on the page; gives whether something is held over it. @param {(pieces: Piece[]) => void} take */
export function useDrop(take) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const enter = (/** @type {DragEvent} */ event) => { if (event.dataTransfer?.types.includes("Files")) { depth += 1; setOver(true); } };
    const leave = () => { depth -= 1; if (depth <= 0) { depth = 0; setOver(false); } };
    const allow = (/** @type {DragEvent} */ event) => event.preventDefault();
    const drop = (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      depth = 0;
      setOver(false);
      if (event.dataTransfer) piecesOf(event.dataTransfer).then((found) => { if (found.length) take(found); }, complain);
    };
    addEventListener("dragenter", enter); addEventListener("dragleave", leave); addEventListener("dragover", allow); addEventListener("drop", drop);
    return () => { removeEventListener("dragenter", enter); removeEventListener("dragleave", leave); removeEventListener("dragover", allow); removeEventListener("drop", drop); };
  }, []);
  return over;
}

/** A name for the project out of what was dropped. @param {Piece[]} pieces */
export function nameOf(pieces) {
  const first = pieces[0]?.path || "";
  const raw = first.includes("/") ? first.slice(0, first.indexOf("/")) : /\.zip$/i.test(first) ? first.slice(0, -4) : "";
  return raw.replace(/^\d+_/, "").replace(/[^\p{L}\p{N}_.-]+/gu, "_").replace(/^[._]+|[._]+$/g, "");
}

/**
 * Send all pieces; a server that went away is waited for, and what it has is not sent again.
 * @param {Piece[]} pieces @param {(done: number, total: number, waiting: boolean) => void} tell @param {AbortSignal} signal
 * @returns {Promise<string>} the upload's name
 */
export async function send(pieces, tell, signal) {
  const total = pieces.reduce((sum, piece) => sum + piece.file.size, 0);
  const { id } = await post("/uploads", {}, signal);
  /** @type {Record<string, number>} */
  const sent = {};
  const waiting = [...pieces];
  const count = () => Object.values(sent).reduce((sum, bytes) => sum + bytes, 0);
  const work = async () => {
    for (let piece = waiting.shift(); piece; piece = waiting.shift()) {
      await sendOne(id, piece, () => tell(count(), total, true), signal);
      sent[piece.path] = piece.file.size;
      tell(count(), total, false);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  return id;
}

/** @param {string} id @param {Piece} piece @param {() => void} wait @param {AbortSignal} signal */
async function sendOne(id, piece, wait, signal) {
  const path = piece.path.split("/").map(part).join("/");
  for (let tried = 0; ; tried += 1) {
    try {
      await sendFile(`/uploads/${id}/files/${path}`, piece.file, signal);
      return;
    } catch (fault) {
      if (!(fault instanceof ApiError) || fault.status || tried >= TRIES) throw fault;
      wait();
      await new Promise((done) => setTimeout(done, 1000));
      const known = await get(`/uploads/${id}`, signal).catch(() => null);
      if (known && known.files[piece.path] === piece.file.size) return;
    }
  }
}
