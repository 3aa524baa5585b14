/* Make a viewer of each part of the page that shows logs. */
import { Viewer } from "./viewer.js";

document.querySelectorAll(".log-viewer").forEach((element) => new Viewer(element).start());
