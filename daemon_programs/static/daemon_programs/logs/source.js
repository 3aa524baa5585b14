/* The live stream of one log, as its worker tells of it. */

export class Source {
    /* `listener` is told of `opened`, `line`, `separated`, `failed` and `changed`. */
    constructor(stream, address, listener) {
        this.stream = stream;
        this.address = new URL(address, location.href).href;
        this.state = "closed"; // or: connecting, live, absent, lost, ended
        this.ending = "";
        this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
        this.worker.addEventListener("message", ({ data: calls }) => {
            for (const [name, ...values] of calls) {
                if (name === "changed") [this.state, this.ending] = values;
                listener[name](this, ...values);
            }
        });
    }

    /* Connect, to begin with so many of the last lines or where it was left. */
    open(lines) {
        this.ask("open", lines);
    }

    /* Give the connection up, until it is opened again. */
    close() {
        this.ask("close");
    }

    /* Give everything up. */
    end() {
        this.worker.terminate();
    }

    ask(verb, lines) {
        this.worker.postMessage({ verb, lines, stream: this.stream, address: this.address });
    }
}
