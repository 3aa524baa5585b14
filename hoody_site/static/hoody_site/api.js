/* The forms of the browsable API: a form can't send JSON by itself. */

document.addEventListener("change", ({ target }) => {
    if (target.matches("select[data-examples]")) target.form.elements.body.value = target.value;
});

document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.request === undefined) return;
    event.preventDefault();
    if (form.dataset.confirm === undefined || confirm(form.dataset.confirm)) send(form);
});

async function send(form) {
    const button = form.querySelector("button");
    button.disabled = true;
    show(form, "Sent, waiting for the response…");
    try {
        const response = await fetch(form.dataset.request, {
            method: "POST",
            headers: {
                Accept: "application/json",
                "Content-Type": "application/json",
                "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
            },
            body: form.elements.body.value,
        });
        show(form, `${response.status} ${response.statusText}\n${indented(await response.text())}`);
    } catch (problem) {
        show(form, `No response: ${problem.message}`);
    } finally {
        button.disabled = false;
    }
}

function show(form, text) {
    const result = form.querySelector("[role=status]");
    result.textContent = text;
    result.hidden = false;
}

function indented(text) {
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text;
    }
}
