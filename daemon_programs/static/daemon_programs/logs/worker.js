/* A worker that has the connection of one stream. A browser hands over all events that have come in within one task,
   which would stop the page in a flood; the page gets them in small parts. */
import { Connection } from "./connection.js";

const PART_CALLS = 200;
const GATHER_MILLISECONDS = 15;

let connection = null;
let calls = []; // of the listener, in their order
let isScheduled = false;

function tell(...call) {
    calls.push(call);
    if (isScheduled) return;
    isScheduled = true;
    setTimeout(() => {
        isScheduled = false;
        for (let done = 0; done < calls.length; done += PART_CALLS) postMessage(calls.slice(done, done + PART_CALLS));
        calls = [];
    }, GATHER_MILLISECONDS);
}

const listener = {
    opened: (_, data, id) => tell("opened", data, id),
    line: (_, text, id) => tell("line", text, id),
    separated: (_, sentence) => tell("separated", sentence),
    failed: (_, sentence) => tell("failed", sentence),
    changed: ({ state, ending }) => tell("changed", state, ending),
};

addEventListener("message", ({ data: { verb, stream, address, lines } }) => {
    connection ??= new Connection(stream, address, listener);
    if (verb === "open") connection.open(lines);
    else connection.close();
});
