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
    const said = input.form?.querySelector(".upload-said");
    if (said) said.textContent = isTooLarge(input) ? TOO_LARGE : "";
  }

  // The server refuses it too, but may hang up before a browser has read why.
  const TOO_LARGE = "An upload may have at most 2 GB in all. Upload fewer files at once, or compress a large one with gzip.";
  function isTooLarge(input) {
    const size = Array.from(input.files).reduce((sum, file) => sum + file.size, 0);
    return size > Number(input.dataset.largest || Infinity);
  }

  document.addEventListener("DOMContentLoaded", () => localTimes(document));
  // Before the browser paints, or each exchange would show UTC for a moment.
  document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target.parentNode || document));

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
  let hadFocus = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const going = event.detail.target;
    hadFocus = going.contains(document.activeElement);
    unfolded = Array.from(going.querySelectorAll("details[id][open]"), (details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  });

  // Whose button is gone with what was exchanged goes on from the beginning of the page, not of the window.
  document.addEventListener("htmx:afterSettle", () => {
    if (hadFocus && document.activeElement === document.body) document.getElementById("main").focus({ preventScroll: true });
    hadFocus = false;
  });

  // Parts of a mapping come and go within the page: an answer would take the place of what is being typed.
  function addPart(parts, verb, column) {
    const list = parts.querySelector(".parts");
    const numbers = Array.from(list.querySelectorAll("[name$='-number']"), (input) => Number(input.value));
    const fresh = document.createElement("template");
    fresh.innerHTML = parts.querySelector(`template[data-adds='${verb}']`).innerHTML
      .replaceAll("NUMBER", Math.max(0, ...numbers) + 1);
    list.append(fresh.content);
    for (const name of column ? ["field-column", "field-to"] : []) {
      list.lastElementChild.querySelector(`[name='${name}']`).value = column;
    }
    list.lastElementChild.querySelector("input:not([type=hidden])").focus();
  }

  function removePart(parts, part) {
    const beside = part.nextElementSibling || part.previousElementSibling;
    part.remove();
    (beside || parts).querySelector(beside ? ".remove" : ".picks button:not([hidden])").focus();
  }

  function showPicks() {
    const taken = new Set(Array.from(document.querySelectorAll("[name='field-column']"), (input) => input.value));
    for (const pick of document.querySelectorAll(".pick")) {
      pick.hidden = taken.has(pick.value.slice("add:".length));
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-parts] button[name='do']");
    if (!button) return;
    event.preventDefault();
    const parts = button.closest("[data-parts]");
    const [verb, ...column] = button.value.split(":");
    if (button.matches(".remove")) removePart(parts, button.closest("li"));
    else addPart(parts, verb, column.join(":"));
    parts.dispatchEvent(new Event("change", { bubbles: true }));
  });
  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-parts]")) showPicks();
  });
  document.addEventListener("htmx:afterSettle", showPicks);

  // One question before what cannot be taken back, and no second submit of the same form.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent || (form.dataset.confirm && !window.confirm(form.dataset.confirm))) {
      event.preventDefault();
      return;
    }
    if (form.method === "post" && !form.hasAttribute("hx-post")) form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  // Signing in anew, maybe in another tab, gives a new token: a page that was open before takes it up.
  function token() {
    return document.cookie.match(/(?:^|;\s*)csrftoken=([^;]+)/)?.[1];
  }
  document.addEventListener("submit", (event) => {
    const field = event.target.querySelector("input[name='csrfmiddlewaretoken']");
    if (field && token()) field.value = token();
  }, true);
  document.addEventListener("htmx:configRequest", (event) => {
    if (!token()) return;
    event.detail.headers["X-CSRFToken"] = token();
    // Of a form that is sent whole; Django looks there first.
    if (event.detail.formData.has("csrfmiddlewaretoken")) event.detail.formData.set("csrfmiddlewaretoken", token());
  });

  // Who was signed out is told once, however often the page asks, until it is answered again.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const told = document.getElementById("signed-out");
    const isOut = event.detail.xhr.getResponseHeader("HX-Retarget") === "#signed-out";
    if (isOut && told.childElementCount) event.detail.shouldSwap = false;
    if (!isOut && event.detail.xhr.status < 400) told.replaceChildren();
  });

  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll(".note .close")) button.hidden = false;
  });
  document.addEventListener("click", (event) => {
    if (event.target.matches(".note .close")) event.target.closest(".note").remove();
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const input = event.target.querySelector?.("input[type=file]");
    if (input && isTooLarge(input)) event.preventDefault();
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
