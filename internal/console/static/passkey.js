// Passkeys, on pages that have a button[data-passkey].
//
//   data-passkey="register"   makes a passkey; "signin" and "confirm" use one
//   data-begin, data-finish   addresses. Begin is posted the fields of the button's form, without passwords,
//                             and answers the options (WebAuthn JSON, alone or as "publicKey"). Finish is
//                             posted the credential as JSON and answers {"location": "/…"} or {"error": "…"}.
//   [data-passkey-error]      where an error is shown (role="alert"); its data-cancelled, data-exists and
//                             data-failed are the words for what the browser reports
//   [data-passkey-missing]    shown if this browser, or plain HTTP, has no passkeys
//
// On a page with input[autocomplete~="webauthn"] the browser also offers passkeys in that field.

const available = Boolean(globalThis.PublicKeyCredential && navigator.credentials);

let waiting = null; // AbortController of the offer in the field

/* Bytes in JSON are base64url without padding (WebAuthn §5.1.8) */

function toBytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

function toText(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const withBytes = (list) => list?.map((item) => ({ ...item, id: toBytes(item.id) }));

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return {
    ...json,
    challenge: toBytes(json.challenge),
    user: { ...json.user, id: toBytes(json.user.id) },
    excludeCredentials: withBytes(json.excludeCredentials) ?? [],
  };
}

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: toBytes(json.challenge), allowCredentials: withBytes(json.allowCredentials) ?? [] };
}

function toJSON(credential) {
  try {
    return credential.toJSON();
  } catch { // missing, or an extension of a password manager that made the object by hand
    const { response } = credential;
    const out = { clientDataJSON: toText(response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (response[name]) out[name] = toText(response[name]);
    }
    if (response.getTransports) out.transports = response.getTransports();
    return {
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
      clientExtensionResults: credential.getClientExtensionResults(),
      response: out,
    };
  }
}

/* The two requests */

/** An error whose message the server wrote for the person. */
class Refused extends Error {}

async function ask(path, body, headers) {
  const answer = await fetch(path, { method: "POST", body, headers: { Accept: "application/json", ...headers }, cache: "no-store" });
  const isJSON = /\bjson\b/.test(answer.headers.get("Content-Type") ?? "");
  const json = isJSON ? await answer.json() : {};
  if (json.error || json.detail) throw new Refused(json.error ?? json.detail);
  if (json.location) go(json.location);
  else if (!answer.ok || !isJSON) throw new Error(`status ${answer.status}`);
  return json;
}

/** Goes to an address of this site; any other is ignored. */
function go(address) {
  const url = new URL(address, location.href);
  if (url.origin === location.origin) location.assign(url);
}

function fieldsOf(form) {
  const body = new URLSearchParams();
  for (const field of form?.elements ?? []) {
    const ticked = field.type !== "checkbox" && field.type !== "radio" || field.checked;
    if (field.name && ticked && field.matches("textarea, select, input:not([type=password], [type=file])")) body.append(field.name, field.value);
  }
  return body;
}

const begin = async (button) => {
  const json = await ask(button.dataset.begin, fieldsOf(button.form));
  return json.publicKey ?? json;
};

const finish = (button, credential) => ask(button.dataset.finish, JSON.stringify(toJSON(credential)), { "Content-Type": "application/json" });

/* What the person sees */

function show(error) {
  const place = document.querySelector("[data-passkey-error]");
  if (!place) return;
  const { cancelled, exists, failed } = place.dataset;
  const words = { NotAllowedError: cancelled, AbortError: cancelled, InvalidStateError: exists };
  const text = error instanceof Refused ? error.message : words[error?.name] ?? failed;
  (place.querySelector("[data-text]") ?? place).textContent = error ? text ?? "" : "";
  place.hidden = !error;
}

async function press(button) {
  if (button.getAttribute("aria-busy") === "true") return;
  waiting?.abort();
  waiting = null;
  show(null);
  button.setAttribute("aria-busy", "true");
  try {
    const options = await begin(button);
    if (options.location) return; // the server sends the person elsewhere first
    const credential = button.dataset.passkey === "register"
      ? await navigator.credentials.create({ publicKey: creationOptions(options) })
      : await navigator.credentials.get({ publicKey: requestOptions(options) });
    await finish(button, credential);
  } catch (error) {
    show(error);
    offer(); // no await: it waits until the person chooses one
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** Lets the browser offer passkeys in the e-mail field, beside what it remembers. */
async function offer() {
  const button = document.querySelector('button[data-passkey="signin"]');
  if (!button || !document.querySelector('input[autocomplete~="webauthn"]')) return;
  if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
  const controller = new AbortController();
  waiting = controller;
  let options;
  let credential;
  try {
    options = await begin(button);
    if (controller.signal.aborted || options.location) return;
    credential = await navigator.credentials.get({ publicKey: requestOptions(options), mediation: "conditional", signal: controller.signal });
  } catch {
    return; // nobody asked for it, so nobody is told that it does not work
  }
  try {
    await finish(button, credential);
  } catch (error) {
    show(error);
  }
}

if (available) {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[data-passkey]") : null;
    if (!button) return;
    event.preventDefault();
    press(button);
  });
  offer();
} else {
  for (const element of document.querySelectorAll("[data-passkey-missing]")) element.hidden = false;
  for (const button of document.querySelectorAll("button[data-passkey]")) button.setAttribute("aria-disabled", "true");
}
