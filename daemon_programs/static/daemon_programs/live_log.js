/* Append new lines to the logs on the page. Without JavaScript, the page shows the logs as of its loading. */
(() => {
    "use strict";

    const MAX_LINES = 2000;
    // Terminal escape sequences for colours, cursor movements and titles, as in presentation/logs.py
    // eslint-disable-next-line no-control-regex
    const ESCAPE_SEQUENCES = /\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]/g;

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

        /* Browsers limit the connections to a host, so only logs that are visible are connected. */
        update() {
            const wanted = this.log.open && !document.hidden && !this.ended;
            if (wanted && this.source === null) this.connect();
            if (!wanted && this.source !== null) this.disconnect("");
        }

        connect() {
            const address = new URL(this.log.dataset.stream, location.href);
            if (this.lastId) address.searchParams.set("last_event_id", this.lastId);
            this.source = new EventSource(address);
            this.on("open", (data) => { if (data.exists) this.showStatus("live"); else this.showStatus("no log yet"); });
            this.on("line", (data) => this.add(data.line));
            this.on("reset", (data) => { if (data.missed) this.add("… lines may be missing here …"); });
            this.on("end", () => { this.ended = true; this.disconnect("ended"); });
            this.source.addEventListener("error", (event) => {
                if (event.data) this.showStatus(JSON.parse(event.data).error); // sent by the stream
                else if (this.source.readyState === EventSource.CLOSED) this.disconnect("not live");
                else this.showStatus("connecting…");
            });
        }

        on(name, react) {
            this.source.addEventListener(name, (event) => {
                if (event.data === undefined) return; // the browser's own event of this name
                if (event.lastEventId) this.lastId = event.lastEventId;
                react(JSON.parse(event.data));
            });
        }

        disconnect(status) {
            this.source.close();
            this.source = null;
            this.showStatus(status);
        }

        showStatus(status) {
            this.mark.textContent = status;
        }

        add(line) {
            this.lines.push(line.replace(ESCAPE_SEQUENCES, ""));
            if (this.lines.length > MAX_LINES) this.lines.shift();
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
