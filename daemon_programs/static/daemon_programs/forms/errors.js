/* Lead to the fields of a form that the server has refused: to the first one at once, to the others by their links. */

function leadTo(link) {
    const control = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    const row = control?.closest(".form-row");
    if (!row) return;
    // A text area that is shown as rows is hidden.
    const visible = [control, ...row.querySelectorAll("input, textarea, select, button")]
        .find((each) => each.checkVisibility());
    row.scrollIntoView({ block: "center" });
    visible?.focus({ preventScroll: true });
}

const list = document.querySelector(".refused");
if (list) {
    list.addEventListener("click", (event) => {
        const link = event.target.closest("a");
        if (link) { event.preventDefault(); leadTo(link); }
    });
    // After all modules, since others replace the controls of some fields.
    addEventListener("DOMContentLoaded", () => {
        const first = list.querySelector("a");
        if (first) leadTo(first);
    });
}
