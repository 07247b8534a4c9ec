const log = /** @type {HTMLElement} */ (document.getElementById("log"));
const events = new EventSource("events");
for (const name of ["hello", "record", "rate"]) {
  events.addEventListener(name, ({ data }) => {
    log.textContent = `${name} ${data.slice(0, 400)}\n${(log.textContent ?? "").slice(0, 20_000)}`;
  });
}
