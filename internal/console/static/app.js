// Behaviours of the console, each asked for by an attribute in the page. A page works without this file;
// words come from the page, so that they are in its language. Listeners are on the document: what htmx
// swaps in later behaves like the rest.
//
//   data-copy="#id"             copies the text of an element; data-copy-text="…" copies that text
//   data-copy-post="/path"      posts there first and copies the answer (text/plain)
//     data-copied, data-copy-failed   what the button is called for 2 s, and what is announced
//   data-reveal="#id"           shows what the element conceals, for 30 s; sets aria-pressed
//     data-reveal-post="/path"  … after posting there: the answer (text/plain) is what is shown
//     inside the element: [data-dots] is seen while concealed, [data-plain] while revealed
//   data-forget                 the element is emptied when the page is left, also for Back and Forward
//   command, commandfor         dialogs, for browsers without invoker commands; first field gets the focus
//   a[data-dialog="#id"]        opens the dialog instead of the page that the link leads to
//   form[data-once]             is sent once, however often the button is pressed
//   data-unsaved="question"     leaving asks first, until form[data-saves] or button[data-saves] is sent (by
//                               htmx: is answered with 204) or [data-kept] is ticked; [data-needs-saved] does
//                               nothing before that
//   form[data-submit-on-change] filters: sent when a choice changes
//   data-count-of="name"        "{n} of {all}" in data-template: ticked boxes of that name in the same form
//   form[data-draft="owner"]    what is typed survives the end of the session, in this tab, except secrets
//     data-restore-draft        on a page that comes back after it: puts it in once; shows [data-draft-note]
//     data-draft-keep           on a page of the console that is a detour, such as a confirmation
//   details[data-keep-open="x"] stays as the person left it, from page to page, in this tab; on a phone it
//                               starts closed
//   form[data-setup-link]       is sent at once with what is behind the # of the address, as its field "link"
//   data-print                  prints the page
//   data-live                   an htmx poll; it rests while the tab is hidden, and when it fails the
//                               [data-live-stale] inside appears
//   data-follow="/path"         new rows of a list appear by themselves: every 5 s, while the tab is seen, the path is
//                               asked for those after the number in data-follow-since. Rows that are there stay as
//                               they are, and where they are in the window. Inside:
//     [data-follow-rows]        gets the new rows on top; one whose id is there already is left out
//     [data-follow-table], [data-follow-empty]   is shown and hidden with the first row
//     [data-follow-said]        says how many came, in data-single and data-many
//     [data-follow-state]       says whether it goes on, in data-going, data-paused and data-stale
//     [data-follow-pause]       is the button that makes it wait; all this is in a [data-follow-bar], seen with script
//   [role=search] input         gets the focus on "/"

const SHOWN_MS = 30_000; // a revealed secret
const COPIED_MS = 2_000; // "Copied"
const STUCK_MS = 20_000; // a form that got no answer may be sent again
const FOLLOW_MS = 5_000; // between two looks for new rows
const DRAFT_MS = 3_600_000; // a draft is kept for an hour

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const isField = (element) => element.matches("input, select, textarea");

/** Says a text to screen readers. What is outside an open dialog is not read, hence its own region. */
function announce(text) {
  const region = $("dialog:modal [data-announce]") ?? $("#announce");
  if (!region || !text) return;
  region.textContent = "";
  setTimeout(() => { region.textContent = text; }, 50); // a change is what gets read
}

/** Goes to an address of this site; any other is ignored. */
function go(address) {
  const url = new URL(address, location.href);
  if (url.origin === location.origin) location.assign(url);
}

/** A promise that is never settled: the page is about to be left. */
const leaving = () => new Promise(() => {});

/**
 * Posts the button's name and value, and returns the text of the answer. An answer that asks for a fresh
 * sign-in leads there: by HX-Redirect, Location, or {"location": "…"}.
 */
async function post(path, button) {
  const body = new URLSearchParams();
  if (button.name) body.set(button.name, button.value);
  const answer = await fetch(path, { method: "POST", body, headers: { Accept: "text/plain, application/json;q=0.5" }, redirect: "manual", cache: "no-store" });
  if (answer.type === "opaqueredirect") { // the session ended; loading the page again leads to the sign-in
    location.reload();
    return leaving();
  }
  if (answer.ok) return answer.text();
  if (answer.status === 401 || answer.status === 403) {
    let to = answer.headers.get("HX-Redirect") ?? answer.headers.get("Location");
    if (!to && /\bjson\b/.test(answer.headers.get("Content-Type") ?? "")) to = (await answer.json()).location;
    if (to) {
      go(to);
      return leaving();
    }
  }
  throw new Error(`status ${answer.status}`);
}

/* Copy */

/** Puts a text, or the text that a promise gives, on the clipboard. */
async function toClipboard(text, near) {
  if (navigator.clipboard?.write && globalThis.ClipboardItem) {
    // The promise goes in, not its result: some browsers forbid the clipboard once the click is over.
    const blob = Promise.resolve(text).then((t) => new Blob([t], { type: "text/plain" }));
    return navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  }
  text = await text;
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // plain HTTP: the old way is the only one
  area.value = text;
  area.className = "vh";
  area.setAttribute("aria-hidden", "true");
  const focused = document.activeElement;
  (near.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  if (!done) throw new Error("the browser refused");
}

const textOf = (element) => (isField(element) ? element.value : ($("[data-plain]", element) ?? element).textContent.trim());

/** Gives a button another name and icon, and returns what takes it back. */
function relabel(button, label, icon) {
  const words = $("[data-label]", button) ?? [...button.childNodes].find((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  const aria = button.getAttribute("aria-label");
  const use = $("use", button);
  const href = use?.getAttribute("href");
  const before = words?.textContent;
  if (label && words) words.textContent = label;
  if (label && aria !== null) button.setAttribute("aria-label", label);
  if (icon && href) use.setAttribute("href", href.replace(/#.*/, `#${icon}`));
  return () => {
    if (words) words.textContent = before;
    if (aria !== null) button.setAttribute("aria-label", aria);
    if (href) use.setAttribute("href", href);
  };
}

const copied = new WeakMap(); // button to what ends its "Copied"

async function copy(button) {
  const { copyPost, copyText, copy: selector } = button.dataset;
  const source = selector ? $(selector) : null;
  copied.get(button)?.();
  button.setAttribute("aria-busy", "true");
  let label = button.dataset.copied;
  let icon = "i-check";
  try {
    await toClipboard(copyPost ? post(copyPost, button) : copyText ?? textOf(source), button);
  } catch {
    label = button.dataset.copyFailed;
    icon = "i-alert";
    if (source && !isField(source)) getSelection().selectAllChildren(source); // Ctrl+C is left
  }
  button.removeAttribute("aria-busy");
  announce(label);
  const restore = relabel(button, label, icon);
  const end = () => {
    clearTimeout(timer);
    copied.delete(button);
    restore();
  };
  const timer = setTimeout(end, COPIED_MS);
  copied.set(button, end);
}

/* Reveal */

const shown = new Map(); // button to what conceals again

async function reveal(button) {
  if (shown.has(button)) return shown.get(button)();
  const element = $(button.dataset.reveal);
  if (!element || button.getAttribute("aria-busy") === "true") return;
  const path = button.dataset.revealPost;
  const plain = $("[data-plain]", element);
  if (path) {
    button.setAttribute("aria-busy", "true");
    try {
      const text = await post(path, button);
      if (plain) plain.textContent = text;
      else element.value = text;
    } catch {
      announce(button.dataset.revealFailed);
      return;
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
  const show = (yes) => {
    if (element instanceof HTMLInputElement) element.type = yes ? "text" : "password";
    element.classList.toggle("is-revealed", yes);
    if (plain) plain.hidden = !yes;
    for (const dots of $$("[data-dots]", element)) dots.hidden = yes;
    button.setAttribute("aria-pressed", String(yes));
  };
  const icon = relabel(button, null, "i-eye-off");
  const conceal = () => {
    clearTimeout(timer);
    shown.delete(button);
    show(false);
    icon();
    if (path) {
      if (plain) plain.textContent = "";
      else element.value = "";
    }
  };
  const timer = setTimeout(conceal, SHOWN_MS);
  shown.set(button, conceal);
  show(true);
}

/* Dialogs */

const openers = new WeakMap(); // dialog to what opened it

function openDialog(dialog, opener) {
  if (!(dialog instanceof HTMLDialogElement) || dialog.open) return;
  openers.set(dialog, opener);
  dialog.showModal();
  toFirstField(dialog);
}

function toFirstField(dialog) {
  if ($("[autofocus]", dialog)) return;
  $$("input, select, textarea", dialog).find((f) => !f.disabled && f.type !== "hidden")?.focus();
}

const invokers = "commandForElement" in HTMLButtonElement.prototype;

function command(button) {
  const target = document.getElementById(button.getAttribute("commandfor"));
  const name = button.getAttribute("command");
  if (invokers) {
    if (name === "show-modal" && target) openers.set(target, button);
  } else if (name === "show-modal") {
    openDialog(target, button);
  } else if ((name === "close" || name === "request-close") && target?.open) {
    target.close(button.value);
  }
}

document.addEventListener("toggle", (event) => {
  const { target } = event;
  if (target instanceof HTMLDialogElement && target.open) toFirstField(target);
  if (target instanceof HTMLDetailsElement && target.open) toStep(target);
}, true);

document.addEventListener("close", (event) => {
  const opener = openers.get(event.target);
  openers.delete(event.target);
  if (opener?.isConnected && (document.activeElement === document.body || document.activeElement === null)) opener.focus();
}, true);

/* Clicks */

document.addEventListener("click", (event) => {
  const on = event.target instanceof Element ? event.target.closest("button, a, input, summary") : null;
  if (!on) return;
  if (on.matches('[aria-disabled="true"]')) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  if (on.matches("[data-copy], [data-copy-text], [data-copy-post]")) copy(on);
  else if (on.matches("[data-reveal]")) {
    event.preventDefault(); // without this script the button sends its form, and the value comes on a page
    reveal(on);
  }
  else if (on.matches("button[commandfor]")) command(on);
  else if (on.matches("[data-print]")) print();
  else if (on.matches("[data-follow-pause]")) pauseFollowing(on);
  else if (on.matches("[data-keep-open] > summary")) keep(`open:${on.parentElement.dataset.keepOpen}`, !on.parentElement.open);
  else if (on.matches("a[data-dialog]") && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)) {
    const dialog = $(on.dataset.dialog);
    if (!dialog) return;
    event.preventDefault();
    openDialog(dialog, on);
  }
}, true);

/* Search */

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const { target } = event;
  if (target.isContentEditable || target.matches?.("input, select, textarea") || $("dialog:modal")) return;
  const field = $$("[role=search] input:not([type=hidden])").find((f) => f.checkVisibility?.() ?? f.offsetParent);
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
});

/* Forms that are sent once */

function release(form) {
  delete form.dataset.sent;
  for (const button of $$('button[aria-busy="true"], input[type=submit][aria-busy="true"]', form)) {
    button.removeAttribute("aria-busy");
    button.removeAttribute("aria-disabled");
  }
}

function once(event) {
  const { target: form, submitter } = event;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  // The button keeps the focus, and its name and value, which a disabled one would lose.
  submitter?.setAttribute("aria-busy", "true");
  submitter?.setAttribute("aria-disabled", "true");
  setTimeout(release, STUCK_MS, form);
}

/* A secret that is shown only now */

let saved = false;

const unsaved = () => !saved && Boolean($("[data-unsaved]")) && !$("[data-kept]:checked");

function updateUnsaved() {
  const wait = unsaved();
  for (const element of $$("[data-needs-saved]")) {
    if ("disabled" in element) element.disabled = false; // without script the server had to disable it
    if (wait) element.setAttribute("aria-disabled", "true");
    else element.removeAttribute("aria-disabled");
  }
}

addEventListener("beforeunload", (event) => {
  if (!unsaved()) return;
  event.preventDefault();
  event.returnValue = $("[data-unsaved]").dataset.unsaved || true; // older browsers show it
});

/* Submit and change */

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented) return; // htmx sends it
  if (submitter?.matches("[data-needs-saved]") && unsaved()) {
    event.preventDefault();
    return;
  }
  if (form.matches("[data-once]")) once(event);
  if (event.defaultPrevented) return;
  if (form.matches("[data-saves]") || submitter?.matches("[data-saves]")) saved = true;
  if (form.matches("[data-draft]")) saveDraft(form, true);
});

document.addEventListener("change", (event) => {
  const { target } = event;
  if (target.matches("[data-kept]")) updateUnsaved();
  // A text is sent with Enter, which is a change too.
  if (target.form?.matches("[data-submit-on-change]") && target.matches("select, [type=checkbox], [type=radio], [type=date]")) target.form.requestSubmit();
  updateCounts();
});

document.addEventListener("input", (event) => {
  const { form } = event.target;
  if (form?.matches("[data-draft]")) saveDraft(form, false);
});

function updateCounts() {
  for (const counter of $$("[data-count-of]")) {
    const boxes = $$('input[type="checkbox"]', counter.closest("form") ?? document).filter((b) => b.name === counter.dataset.countOf);
    const text = counter.dataset.template.replace("{n}", boxes.filter((b) => b.checked).length).replace("{all}", boxes.length);
    if (counter.textContent !== text) counter.textContent = text;
  }
}

/* What this tab remembers; without storage, nothing */

function keep(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(`holdfast.${key}`);
    else sessionStorage.setItem(`holdfast.${key}`, JSON.stringify(value));
  } catch { /* storage is off or full */ }
}

function kept(key) {
  try {
    return JSON.parse(sessionStorage.getItem(`holdfast.${key}`));
  } catch {
    return null;
  }
}

/* Drafts */

const draftKey = (form) => `draft:${location.pathname}:${form.id}`;

const typed = (form) => [...form.elements].filter((f) => f.name && !f.closest("[data-secret]") && f.matches(
  "textarea, select, input:not([type=password], [type=hidden], [type=file], [type=submit], [type=button], [type=image], [type=reset])") && f.autocomplete !== "one-time-code");

const ticks = (field) => field.type === "checkbox" || field.type === "radio";

function saveDraft(form, sent) {
  const fields = typed(form).map((f) => (ticks(f) ? [f.name, f.value, f.checked] : [f.name, f.value]));
  keep(draftKey(form), { owner: form.dataset.draft, at: Date.now(), sent, fields });
}

function restoreDraft(form, { fields }) {
  for (const field of typed(form)) {
    const was = fields.find(([name, value]) => name === field.name && (!ticks(field) || value === field.value));
    if (!was) continue;
    if (ticks(field)) field.checked = was[2];
    else field.value = was[1];
  }
  for (const note of $$("[data-draft-note]")) note.hidden = false;
  announce($("[data-draft-note]")?.textContent.trim());
}

/**
 * On a page that came back after a sign-in, drafts are put in. On any other page of the console, what was sent
 * has been received; the pages of the sign-in (outside the shell) and detours leave everything as it is.
 */
function drafts() {
  const restore = Boolean($("[data-restore-draft]"));
  for (const form of restore ? $$("form[data-draft]") : []) {
    const draft = kept(draftKey(form));
    // The owner is in the draft, so that nobody finds what another person typed in this tab.
    if (draft && draft.owner === form.dataset.draft && Date.now() - draft.at < DRAFT_MS) restoreDraft(form, draft);
    keep(draftKey(form), null);
  }
  if (!$(".shell") || $("[data-draft-keep]")) return;
  let keys = [];
  try {
    keys = Object.keys(sessionStorage);
  } catch { /* storage is off */ }
  for (const key of keys.filter((k) => k.startsWith("holdfast.draft:")).map((k) => k.slice("holdfast.".length))) {
    const draft = kept(key);
    if (!draft || draft.sent || Date.now() - draft.at >= DRAFT_MS) keep(key, null);
  }
}

/* Pages that come and go */

addEventListener("pagehide", () => {
  for (const conceal of [...shown.values()]) conceal();
  for (const element of $$("[data-forget]")) {
    if (isField(element)) element.value = "";
    else element.textContent = "";
  }
});

addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  $$("form[data-sent]").forEach(release);
});

/* Rows that appear by themselves */

function sayFollowing(list, state) {
  const badge = $("[data-follow-state]", list);
  if (!badge || badge.dataset.state === state) return;
  badge.dataset.state = state;
  badge.textContent = badge.dataset[state];
  badge.className = `badge badge--${{ going: "ok", paused: "plain", stale: "wait" }[state]}`;
}

function pauseFollowing(button) {
  const paused = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(paused));
  sayFollowing(button.closest("[data-follow]"), paused ? "paused" : "going");
  if (!paused) follow();
}

const isPaused = (list) => $("[data-follow-pause]", list)?.getAttribute("aria-pressed") === "true";

/** Puts rows on top without moving what the person reads, and returns how many there were. */
function putOnTop(list, html) {
  const body = $("[data-follow-rows]", list);
  const parsed = new DOMParser().parseFromString(`<table>${html}</table>`, "text/html"); // in it no script runs
  const rows = [...parsed.querySelectorAll("tr")].filter((row) => !document.getElementById(row.id));
  if (!rows.length) return 0;
  const read = body.rows[0];
  const above = read?.getBoundingClientRect().top ?? 0;
  body.prepend(...rows);
  for (const table of $$("[data-follow-table]", list)) table.hidden = false;
  for (const empty of $$("[data-follow-empty]", list)) empty.hidden = true;
  // Who has scrolled beyond the first row goes on seeing the same ones; some browsers see to that themselves.
  const moved = (read?.getBoundingClientRect().top ?? 0) - above;
  if (read && above < 0 && moved) scrollBy({ top: moved, behavior: "instant" });
  return rows.length;
}

let following = false;

async function follow() {
  const list = $("[data-follow]");
  if (!list || following || document.hidden || isPaused(list)) return;
  following = true;
  try {
    const url = new URL(list.dataset.follow, location.href);
    url.searchParams.set("since", list.dataset.followSince);
    const answer = await fetch(url, { headers: { Accept: "text/html" }, redirect: "manual", cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const html = answer.status === 204 ? "" : await answer.text();
    if (!list.isConnected || isPaused(list)) return; // what came then is asked for again
    list.dataset.followSince = answer.headers.get("Holdfast-Since") ?? list.dataset.followSince;
    const said = $("[data-follow-said]", list);
    const came = html ? putOnTop(list, html) : 0;
    if (came && said) {
      const n = Number(said.dataset.count ?? 0) + came;
      said.dataset.count = n;
      said.textContent = (n === 1 ? said.dataset.single : said.dataset.many).replace("{n}", n);
    }
    sayFollowing(list, "going");
  } catch {
    if (list.isConnected) sayFollowing(list, "stale");
  } finally {
    following = false;
  }
}

function startFollowing() {
  const list = $("[data-follow]");
  if (!list) return;
  sayFollowing(list, isPaused(list) ? "paused" : "going");
  for (const bar of $$("[data-follow-bar]", list)) bar.hidden = false;
}

document.addEventListener("visibilitychange", follow);
setInterval(follow, FOLLOW_MS);

/* htmx */

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.matches("[data-live]")) event.preventDefault();
});

// Before htmx goes where the answer leads. A 200 may lead to signing in or confirming, with nothing saved.
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { elt, xhr, requestConfig } = event.detail;
  const submitter = requestConfig?.triggeringEvent?.submitter;
  if (xhr.status !== 204 || !(elt.matches("[data-saves]") || submitter?.matches("[data-saves]"))) return;
  saved = true;
  update();
});

document.addEventListener("htmx:afterRequest", (event) => {
  const { elt, successful, xhr } = event.detail;
  for (const note of $$("[data-live-stale]", elt)) note.hidden = successful;
  if (xhr.status === 401 && !xhr.getResponseHeader("HX-Redirect")) location.reload();
});

document.addEventListener("htmx:afterSettle", (event) => {
  update();
  if (event.target.id === "tour-live") toStep(document);
});

function update() {
  updateUnsaved();
  updateCounts();
  startFollowing();
}

/** The step that is on is in sight: the sheet is low on a phone. */
function toStep(root) {
  const body = $(".tour-body", root);
  if (body) body.scrollTop = ($("[aria-current]", body)?.offsetTop ?? 0) - 8;
}

// A phone has no room beside the page: what is open there would cover it.
const roomy = matchMedia("(min-width: 40rem)").matches;
for (const details of $$("details[data-keep-open]")) details.open = kept(`open:${details.dataset.keepOpen}`) ?? (details.open && roomy);

/** A set-up link has its secret behind the #, which browsers send to nobody; it leaves the address, too. */
function setupLink(form) {
  const link = location.hash.slice(1);
  if (!form || !link) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.link.value = link;
  form.requestSubmit();
}

toStep(document);
drafts();
update();
setupLink($("form[data-setup-link]"));
addEventListener("hashchange", () => setupLink($("form[data-setup-link]"))); // pasted over the address of the page
if ($("[data-passkey]")) import("./passkey.js");
if ($("[data-live], [hx-get], [hx-post], [hx-boost]") && !globalThis.htmx) {
  // Most pages have no part that htmx would fill. It starts at once only when the page is complete.
  const start = () => import("./htmx.min.js");
  if (document.readyState === "complete") start();
  else addEventListener("load", start);
}
