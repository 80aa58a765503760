// What all of the page's scripts share: its texts, its token, and how things are said and sent.

export const texts = JSON.parse(document.getElementById("texts").textContent);
export const SEND_AT_MOST = 30_000;

const language = document.documentElement.lang;
// en-GB has other dates than en-US
export const reader = navigator.languages.find((one) => one.startsWith(language)) ?? language;

export const words = (text, value) => text.replace("{}", () => value);
export const byId = (id) => document.getElementById(id);
export const say = (text) => { byId("live").textContent = text; };

// --- the token leaves the address bar -----------------------------------------------------------------------------
// It stays in this history entry's state, which only this tab knows, so that a reload still finds the case.

function hideToken() {
  const given = new URLSearchParams(location.search).get("token");
  const works = byId("main").dataset.state !== "none";
  if (given !== null) {
    history.replaceState(works ? { token: given } : null, "", location.pathname + location.hash);
  } else if (!works && history.state?.token) {
    const { token } = history.state;
    history.replaceState(null, "");
    location.replace(`${location.pathname}?token=${encodeURIComponent(token)}`);
  }
  return given ?? history.state?.token ?? null;
}

export const token = hideToken() ?? document.querySelector("input[name=token]")?.value ?? null;
// A page that came as the answer to a post: loading it again asks for it anew, and posts nothing a second time.
if (token && !history.state && byId("main").dataset.state !== "none") history.replaceState({ token }, "");

// Following a link within the page makes a history entry that knows nothing yet.
window.addEventListener("hashchange", () => {
  if (token && !history.state) history.replaceState({ token }, "");
});

export function post(url, value) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) };
  return fetch(url, { ...init, signal: AbortSignal.timeout(SEND_AT_MOST), referrerPolicy: "no-referrer" });
}
