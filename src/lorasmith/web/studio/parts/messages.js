/** What went wrong, and what was done, where the eye is. */
import { html, useEffect, useRef } from "../html.js";
import { AWAY } from "../api.js";
import { away, toasts, dismiss, link } from "../state.js";
import { readable, WORDS } from "../strings.js";

/** News that scrolls itself to where it is seen. @param {{of: string, children?: any, [more: string]: any}} props `of`: what is new */
export function News({ of, children, ...more }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => place.current?.scrollIntoView({ block: "nearest" }), [of]);
  return html`<div ref=${place} ...${more}>${children}</div>`;
}

/** @param {{fault: any, retry?: () => void}} props */
export function ErrorLine({ fault, retry }) {
  if (!fault) return null;
  if (fault.kind === "NoImagesError") return html`<div class="empty"><p>${WORDS.noImages}</p><a class="button" href=${link("images")}>${WORDS.addImages}</a></div>`;
  return html`<${News} of=${fault.message || String(fault)} class="error-line" role="alert">
    <p>${fault.where ? html`<code>${readable(fault.where)}</code>: ` : null}${readable(fault.message || String(fault))}</p>
    ${fault.hint ? html`<p class="soft">${fault.hint}</p>` : null}
    ${retry ? html`<button onClick=${retry}>${WORDS.again}</button>` : null}
  <//>`;
}

/** A screen that cannot be shown. @param {{title: string, fault: any, retry?: () => void, children?: any}} props */
export function Unshown({ title, fault, retry, children }) {
  useEffect(() => { if (!away.value && fault?.kind === AWAY) retry?.(); }, [away.value]);
  return html`<div class="sheet unshown"><h1>${title}</h1><${ErrorLine} fault=${fault} retry=${retry} />${children}</div>`;
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map((each) => html`<div key=${each.id} class=${each.bad ? "toast bad" : "toast"}>
      <span>${each.text}${each.hint ? html`<br /><span class="soft">${each.hint}</span>` : null}</span>
      ${each.action ? html`<button onClick=${() => { each.action?.run(); dismiss(each.id); }}>${each.action.label}</button>` : null}
      <button class="quiet" aria-label=${WORDS.close} onClick=${() => dismiss(each.id)}>×</button>
    </div>`)}
  </div>`;
}
