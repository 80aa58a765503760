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
  if (signIn && !sessionStorage.getItem("assent-tried")) enter(signIn);
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
  if (inbox && /^[\w-]{1,80}$/.test(asked)) location.replace(`${inbox}/cases/${asked}${location.hash}`);
  else if (token) location.replace(`${location.pathname}?token=${encodeURIComponent(token)}${location.hash}`);
  else location.reload();
}
