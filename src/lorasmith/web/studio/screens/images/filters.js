/** What narrows the grid: states, findings by rule, look-alikes, the checklist of the kind's plan. */
import { html } from "../../html.js";
import { inState } from "./model.js";

/** @type {[string, string][]} */
const STATES = [["all", "All"], ["in", "In the dataset"], ["rejected", "Rejected"], ["kept", "Kept by you"], ["primary", "Primary"], ["supporting", "Supporting"], ["made", "Made from others"], ["drawn", "Drawn by the adapter"], ["bare", "Without a caption"]];
const TONES = /** @type {Record<string, string>} */ ({ error: "bad", warning: "warn", note: "" });

/** @param {{model: any, filter: any, label: any, count: string | number, tone?: string, title?: string}} props */
function Row({ model, filter, label, count, tone = "", title }) {
  const here = model.filter.value.kind === filter.kind && model.filter.value.value === filter.value;
  return html`<li><button class="filter" aria-pressed=${here} title=${title} onClick=${() => {
    model.filter.value = here && filter.kind !== "state" ? { kind: "state", value: "all" } : filter;
    model.cursor.value = -1;
    model.top.value = 0;
    model.view.value = filter.kind === "groups" ? "groups" : "grid";
  }}><span class="filter-label">${label}</span><span class=${`chip ${tone}`}>${count}</span></button></li>`;
}

/** @param {{model: any}} props */
export function Filters({ model }) {
  const all = model.all.value;
  const known = model.inspection.value;
  const document = known?.document;
  return html`<nav class="filters" aria-label="Filters">
    <ul>${STATES.map(([value, label]) => {
      const count = all.filter((/** @type {any} */ each) => inState(each, value)).length;
      return count || value === "all" ? html`<${Row} model=${model} filter=${{ kind: "state", value }} label=${label} count=${count} />` : null;
    })}</ul>
    ${document ? html`<${Findings} model=${model} document=${document} titles=${known.titles} /><${Checklist} model=${model} coverage=${document.coverage} />` : null}
  </nav>`;
}

/** @param {{model: any, document: any, titles: Record<string, string>}} props */
function Findings({ model, document, titles }) {
  /** @type {Map<string, any>} */
  const rules = new Map();
  for (const each of document.findings) {
    const rule = rules.get(each.rule) || { level: each.waived ? "waived" : each.level, names: new Set(), first: each, count: 0 };
    for (const name of each.images) rule.names.add(name);
    rule.count += 1;
    rules.set(each.rule, rule);
  }
  return html`<h3>Findings</h3>
    ${document.groups.length ? html`<ul><${Row} model=${model} filter=${{ kind: "groups", value: "groups" }} label="Look-alikes, side by side" count=${document.groups.length} tone="warn" /></ul>` : null}
    <ul>${[...rules].map(([rule, found]) => html`<${Row} model=${model} title=${`${found.first.message} ${found.first.advice}`}
      filter=${{ kind: "rule", value: rule, names: [...found.names], title: found.count === 1 ? found.first.message : titles[rule], advice: found.first.advice }}
      label=${html`<b>${rule}</b> ${titles[rule] || ""}`} count=${found.names.size || "set"} tone=${TONES[found.level] ?? ""} />`)}</ul>
    ${rules.size ? null : html`<p class="soft">Nothing to complain about.</p>`}`;
}

/** @param {{model: any, coverage: any[]}} props */
function Checklist({ model, coverage }) {
  if (!coverage.length) return null;
  /** @type {Map<string, any[]>} */
  const axes = new Map();
  for (const each of coverage) {
    const head = each.member ? `${each.member}: ${each.axis}` : each.axis;
    axes.set(head, [...(axes.get(head) || []), each]);
  }
  return html`<h3>Checklist</h3>${[...axes].map(([axis, facets]) => html`<h4>${axis}</h4><ul>
    ${facets.map((each) => html`<${Row} model=${model} label=${each.facet}
      filter=${{ kind: "facet", value: `${axis}/${each.facet}`, names: each.names, title: each.images < each.wanted ? `"${each.facet}" is asked for ${each.wanted} times (${each.rule}); there are ${each.images}.` : `${each.facet}: ${each.images}`, label: each.facet }}
      count=${each.wanted ? `${each.images} of ${each.wanted}` : each.images} tone=${!each.wanted ? "" : each.images >= each.wanted ? "good" : "warn"} />`)}</ul>`)}`;
}
