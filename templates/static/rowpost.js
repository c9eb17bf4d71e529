// What the pages do beyond HTML: nothing here is needed to use them.
"use strict";

(function () {
  function localTimes(root) {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time[data-local]")) {
      const date = new Date(time.dateTime);
      if (isNaN(date)) continue;
      time.title = time.textContent;
      time.textContent = date.toDateString() === today
        ? date.toLocaleTimeString()
        : date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
      time.removeAttribute("data-local");
    }
  }

  function showNames(input) {
    const names = input.closest(".drop")?.querySelector("[data-file-names]");
    if (names) names.textContent = Array.from(input.files, (file) => file.name).join(", ");
    input.closest(".drop")?.classList.toggle("chosen", input.files.length > 0);
  }

  document.addEventListener("DOMContentLoaded", () => localTimes(document));
  document.addEventListener("htmx:afterSettle", (event) => localTimes(event.target.parentNode || document));

  document.addEventListener("change", (event) => {
    if (event.target.matches("input[type=file]")) showNames(event.target);
  });
  for (const [name, on] of [["dragenter", true], ["dragleave", false], ["drop", false]]) {
    document.addEventListener(name, (event) => {
      const drop = event.target.closest?.(".drop");
      if (drop) drop.classList.toggle("over", on);
    });
  }

  // What a person has unfolded stays so when the part around it is refreshed.
  let unfolded = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    unfolded = Array.from(event.target.querySelectorAll("details[id][open]"), (details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  });

  // One question before what cannot be taken back, and no second submit of the same form.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.confirm && !window.confirm(form.dataset.confirm)) {
      event.preventDefault();
      return;
    }
    if (form.method === "post" && !form.hasAttribute("hx-post")) {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    }
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  document.addEventListener("htmx:xhr:progress", (event) => {
    const bar = event.target.querySelector?.(".upload-progress");
    if (!bar || !event.detail.lengthComputable) return;
    const share = Math.round((100 * event.detail.loaded) / event.detail.total);
    bar.hidden = false;
    bar.value = share;
    event.target.querySelector(".upload-said").textContent = share < 100 ? `${share} %` : "Storing it…";
  });
  document.addEventListener("htmx:sendError", (event) => {
    const said = event.target.querySelector?.(".upload-said");
    if (said) said.textContent = "The connection broke; nothing was stored. Try again.";
  });
  document.addEventListener("htmx:responseError", (event) => {
    const said = event.target.querySelector?.(".upload-said");
    if (said) {
      const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
      said.textContent = page.querySelector("h1")?.textContent || "It did not work; nothing was stored.";
    }
  });
})();
