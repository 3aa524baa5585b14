/* The connection to the live stream of one log (`GET …/logs/stream`), resumed where it was lost. */

const RETRY_MILLISECONDS = 2000;

export class Connection {
    /* `listener` is told of `opened`, `line`, `separated`, `failed` and `changed`. */
    constructor(stream, address, listener) {
        this.stream = stream;
        this.address = address;
        this.listener = listener;
        this.lastId = null;
        this.connection = null;
        this.state = "closed"; // or: connecting, live, absent, lost, ended
        this.ending = "";
    }

    /* Connect, to begin with so many of the last lines or where it was left. */
    open(lines) {
        if (this.connection !== null || this.state === "ended") return;
        const address = new URL(this.address, location.href);
        address.searchParams.set("lines", lines);
        if (this.lastId !== null) address.searchParams.set("last_event_id", this.lastId);
        this.show(this.state === "lost" ? "lost" : "connecting");
        this.connection = new EventSource(address);
        this.on("open", (data, id) => {
            this.show(data.exists ? "live" : "absent");
            this.listener.opened(this, data, id);
        });
        this.on("line", (data, id) => this.listener.line(this, data.line, id));
        this.on("reset", (data) => this.listener.separated(this, separation(data)));
        this.on("end", (data) => {
            this.ending = ending(data);
            this.close("ended");
        });
        this.connection.addEventListener("error", (event) => {
            if (event.data) this.listener.failed(this, JSON.parse(event.data).error); // sent by the stream
            else this.lose(lines);
        });
    }

    on(name, react) {
        this.connection.addEventListener(name, (event) => {
            if (event.data === undefined) return; // the browser's own event of this name
            if (event.lastEventId) this.lastId = event.lastEventId;
            react(JSON.parse(event.data), event.lastEventId || null);
        });
    }

    lose(lines) {
        const hasGivenUp = this.connection.readyState === EventSource.CLOSED;
        this.show("lost");
        // A browser gives up after a response that is no stream, as of a proxy whose server is away.
        if (!hasGivenUp) return;
        this.connection.close();
        this.connection = null;
        setTimeout(() => { if (this.state === "lost") this.open(lines); }, RETRY_MILLISECONDS);
    }

    close(state = "closed") {
        this.connection?.close();
        this.connection = null;
        if (this.state !== "ended") this.show(state);
    }

    show(state) {
        if (this.state === state) return;
        this.state = state;
        this.listener.changed(this);
    }
}

function separation({ reason, missed }) {
    const what = reason === "truncated" ? "the log was emptied" : "the log was rotated";
    return missed ? `${what}, lines may be missing here` : what;
}

function ending({ status, reason }) {
    if (status) return `ended: ${status}`;
    return reason === "removed" ? "ended: the program was removed" : "ended: the log is elsewhere now";
}
