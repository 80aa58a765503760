// Where Telegram shows the page as a Mini App, it puts signed data about who opened it behind the address. That goes
// along with the answer, as evidence; whether it proves anything, only the server can tell.

const given = new URLSearchParams(location.hash.slice(1)).get("tgWebAppData");

if (given) {
  const evidence = [
    { proof_type: "proof_of_human", provider: "telegram", format: "provider_opaque", presentation: given, binding: {} },
  ];
  document.addEventListener("formdata", (event) => {
    event.formData.set("verification_evidence", JSON.stringify(evidence));
  });
}
