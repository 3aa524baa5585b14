/* The entry of the list of programs. */
import { startBatches } from "./batch.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";

const table = document.getElementById("result_list");
if (table) {
    startLive(table);
    startBatches(table);
    startKeys(table);
}
