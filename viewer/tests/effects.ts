/** Runs effects before any timer, so that no test depends on how fast the machine draws. */

import { options } from "preact";

options.requestAnimationFrame = queueMicrotask;
