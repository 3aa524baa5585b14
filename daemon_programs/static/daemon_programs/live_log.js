/* The ends of logs go on as they are written. Without scripts they stay what they were when the page came. */
(() => {
    "use strict";

    const MOST_LINES = 2000;
    // Colours, cursor movements and titles, as in desk.py
    // eslint-disable-next-line no-control-regex
    const FOR_TERMINALS = /\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]/g;

    class LiveLog {
        constructor(log) {
            this.log = log;
            this.mark = log.querySelector(".log-mark");
            this.lines = [];
            this.lastId = null;
            this.source = null;
            this.ended = false;
            this.drawing = false;
        }

        /* Browsers have few connections for a host: only what can be seen takes one. */
        update() {
            const wanted = this.log.open && !document.hidden && !this.ended;
            if (wanted && this.source === null) this.connect();
            if (!wanted && this.source !== null) this.disconnect("");
        }

        connect() {
            const address = new URL(this.log.dataset.stream, location.href);
            if (this.lastId) address.searchParams.set("last_event_id", this.lastId);
            this.source = new EventSource(address);
            this.on("open", (data) => { if (data.exists) this.say("live"); else this.say("no log yet"); });
            this.on("line", (data) => this.add(data.line));
            this.on("reset", (data) => { if (data.missed) this.add("… lines may be missing here …"); });
            this.on("end", () => { this.ended = true; this.disconnect("ended"); });
            this.source.addEventListener("error", (event) => {
                if (event.data) this.say(JSON.parse(event.data).error); // the stream's own
                else if (this.source.readyState === EventSource.CLOSED) this.disconnect("not live");
                else this.say("connecting…");
            });
        }

        on(name, react) {
            this.source.addEventListener(name, (event) => {
                if (event.data === undefined) return; // the browser's own event of that name
                if (event.lastEventId) this.lastId = event.lastEventId;
                react(JSON.parse(event.data));
            });
        }

        disconnect(word) {
            this.source.close();
            this.source = null;
            this.say(word);
        }

        say(word) {
            this.mark.textContent = word;
        }

        add(line) {
            this.lines.push(line.replace(FOR_TERMINALS, ""));
            if (this.lines.length > MOST_LINES) this.lines.shift();
            if (!this.drawing) {
                this.drawing = true;
                requestAnimationFrame(() => this.draw());
            }
        }

        draw() {
            this.drawing = false;
            this.text().textContent = this.lines.join("\n");
        }

        text() {
            let pre = this.log.querySelector("pre");
            if (pre === null) {
                const box = document.createElement("div");
                box.className = "log-end";
                box.tabIndex = 0;
                pre = box.appendChild(document.createElement("pre"));
                this.log.querySelectorAll("p").forEach((paragraph) => paragraph.remove());
                this.log.append(box);
            }
            return pre;
        }
    }

    document.addEventListener("DOMContentLoaded", () => {
        const logs = [...document.querySelectorAll(".log[data-stream]")].map((log) => new LiveLog(log));
        const update = () => logs.forEach((log) => log.update());
        logs.forEach((log) => log.log.addEventListener("toggle", update));
        document.addEventListener("visibilitychange", update);
        update();
    });
})();
