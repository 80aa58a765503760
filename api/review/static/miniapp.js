// Where Telegram shows the page as a Mini App, it puts signed data about who opened it behind the address. That signs
// the person in, and goes along with the answer, as evidence; whether it proves anything, only the server can tell.

const given = new URLSearchParams(location.hash.slice(1)).get("tgWebAppData");

if (given) {
  const evidence = [
    { proof_type: "proof_of_human", provider: "telegram", format: "provider_opaque", presentation: given, binding: {} },
  ];
  document.addEventListener("formdata", (event) => {
    event.formData.set("verification_evidence", JSON.stringify(evidence));
  });
  const { signIn } = document.documentElement.dataset;
  if (signIn && inTelegram() && !sessionStorage.getItem("assent-tried")) enter(signIn);
}

/** Whether Telegram shows this page: one of its apps, or its website in a frame. Elsewhere a link could sign somebody in
 * as whoever made it.
 */
function inTelegram() {
  return "TelegramWebviewProxy" in window || "notify" in (window.external ?? {}) || window.parent !== window;
}

/** Once per opened app: where the cookie is not kept (in a frame of another site), the page stays as it is. */
async function enter(url) {
  sessionStorage.setItem("assent-tried", "yes");
  const body = JSON.stringify({ init_data: given });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body, referrerPolicy: "no-referrer" }).catch(() => null);
  if (!answer?.ok) return;
  const token = history.state?.token ?? document.querySelector("input[name=token]")?.value;
  const asked = new URLSearchParams(given).get("start_param") ?? "";
  const { inbox } = document.body.dataset;
  const place =
    inbox && /^[\w-]{1,80}$/.test(asked) ? `${inbox}/cases/${asked}`
    : token ? `${location.pathname}?token=${encodeURIComponent(token)}`
    : location.pathname;
  const whole = new URL(`${place}${location.hash}`, location.href).href;
  if (whole === location.href) location.reload(); // to where it is already, a browser only scrolls
  else location.replace(whole);
}
