/* The entry of all pages of the admin: counts times on, and brings regions up to date as events come in,
   and listens to shortcuts. */
import { connect } from "./events.js";
import { startKeys } from "./keys.js";
import { startRegions } from "./regions.js";
import { startTimes } from "./times.js";

startTimes();
startRegions();
startKeys();
connect();
