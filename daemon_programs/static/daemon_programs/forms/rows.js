/* Show text areas of JSON as rows of controls, with the text one click away.

   <textarea data-rows='{"kind": "map", "value": {"kind": "text"}}'>   its shape, see admin/forms/shapes.py

   The text area stays what is submitted, and keeps its text, to the letter, until something in its rows is changed.
   Without this script it is filled in as JSON. To use it in another form:

       from daemon_programs.admin.forms import json_field

       class MyForm(forms.Form):
           environment = json_field("environment", help_text="…")   # the field of a program of this name

   The form's `media` has this script and its style sheet. */
import { editWhole } from "./editors.js";
import { button, focusFirst, make, newId, tellOfChange } from "./elements.js";
import { parse } from "./fits.js";

class Rows {
    constructor(area) {
        this.area = area;
        this.shape = JSON.parse(area.dataset.rows);
        this.editor = null;
        this.label = area.labels?.[0] ?? null;
        this.note = make("p", { class: "rows-problem", role: "status", hidden: true });
        this.toggle = button("Edit as JSON", () => this.switchView());
        this.box = make("div", {
            class: "rows", role: "group", id: newId(), "aria-label": this.name, hidden: true,
            "aria-describedby": area.getAttribute("aria-describedby"),
        });
        // Within one element, so that label and box stay side by side.
        const frame = make("div", { class: "rows-frame" });
        area.replaceWith(frame);
        frame.append(this.box, area, this.note, make("div", { class: "rows-tools" }, this.toggle));
        this.label?.addEventListener("click", (event) => {
            if (this.editor) { event.preventDefault(); focusFirst(this.box); }
        });
        this.box.addEventListener("input", () => this.write());
        this.showRows({ isFirst: true });
    }

    get name() {
        return (this.label?.textContent ?? this.area.name).trim().replace(/:$/, "");
    }

    /* Fill the text area from the rows. */
    write() {
        this.area.value = this.editor.json();
        tellOfChange(this.area);
    }

    switchView() {
        if (this.editor) this.showJson();
        else this.showRows({ isFirst: false });
    }

    /* Show rows, or say why the text can't be shown as such. */
    showRows({ isFirst }) {
        const { value, problem } = parse(this.shape, this.area.value);
        // The server has its own sentence about a text that it has refused.
        this.note.hidden = problem === undefined || (isFirst && this.area.ariaInvalid === "true");
        this.note.textContent = problem ?? "";
        if (problem !== undefined) { this.show(null); return; }
        this.show(editWhole(this.shape, value, this.name));
        if (!isFirst) focusFirst(this.box);
    }

    showJson() {
        this.area.rows = Math.min(Math.max(this.area.value.split("\n").length, 4), 20);
        this.show(null);
        this.area.focus();
    }

    show(editor) {
        this.editor = editor;
        this.box.replaceChildren(...(editor ? [editor.element] : []));
        this.box.hidden = editor === null;
        this.area.hidden = editor !== null;
        this.toggle.textContent = editor ? "Edit as JSON" : "Edit as rows";
        this.toggle.setAttribute("aria-label", `${this.toggle.textContent}: ${this.name}`);
    }
}

for (const area of document.querySelectorAll("textarea[data-rows]")) new Rows(area);
