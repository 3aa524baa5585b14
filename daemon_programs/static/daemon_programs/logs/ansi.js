/* Lines of a log as text with styles: colours as ansi_up reads them, everything else that is meant for terminals
   removed. Nothing here makes HTML: styles are classes and colours of parts of the text. */
import { AnsiUp } from "../vendor/ansi_up/ansi_up.js";

const MAX_CHARACTERS = 20_000; // of a line that is shown
const MAX_STATES = 10; // of a line that was written over and over again

/* eslint-disable no-control-regex */
const SPECIAL = /[\x00-\x08\x0b-\x1f\x7f]/;
// As TERMINAL_SEQUENCES in presentation/logs.py
const SEQUENCES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]/g;
const COLOURS = /^\x1b\[[\d;]*m$/;
const NO_COLOURS = /\x1b(?!\[[\d;]*m)/g;
const ERASES = /\x1b\[[02]?K/;
const CONTROLS = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;
/* eslint-enable no-control-regex */

/* The colours of one stream, which go on from line to line as in a terminal. */
export class Colours {
    constructor() {
        this.reader = new Reader();
    }

    /* Return the text of a line, and the parts of it that have styles; null if none has. */
    read(line) {
        if (!SPECIAL.test(line) && this.reader.isPlain) return { text: cut(line), parts: null };
        const visible = lastState(line).replace(SEQUENCES, (each) => (COLOURS.test(each) ? each : ""));
        const parts = this.reader.parts(cut(visible.replace(NO_COLOURS, "␛").replace(CONTROLS, picture)));
        const text = parts.map((part) => part.text).join("");
        return { text, parts: parts.some(isStyled) ? parts : null };
    }
}

class Reader extends AnsiUp {
    get isPlain() {
        return this.fg === null && this.bg === null && !(this.bold || this.faint || this.italic || this.underline);
    }

    parts(text) {
        this.found = [];
        this.ansi_to_html(text);
        return this.found;
    }

    // ansi_up calls it with each part of a text, to make HTML of it.
    transform_to_html({ text, fg, bg, bold, faint, italic, underline }) {
        if (text === "") return "";
        const classes = [];
        if (fg && fg.class_name !== "truecolor") classes.push(`${fg.class_name}-fg`);
        if (bg && bg.class_name !== "truecolor") classes.push(`${bg.class_name}-bg`);
        const styles = { bold, italic, underline, faint: faint && !fg };
        for (const [name, isSet] of Object.entries(styles)) if (isSet) classes.push(`ansi-${name}`);
        this.found.push({ text, classes, colour: rgb(fg), background: rgb(bg) });
        return "";
    }
}

function rgb(colour) {
    return colour?.class_name === "truecolor" ? `rgb(${colour.rgb.join(" ")})` : null;
}

function isStyled({ classes, colour, background }) {
    return classes.length > 0 || colour !== null || background !== null;
}

function cut(text) {
    const surplus = text.length - MAX_CHARACTERS;
    return surplus > 0 ? `${text.slice(0, MAX_CHARACTERS)} … ${surplus} more characters` : text;
}

/* Return what a terminal shows of a line that returns to its beginning, as progress bars do. */
function lastState(line) {
    if (!line.includes("\r")) return line;
    const states = line.slice(-MAX_CHARACTERS).split("\r").filter((state) => state !== "");
    return states.slice(-MAX_STATES).reduce(overwritten, "");
}

/* What is written is longer, or erases the rest, or leaves the end of what was there. */
function overwritten(before, after) {
    if (ERASES.test(after)) return after;
    const rest = [...before.replace(SEQUENCES, "")].slice([...after.replace(SEQUENCES, "")].length).join("");
    return after + rest;
}

function picture(character) {
    const code = character.charCodeAt(0);
    return code === 0x7f ? "␡" : String.fromCharCode(0x2400 + code);
}
