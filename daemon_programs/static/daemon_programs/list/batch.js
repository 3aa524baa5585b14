/* Verbs of the list without leaving it: an action is sent in parts, with its progress, and can be stopped. In the
   end one summary says what has become of the programs, as `program/summary.py` does without scripts. */
import { refreshAll } from "./live.js";

const PART = 50; // programs of one request
const MOST_NAMES = 20;
const MOST_GROUPS = 20;

export function startBatches(table) {
    const form = document.getElementById("changelist-form");
    form.addEventListener("submit", (event) => {
        const button = event.submitter;
        if (button?.name === "verb") {
            event.preventDefault();
            pressVerb(form, button);
        } else if (button?.name === "index") {
            const verb = form.elements.action.value;
            const isVerb = [...form.elements.action.options].some((option) => option.value === verb && option.value);
            if (!isVerb || verb === "delete_selected" || selectedIds(form).length === 0) return; // for Django
            event.preventDefault();
            new Batch(table, form, verb).run();
        }
    });
}

/* The button of a row: its verb, for one program. */
async function pressVerb(form, button) {
    button.disabled = true;
    const summary = new Summary();
    try {
        summary.add(await post(form, button.formAction, button.value, []));
    } catch {
        summary.add([lost(1)]);
    }
    button.disabled = false;
    summary.show();
    refreshAll();
}

class Batch {
    constructor(table, form, verb) {
        this.table = table;
        this.form = form;
        this.verb = verb;
        this.isStopped = false;
    }

    async run() {
        const go = this.form.querySelectorAll(".actions button");
        const summary = new Summary();
        go.forEach((button) => { button.disabled = true; });
        try {
            const ids = await this.ids();
            await this.send(ids, summary);
        } catch {
            summary.add([lost(0)]);
        }
        go.forEach((button) => { button.disabled = false; });
        summary.show();
        this.clearSelection();
        refreshAll();
    }

    /* Those that are ticked; with "Select all" those of all pages. */
    async ids() {
        if (this.form.querySelector("input.select-across")?.value !== "1") return selectedIds(this.form);
        const response = await fetch(this.table.dataset.ids + location.search, { headers: { Accept: "application/json" } });
        return (await json(response)).ids.map(String);
    }

    async send(ids, summary) {
        const progress = new Progress(this.verb, ids.length, () => { this.isStopped = true; });
        let sent = 0;
        try {
            while (sent < ids.length && !this.isStopped) {
                progress.show(sent);
                const part = ids.slice(sent, sent + PART);
                sent += part.length;
                try {
                    summary.add(await post(this.form, this.table.dataset.batch, this.verb, part));
                } catch {
                    summary.add([lost(part.length)]);
                    break;
                }
            }
        } finally {
            progress.hide();
        }
        if (sent < ids.length) summary.add([group("skipped", "not begun", "", ids.length - sent)]);
    }

    clearSelection() {
        const all = document.getElementById("action-toggle");
        if (all && !all.checked) all.click(); // so that Django's script forgets "Select all", too
        all?.click();
    }
}

class Progress {
    constructor(verb, count, stop) {
        this.box = document.querySelector(".batch");
        this.count = count;
        this.verb = verb;
        const button = this.box.querySelector(".batch-stop");
        button.onclick = stop;
        this.box.hidden = false;
    }

    show(sent) {
        const bar = this.box.querySelector("progress");
        bar.max = this.count;
        bar.value = sent;
        this.box.querySelector(".batch-text").textContent = `${this.verb}: ${sent} of ${this.count}`;
    }

    hide() {
        this.box.hidden = true;
    }
}

/* What has become of programs, in groups: the same outcome, word and reason. */
class Summary {
    constructor() {
        this.groups = new Map();
    }

    add(groups) {
        for (const each of groups) {
            const key = JSON.stringify([each.outcome, each.word, each.reason]);
            const known = this.groups.get(key) ?? group(each.outcome, each.word, each.reason, 0);
            known.count += each.count;
            known.names = [...known.names, ...each.names].slice(0, MOST_NAMES);
            this.groups.set(key, known);
        }
    }

    sorted() {
        const order = ["done", "skipped", "failed"];
        return [...this.groups.values()].sort((a, b) => order.indexOf(a.outcome) - order.indexOf(b.outcome));
    }

    sentence() {
        const byWord = grouped(this.sorted());
        return [...byWord].map(([word, groups]) => {
            const count = groups.reduce((sum, each) => sum + each.count, 0);
            const reason = groups.length === 1 && groups[0].reason;
            return reason ? `${count} ${word}: ${reason}` : `${count} ${word}`;
        }).join(", ");
    }

    level() {
        const outcomes = new Set(this.sorted().map((each) => each.outcome));
        if (!outcomes.has("failed")) return outcomes.has("done") ? "success" : "info";
        return outcomes.has("done") ? "warning" : "error";
    }

    show() {
        if (this.groups.size === 0) return;
        const item = element("li", this.level());
        item.append(element("span", "batch-summary", this.sentence()));
        const details = item.appendChild(element("details", "batch-details"));
        details.append(element("summary", "", "Details"));
        const groups = details.appendChild(element("dl"));
        for (const each of this.sorted().slice(0, MOST_GROUPS)) groups.append(...described(each));
        messageList().replaceChildren(item);
    }
}

function described(each) {
    const term = element("dt", "", `${each.count} ${each.word}${each.reason ? `: ${each.reason}` : ""}`);
    if (each.names.length === 0) return [term];
    const more = each.count - each.names.length;
    return [term, element("dd", "", each.names.join(", ") + (more > 0 ? ` and ${more} more` : ""))];
}

/* Where Django shows its messages; announced by screen readers. */
function messageList() {
    let present = document.querySelector("ul.messagelist");
    if (present === null) {
        present = element("ul", "messagelist");
        document.getElementById("content-start").prepend(present);
    }
    present.setAttribute("role", "status");
    return present;
}

async function post(form, address, verb, ids) {
    const body = new URLSearchParams({ verb });
    ids.forEach((id) => body.append("id", id));
    const headers = { Accept: "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
    return (await json(await fetch(address, { method: "POST", headers, body }))).groups;
}

/* The session may have ended, or a permission been taken. */
async function json(response) {
    if (!response.ok || response.redirected) throw new Error(`The answer was ${response.status}`);
    return response.json();
}

function selectedIds(form) {
    return [...form.querySelectorAll("input.action-select:checked")].map((box) => box.value);
}

function group(outcome, word, reason, count) {
    return { outcome, word, reason, count, names: [] };
}

function lost(count) {
    return group("failed", "failed", "the answer of the server was lost", count);
}

function grouped(groups) {
    const found = new Map();
    for (const each of groups) found.set(each.word, [...(found.get(each.word) ?? []), each]);
    return found;
}

function element(name, className = "", text = "") {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
}
